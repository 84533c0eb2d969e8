#include "context.h"
#include "self_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const dcnv4i_backend *const backends[] = {
#define DCNV4I_BACKEND(name) &dcnv4i_backend_##name,
#include "../backends/backends.def"
#undef DCNV4I_BACKEND
};

enum { BACKENDS = sizeof backends / sizeof *backends };

int64_t dcnv4i_device_count(void) {
    int64_t count = 0;
    for (int b = 0; b < BACKENDS; ++b)
        count += backends[b]->device_count();
    return count;
}

dcnv4_status dcnv4i_device_info(int64_t index, dcnv4_device_info *info) {
    int64_t first = 0;
    for (int b = 0; b < BACKENDS && index >= 0; ++b) {
        const int64_t count = backends[b]->device_count();
        if (index < first + count) {
            backends[b]->device_info(index - first, info);
            return DCNV4_SUCCESS;
        }
        first += count;
    }
    return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "there is no device number %" PRId64 ", there are %" PRId64, index,
                       first);
}

/* The backend named before the colon of a device name, or NULL; *selector is what follows the colon. */
static const dcnv4i_backend *named(const char *name, const char **selector) {
    const size_t length = strcspn(name, ":");
    *selector = name[length] == ':' ? name + length + 1 : "";
    for (int b = 0; b < BACKENDS; ++b)
        if (strlen(backends[b]->name) == length && strncmp(backends[b]->name, name, length) == 0)
            return backends[b];
    return NULL;
}

static dcnv4_status unknown_device(const char *name) {
    char known[128] = "auto";
    for (int b = 0; b < BACKENDS; ++b) {
        strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, backends[b]->name, sizeof known - strlen(known) - 1);
    }
    return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "there is no device \"%.64s\"; a name starts with one of %s", name,
                       known);
}

static dcnv4_status make(const dcnv4i_backend *backend, dcnv4_context **made) {
    *made = malloc(sizeof **made);
    if (!*made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a context of %zu bytes", sizeof **made);
    (*made)->backend = backend;
    atomic_init(&(*made)->holders, 1);
    return DCNV4_SUCCESS;
}

/* If the device was opened (status), checks it and hands over the context; otherwise frees the context. */
static dcnv4_status hand_over(dcnv4_context *made, dcnv4_status status, dcnv4_context **context) {
    if (status != DCNV4_SUCCESS) {
        free(made);
        return status;
    }
    status = dcnv4i_self_check(made);
    if (status == DCNV4_SUCCESS)
        *context = made;
    else
        dcnv4i_context_release(made);
    return status;
}

static dcnv4_status open_on(const dcnv4i_backend *backend, const char *selector, dcnv4_context **context) {
    dcnv4_context *made;
    const dcnv4_status status = make(backend, &made);
    if (status != DCNV4_SUCCESS)
        return status;
    return hand_over(made, backend->device_open(selector, &made->device), context);
}

/* Opens the last backend of the list that has a device for "auto" and is able to open it. */
static dcnv4_status open_automatic(dcnv4_context **context) {
    for (int b = BACKENDS - 1; b > 0; --b)
        if (backends[b]->automatic()) {
            const dcnv4_status status = open_on(backends[b], "", context);
            if (status != DCNV4_DEVICE_UNAVAILABLE)
                return status;
        }
    return open_on(backends[0], "", context);
}

dcnv4_status dcnv4i_context_open(const char *name, dcnv4_context **context) {
    const char *selector;
    if (strcmp(name, "auto") == 0)
        return open_automatic(context);
    const dcnv4i_backend *backend = named(name, &selector);
    return backend ? open_on(backend, selector, context) : unknown_device(name);
}

dcnv4_status dcnv4i_context_adopt(const char *backend, void *handle, void *device_handle, dcnv4_context **context) {
    const char *selector;
    const dcnv4i_backend *found = named(backend, &selector);
    dcnv4_context *made;
    if (!found)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "this library was built without its %s backend", backend);
    const dcnv4_status status = make(found, &made);
    if (status != DCNV4_SUCCESS)
        return status;
    return hand_over(made, found->device_adopt(handle, device_handle, &made->device), context);
}

void dcnv4i_context_hold(dcnv4_context *context) {
    atomic_fetch_add(&context->holders, 1);
}

void dcnv4i_context_release(dcnv4_context *context) {
    if (atomic_fetch_sub(&context->holders, 1) != 1)
        return;
    context->backend->device_close(context->device);
    free(context);
}
