#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "sparse.h"

#include "harness.h"

#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHORT_OF_ADDRESSES 1 /* most of the address space is the sanitizer's own */
#endif
#endif
#ifndef SHORT_OF_ADDRESSES
#define SHORT_OF_ADDRESSES 0
#endif

void *sparse_map(size_t bytes) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *const made = mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (made == MAP_FAILED && SHORT_OF_ADDRESSES)
        skip();
    if (made == MAP_FAILED)
        fail_msg("%zu bytes of address space could not be had", bytes);
    return made;
}

void sparse_unmap(void *tensor, size_t bytes) {
    munmap(tensor, bytes > 0 ? bytes : 1);
}
