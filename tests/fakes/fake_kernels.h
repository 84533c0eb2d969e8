/* Compiled texts, loaded, and their kernels, run on the calling thread. */
#ifndef TESTS_FAKE_KERNELS_H
#define TESTS_FAKE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

/* As host_dialect.h has it. */
typedef struct host_kernel {
    const char *kinds;   /* a letter per argument: 'p' a pointer, 'n' another 8 bytes, '?' neither */
    unsigned work_group; /* the most work-items that it was compiled for */
    void (*run)(void **arguments);
} host_kernel;

/* What dlopen gives for a shared library of these bytes; NULL if it is none. */
void *fake_library_open(const void *bytes, size_t size);

/* NULL if there is none of this name. */
const host_kernel *fake_library_kernel(void *library, const char *name);

/* Runs all work-groups, one after the other, in an order that differs from launch to launch, as do those of its work-items, since
 * a device fixes none. Work-items take turns at barriers; one that some do not reach is misuse. */
void fake_kernel_run(void *library, const host_kernel *kernel, unsigned groups, unsigned work_group, void **arguments);

#endif
