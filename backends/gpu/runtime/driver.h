/* The driver interface: what gpu/ needs of an API whose devices compile. Functions set their results on success alone, and set
 * a message with every failure. */
#ifndef DCNV4I_DRIVER_H
#define DCNV4I_DRIVER_H

#include "../../../core/status.h"

#include <stdbool.h>

/* How a device adds to a float32 in its memory; the numbers are known to the kernels. */
typedef enum dcnv4i_atomics {
    DCNV4I_ATOMICS_EXCHANGE = 0,  /* compare and exchange, in a loop */
    DCNV4I_ATOMICS_EXTENSION = 1, /* cl_ext_float_atomics */
    DCNV4I_ATOMICS_PTX = 2,       /* NVIDIA's own instruction, in OpenCL */
    DCNV4I_ATOMICS_NATIVE = 3,    /* the language's own: CUDA, HIP */
} dcnv4i_atomics;

/* What the geometry of launches depends on. */
typedef struct dcnv4i_limits {
    bool cpu;             /* a work-item is a thread's loop with vectors: wide ones pay, staging does not */
    int64_t work_group;   /* most work-items in a work-group */
    int64_t local_memory; /* bytes, a work-group */
    int64_t units;        /* work-groups that run at once, about */
    int64_t groups;       /* most work-groups in a launch; 0: no limit */
    int64_t items;        /* most work-items in a launch; 0: no limit */
    dcnv4i_atomics atomics;
} dcnv4i_limits;

/* An argument of a kernel: a buffer's handle, or a 64-bit number. */
typedef struct dcnv4i_argument {
    bool is_handle;
    void *handle;
    int64_t number;
} dcnv4i_argument;

/* The most that a kernel has. */
enum { DCNV4I_MAX_ARGUMENTS = 24 };

/* A kernel and what it runs on. */
typedef struct dcnv4i_launch {
    void *kernel;
    int64_t groups;     /* work-groups, at least 1 */
    int64_t work_group; /* work-items in each */
    int argument_count;
    dcnv4i_argument arguments[DCNV4I_MAX_ARGUMENTS];
} dcnv4i_launch;

/* A compiled module, for free(). */
typedef struct dcnv4i_binary {
    void *bytes; /* NULL if there is none */
    size_t size;
} dcnv4i_binary;

/* Under which names compiled kernels are kept on disk: each says for what they are, with every version that matters. */
typedef struct dcnv4i_identity {
    const char *own;
    const char *portable;      /* of the form for newer devices that is kept beside the own; NULL for none */
    const char *const *others; /* that the device takes where it cannot compile, best first, with NULL at the end;
                                            or NULL */
    const struct dcnv4i_target *target; /* the kind of device; NULL if it is not known */
    const char *machine; /* the very device and its driver, for what was measured there; NULL if there is no device */
} dcnv4i_identity;

typedef struct dcnv4i_driver {
    const char *const *vocabulary; /* the texts of its dialect, with NULL at the end */
    bool pointer_handles;          /* handles are addresses; else buffers begin at multiples of DCNV4I_ALIGNMENT */

    /* Whether the device can be used at all: not lost, and this process the one that opened it. */
    dcnv4_status (*usable)(void *device);

    /* A module from source text. The empty *binary is filled in if the binary can be had, *portable likewise; a NULL asks
     * for none. DCNV4_COMPILER_UNAVAILABLE if there is no compiler for the device. */
    dcnv4_status (*compile)(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable);
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
