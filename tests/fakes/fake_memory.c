#include "fake_modules.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Makes device addresses invalid on the host, so that memory is accessible through fake_memory_at alone. */
static const uintptr_t tag = (uintptr_t)1 << (sizeof(uintptr_t) * 8 - 3);

enum { MARGIN = 256, MARGIN_BYTE = 0xcb, FRESH_BYTE = 0xa5 };

typedef struct allocation {
    struct allocation *next;
    int device;
    size_t size;
    unsigned char *bytes; /* a margin, size bytes, a margin */
    void *memory;         /* in which they are, for free() */
} allocation;

static allocation *allocations;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t used(int device) {
    size_t sum = 0;
    for (const allocation *a = allocations; a; a = a->next)
        sum += a->device == device ? a->size : 0;
    return sum;
}

static uintptr_t address_of(const allocation *a) {
    return (uintptr_t)(a->bytes + MARGIN) | tag;
}

static allocation *make(int device, size_t size) {
    allocation *made = malloc(sizeof *made);
    char *const memory = made ? malloc(size + 3 * MARGIN) : NULL;
    if (!memory) {
        free(made);
        return NULL;
    }
    void *const bytes = memory + (MARGIN - (uintptr_t)memory % MARGIN);
    *made = (allocation){allocations, device, size, bytes, memory};
    memset(made->bytes, MARGIN_BYTE, size + 2 * MARGIN);
    memset(made->bytes + MARGIN, FRESH_BYTE, size);
    return made;
}

int32_t fake_memory_allocate(int device, size_t size, void **address) {
    pthread_mutex_lock(&lock);
    allocation *made = size > FAKE_DEVICE_MEMORY - used(device) ? NULL : make(device, size);
    if (made) {
        allocations = made;
        *address = (void *)address_of(made);
    }
    pthread_mutex_unlock(&lock);
    if (!made)
        return FAKE_OUT_OF_MEMORY;
    fake_count(&fake_driver_control()->live, 1);
    return FAKE_OK;
}

static void check_margins(const allocation *a) {
    for (size_t i = 0; i < MARGIN; ++i)
        if (a->bytes[i] != MARGIN_BYTE || a->bytes[MARGIN + a->size + i] != MARGIN_BYTE) {
            fake_misuse("something was written beside an allocation");
            return;
        }
}

int32_t fake_memory_free(int device, void *address) {
    pthread_mutex_lock(&lock);
    allocation **at = &allocations;
    while (*at && ((*at)->device != device || address_of(*at) != (uintptr_t)address))
        at = &(*at)->next;
    allocation *found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&lock);
    if (!found) {
        fake_misuse("memory is freed that is not allocated on this device");
        return FAKE_INVALID_VALUE;
    }
    check_margins(found);
    free(found->memory);
    free(found);
    fake_count(&fake_driver_control()->live, -1);
    return FAKE_OK;
}

char *fake_memory_at(int device, const void *address, size_t length) {
    const uintptr_t wanted = (uintptr_t)address;
    char *found = NULL;
    pthread_mutex_lock(&lock);
    for (const allocation *a = allocations; a && !found; a = a->next) {
        const uintptr_t begin = address_of(a);
        if (a->device == device && wanted >= begin && wanted - begin <= a->size && length <= a->size - (wanted - begin))
            found = (char *)a->bytes + MARGIN + (wanted - begin);
    }
    pthread_mutex_unlock(&lock);
    return found;
}
