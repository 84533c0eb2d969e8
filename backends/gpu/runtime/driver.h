/* The driver interface: what gpu/ needs from an API that compiles kernels at run time. Functions set their results only
 * on success, and a message on every failure. */
#ifndef DCNV4I_DRIVER_H
#define DCNV4I_DRIVER_H

#include "../../../core/status.h"

#include <stdbool.h>

/* How a device adds atomically to a float32 in its memory; the kernels use the same numbers. */
typedef enum dcnv4i_atomics {
    DCNV4I_ATOMICS_EXCHANGE = 0,  /* compare and exchange, in a loop */
    DCNV4I_ATOMICS_EXTENSION = 1, /* cl_ext_float_atomics */
    DCNV4I_ATOMICS_PTX = 2,       /* NVIDIA's own instruction, in OpenCL */
    DCNV4I_ATOMICS_NATIVE = 3,    /* the language's own: CUDA, HIP */
} dcnv4i_atomics;

/* What the geometry of launches depends on. */
typedef struct dcnv4i_limits {
    bool cpu;             /* work-items run in a loop of a CPU thread: wide vectors pay, staging does not */
    int64_t work_group;   /* maximum work-items in a work-group */
    int64_t local_memory; /* bytes per work-group */
    int64_t units;        /* about how many work-groups run at once */
    int64_t groups;       /* maximum work-groups in a launch; 0: no limit */
    int64_t items;        /* maximum work-items in a launch; 0: no limit */
    int64_t turns;        /* of all loops of a work-item together; 0: no limit */
    dcnv4i_atomics atomics;
} dcnv4i_limits;

/* An argument of a kernel: a buffer's handle, or a 64-bit number. */
typedef struct dcnv4i_argument {
    bool is_handle;
    void *handle;
    int64_t number;
} dcnv4i_argument;

/* Maximum arguments of a kernel. */
enum { DCNV4I_MAX_ARGUMENTS = 24 };

/* One launch of a kernel. */
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

/* The identities under which compiled kernels are stored on disk: each names what they are for, with every version that
 * matters. */
typedef struct dcnv4i_identity {
    const char *own;
    const char *portable;               /* of the form for newer devices that is stored beside own; NULL for none */
    const char *const *others;          /* of other binaries that it loads, best first, with NULL at the end; or NULL */
    const struct dcnv4i_target *target; /* NULL if it is not known */
    const char *machine; /* this device and its driver, for measurements on it; NULL if there is no device */
} dcnv4i_identity;

typedef struct dcnv4i_driver {
    const char *const *vocabulary; /* the texts of its kernel language, with NULL at the end */
    bool pointer_handles;          /* handles are addresses; else buffers begin at multiples of DCNV4I_ALIGNMENT */

    /* Fails if the device cannot be used: it was lost, or another process opened it. */
    dcnv4_status (*usable)(void *device);

    /* Compiles a module from source text. *binary and *portable are empty before and are set if the driver provides
     * them; either pointer may be NULL. DCNV4_COMPILER_UNAVAILABLE if there is no compiler for the device. */
    dcnv4_status (*compile)(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable);
    /* Loads a module from such a binary; after any failure it has to be compiled again. */
    dcnv4_status (*load)(void *device, const void *binary, size_t size, void **module);
    void (*unload)(void *device, void *module);
    dcnv4_status (*kernel_create)(void *device, void *module, const char *name, void **kernel);
    void (*kernel_destroy)(void *device, void *kernel);

    /* Enqueues launches on the caller's stream (NULL: the device's own); each runs after the one before it. */
    dcnv4_status (*start)(void *device, const dcnv4i_launch *launches, int count, void *stream);
    dcnv4_status (*synchronize)(void *device);

    dcnv4_status (*buffer_create)(void *device, size_t length, void **handle);
    void (*buffer_destroy)(void *device, void *handle);
    dcnv4_status (*upload)(void *device, void *handle, size_t offset, const void *source, size_t length);
    dcnv4_status (*download)(void *device, void *handle, size_t offset, void *target, size_t length);

    void (*close)(void *device);
} dcnv4i_driver;

#endif
