/* host_dialect.h for kernels that are watched: fake_compiler.c compiles them with -fsanitize=thread, which calls one of the
 * functions below before each access to memory, and watched_kernels.c takes the place of the sanitizer's library. */
#include "../fakes/host_dialect.h"

#pragma GCC visibility push(default)
extern "C" {
void (*host_access)(const volatile void *address, unsigned long bytes, int kind); /* before it */
int (*host_passes)(int number, const char *function);                             /* whether a barrier is left out */
}
#pragma GCC visibility pop

enum { HOST_READ, HOST_WRITE, HOST_ATOMIC };

#define HOST_UNWATCHED [[gnu::no_sanitize("thread"), gnu::noinline]]
#define HOST_ACCESS(name, bytes, kind)                            \
    extern "C" HOST_UNWATCHED void __tsan_##name(void *address) { \
        host_access(address, bytes, kind);                        \
    }
#define HOST_ACCESSES(prefix, size, bytes)            \
    HOST_ACCESS(prefix##read##size, bytes, HOST_READ) \
    HOST_ACCESS(prefix##write##size, bytes, HOST_WRITE)
HOST_ACCESSES(, 1, 1)
HOST_ACCESSES(, 2, 2)
HOST_ACCESSES(, 4, 4)
HOST_ACCESSES(, 8, 8)
HOST_ACCESSES(, 16, 16)
HOST_ACCESSES(unaligned_, 2, 2)
HOST_ACCESSES(unaligned_, 4, 4)
HOST_ACCESSES(unaligned_, 8, 8)
HOST_ACCESSES(unaligned_, 16, 16)
extern "C" HOST_UNWATCHED void __tsan_read_range(void *address, unsigned long bytes) {
    host_access(address, bytes, HOST_READ);
}
extern "C" HOST_UNWATCHED void __tsan_write_range(void *address, unsigned long bytes) {
    host_access(address, bytes, HOST_WRITE);
}
extern "C" HOST_UNWATCHED void __tsan_func_entry(void *) {
}
extern "C" HOST_UNWATCHED void __tsan_func_exit(void) {
}
extern "C" HOST_UNWATCHED void __tsan_init(void) {
}

template <class Number> HOST_UNWATCHED static Number host_atomic_add(Number *target, Number number) {
    host_access(target, sizeof(Number), HOST_ATOMIC);
    const Number before = *target;
    *target = before + number;
    return before;
}
#define atomicAdd host_atomic_add

/* Each barrier in the text has a number; and the name of its function, with the parameters since kernels of the same name
 * stand in different texts. */
#undef __syncthreads
#define __syncthreads() (host_passes(__COUNTER__, __PRETTY_FUNCTION__) ? (void)0 : host_barrier())
