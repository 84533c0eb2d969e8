/* The smaller door: what gpu/ needs of an API for devices that compile. Functions set their results on success alone, and
 * a message with every failure. */
#ifndef DCNV4I_DRIVER_H
#define DCNV4I_DRIVER_H

#include "../../core/status.h"

#include <stdbool.h>

/* How a device adds to a float32 in its memory; the numbers are known to the kernels. */
typedef enum dcnv4i_atomics {
    DCNV4I_ATOMICS_EXCHANGE = 0,  /* compare and exchange, in a loop */
    DCNV4I_ATOMICS_EXTENSION = 1, /* cl_ext_float_atomics */
    DCNV4I_ATOMICS_PTX = 2,       /* NVIDIA's own instruction */
} dcnv4i_atomics;

/* What the geometry of launches depends on. */
typedef struct dcnv4i_limits {
    bool cpu;             /* a work-item is a thread's loop with vectors: wide ones pay, staging does not */
    int64_t work_group;   /* most work-items in a work-group */
    int64_t local_memory; /* bytes, a work-group */
    int64_t units;        /* work-groups that run at once, about */
    dcnv4i_atomics atomics;
} dcnv4i_limits;

/* An argument of a kernel: a buffer's handle, or a 64-bit number. */
typedef struct dcnv4i_argument {
    bool is_handle;
    void *handle;
    int64_t number;
} dcnv4i_argument;

enum { DCNV4I_MAX_ARGUMENTS = 16 };

/* A kernel and what it runs on. */
typedef struct dcnv4i_launch {
    void *kernel;
    int64_t groups;     /* work-groups, at least 1 */
    int64_t work_group; /* work-items in each */
    int argument_count;
    dcnv4i_argument arguments[DCNV4I_MAX_ARGUMENTS];
} dcnv4i_launch;

typedef struct dcnv4i_driver {
    const char *dialect;  /* the text of its dialect header */
    bool pointer_handles; /* handles are addresses; else buffers begin at multiples of DCNV4I_ALIGNMENT */

    /* Whether the device can be used at all: not lost, and this process the one that opened it. */
    dcnv4_status (*usable)(void *device);

    /* A module from source text. binary may be NULL; else *binary is its *size bytes for free(), or stays as it is if they
     * cannot be had. */
    dcnv4_status (*compile)(void *device, const char *source, void **module, void **binary, size_t *size);
    /* A module from such a binary; any failure means that it has to be compiled again. */
    dcnv4_status (*load)(void *device, const void *binary, size_t size, void **module);
    void (*unload)(void *device, void *module);
    dcnv4_status (*kernel_create)(void *device, void *module, const char *name, void **kernel);
    void (*kernel_destroy)(void *device, void *kernel);

    /* Starts launches on the caller's stream (NULL: the device's own), each after the one before it. */
    dcnv4_status (*start)(void *device, const dcnv4i_launch *launches, int count, void *stream);
    dcnv4_status (*synchronize)(void *device);

    dcnv4_status (*buffer_create)(void *device, size_t length, void **handle);
    void (*buffer_destroy)(void *device, void *handle);
    dcnv4_status (*upload)(void *device, void *handle, size_t offset, const void *source, size_t length);
    dcnv4_status (*download)(void *device, void *handle, size_t offset, void *target, size_t length);

    void (*close)(void *device);
} dcnv4i_driver;

#endif
