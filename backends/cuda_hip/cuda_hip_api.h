/* CUDA's driver and HIP's runtime under neutral names. Both have devices by number, pointers, streams, and modules that
 * are loaded from binaries; most functions even have the same arguments. Functions return 0 or the API's error
 * number. */
#ifndef DCNV4I_CUDA_HIP_API_H
#define DCNV4I_CUDA_HIP_API_H

#include "../gpu/runtime/probe.h"
#include "../gpu/runtime/target.h"

/* X(name, number, CUDA's name, HIP's name): errors that mean the same in both, and have the same number. */
#define DCNV4I_MODULE_ERRORS(X)                                                                \
    X(OUT_OF_MEMORY, 2, CUDA_ERROR_OUT_OF_MEMORY, hipErrorOutOfMemory)                         \
    X(NOT_INITIALIZED, 3, CUDA_ERROR_NOT_INITIALIZED, hipErrorNotInitialized)                  \
    X(DEINITIALIZED, 4, CUDA_ERROR_DEINITIALIZED, hipErrorDeinitialized)                       \
    X(NO_DEVICE, 100, CUDA_ERROR_NO_DEVICE, hipErrorNoDevice)                                  \
    X(INVALID_DEVICE, 101, CUDA_ERROR_INVALID_DEVICE, hipErrorInvalidDevice)                   \
    X(INVALID_IMAGE, 200, CUDA_ERROR_INVALID_IMAGE, hipErrorInvalidImage)                      \
    X(INVALID_CONTEXT, 201, CUDA_ERROR_INVALID_CONTEXT, hipErrorInvalidContext)                \
    X(NO_BINARY, 209, CUDA_ERROR_NO_BINARY_FOR_GPU, hipErrorNoBinaryForGpu)                    \
    X(ECC, 214, CUDA_ERROR_ECC_UNCORRECTABLE, hipErrorECCNotCorrectable)                       \
    X(INVALID_HANDLE, 400, CUDA_ERROR_INVALID_HANDLE, hipErrorInvalidHandle)                   \
    X(ILLEGAL_ADDRESS, 700, CUDA_ERROR_ILLEGAL_ADDRESS, hipErrorIllegalAddress)                \
    X(OUT_OF_RESOURCES, 701, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, hipErrorLaunchOutOfResources) \
    X(LAUNCH_TIMEOUT, 702, CUDA_ERROR_LAUNCH_TIMEOUT, hipErrorLaunchTimeOut)                   \
    X(CONTEXT_DESTROYED, 709, CUDA_ERROR_CONTEXT_IS_DESTROYED, hipErrorContextIsDestroyed)     \
    X(ASSERT, 710, CUDA_ERROR_ASSERT, hipErrorAssert)                                          \
    X(LAUNCH_FAILED, 719, CUDA_ERROR_LAUNCH_FAILED, hipErrorLaunchFailure)

/* X(name, number, CUDA's name): errors that only CUDA has. */
#define DCNV4I_CUDA_ERRORS(X)                                       \
    X(UNAVAILABLE, 46, CUDA_ERROR_DEVICE_UNAVAILABLE)               \
    X(INVALID_PTX, 218, CUDA_ERROR_INVALID_PTX)                     \
    X(NVLINK, 220, CUDA_ERROR_NVLINK_UNCORRECTABLE)                 \
    X(UNSUPPORTED_PTX, 222, CUDA_ERROR_UNSUPPORTED_PTX_VERSION)     \
    X(HARDWARE_STACK, 714, CUDA_ERROR_HARDWARE_STACK_ERROR)         \
    X(ILLEGAL_INSTRUCTION, 715, CUDA_ERROR_ILLEGAL_INSTRUCTION)     \
    X(MISALIGNED_ADDRESS, 716, CUDA_ERROR_MISALIGNED_ADDRESS)       \
    X(INVALID_ADDRESS_SPACE, 717, CUDA_ERROR_INVALID_ADDRESS_SPACE) \
    X(INVALID_PC, 718, CUDA_ERROR_INVALID_PC)                       \
    X(MISMATCH, 803, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)             \
    X(NOT_COMPATIBLE, 804, CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)

enum {
#define DCNV4I_ERROR(name, number, ...) DCNV4I_ERROR_##name = number,
    DCNV4I_MODULE_ERRORS(DCNV4I_ERROR) DCNV4I_CUDA_ERRORS(DCNV4I_ERROR)
#undef DCNV4I_ERROR
};

/* What is known of a device without using it. */
typedef struct dcnv4i_cuda_hip_facts {
    char name[64];                       /* of the hardware */
    char target[32];                     /* "sm_90", "gfx90a" */
    char software[64];                   /* the driver's or runtime's version */
    int work_group, local_memory, units; /* as in dcnv4i_limits */
    size_t memory;                       /* bytes */
} dcnv4i_cuda_hip_facts;

enum { DCNV4I_MAX_COMPATIBLE = 32, DCNV4I_TARGET_NAME = 32 };

typedef struct dcnv4i_compatible_targets {
    char portable[DCNV4I_TARGET_NAME];                      /* the form for it and newer targets; "" for none */
    char others[DCNV4I_MAX_COMPATIBLE][DCNV4I_TARGET_NAME]; /* whose kernels it loads too, best first */
    int count;
} dcnv4i_compatible_targets;

typedef struct dcnv4i_cuda_hip_api {
    const char *backend; /* "cuda", "hip": in device names */
    const char *what;    /* "CUDA", "HIP": in messages */
    const char *const *vocabulary;
    dcnv4i_probe *probe;

    /* Loads and initialises the driver, once per process. */
    dcnv4_status (*load)(void);
    const char *(*error_name)(int error); /* never NULL */
    void (*forget_error)(void);           /* (optional) clears the thread's last error after a failure of ours */

    int (*device_count)(int *count);
    int (*describe)(int ordinal, dcnv4i_cuda_hip_facts *facts); /* unknown fields stay 0 or "" */

    /* The current device of this thread, and CUDA's context, which is NULL if there is none. */
    int (*current)(int *ordinal, void **context);
    /* (optional) Retain and release a device's primary context. */
    int (*retain)(int ordinal, void **context);
    int (*release)(int ordinal);
    /* Makes a device current, with this context of it; leave(*before) makes the previous one current again. */
    int (*enter)(int ordinal, void *context, int *before);
    int (*leave)(int before);

    int (*module_load)(void **module, const void *binary);
    int (*module_unload)(void *module);
    int (*function_get)(void **function, void *module, const char *name);
    int (*launch)(void *function, unsigned groups, unsigned items, void *stream, void **arguments);
    int (*stream_synchronize)(void *stream);
    int (*allocate)(void **pointer, size_t length);
    int (*deallocate)(void *pointer);
    int (*to_device)(void *target, const void *source, size_t length);
    int (*to_host)(void *target, const void *source, size_t length);

    /* Compiles for a target. *portable, unless NULL, is set to a form that newer devices load too, if there is one.
     * `ahead`: compiling ahead of time, without a device. DCNV4_COMPILER_UNAVAILABLE if there is no compiler for the
     * target. */
    dcnv4_status (*compile)(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                            dcnv4i_binary *portable);
    /* The name and version of the compiler, which this loads; "" if there is none. */
    const char *(*compiler)(void);
    /* (optional) Finds the compatible targets: those whose kernels a target loads besides its own. */
    void (*compatible_targets)(const char *target, dcnv4i_compatible_targets *found);
} dcnv4i_cuda_hip_api;

#endif
