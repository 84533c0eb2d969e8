/* What the backend uses of HIP: the runtime's entry points and hipRTC's, which are loaded when they are first needed,
 * and the numbers of their constants, the same in HIP 5, 6 and 7. tests/hip/ compiles all of it against
 * <hip/hip_runtime_api.h> and <hip/hiprtc.h> where those are installed; it did with those of 5.2, 5.7, 6.0, 6.2, 6.3
 * and 7.15. */
#ifndef DCNV4I_HIP_API_H
#define DCNV4I_HIP_API_H

#include "../gpu/runtime/compiler.h"

#include <stddef.h>

/* X(name, type): the types, as those headers have them. Enumerations are ints here. */
#define DCNV4I_HIP_TYPES(X)      \
    X(hipError_t, int)           \
    X(hipDevice_t, int)          \
    X(hipDeviceAttribute_t, int) \
    X(hipMemcpyKind, int)        \
    X(hipStream_t, void *)       \
    X(hipModule_t, void *)       \
    X(hipFunction_t, void *)     \
    X(hiprtcResult, int)         \
    X(hiprtcProgram, void *)

/* The test defines this macro, to use the vendor's own types, and declares lists of strings as its version does. */
#ifndef DCNV4I_VENDOR_HIP
#define DCNV4I_HIP_TYPE(name, type) typedef type name;
DCNV4I_HIP_TYPES(DCNV4I_HIP_TYPE)
#undef DCNV4I_HIP_TYPE
typedef void dcnv4i_hip_properties;
typedef const char *const *dcnv4i_hiprtc_texts;
#endif

/* X(result, name, arguments): libamdhip64.so.7, .6 or .5 */
#define DCNV4I_HIP_ENTRIES(X)                                                                                     \
    X(hipError_t, hipInit, (unsigned))                                                                            \
    X(hipError_t, hipRuntimeGetVersion, (int *))                                                                  \
    X(const char *, hipGetErrorName, (hipError_t))                                                                \
    X(hipError_t, hipGetLastError, (void))                                                                        \
    X(hipError_t, hipGetDeviceCount, (int *))                                                                     \
    X(hipError_t, hipGetDevice, (int *))                                                                          \
    X(hipError_t, hipSetDevice, (int))                                                                            \
    X(hipError_t, hipDeviceGetName, (char *, int, hipDevice_t))                                                   \
    X(hipError_t, hipDeviceTotalMem, (size_t *, hipDevice_t))                                                     \
    X(hipError_t, hipDeviceGetAttribute, (int *, hipDeviceAttribute_t, int))                                      \
    X(hipError_t, hipStreamSynchronize, (hipStream_t))                                                            \
    X(hipError_t, hipModuleLoadData, (hipModule_t *, const void *))                                               \
    X(hipError_t, hipModuleUnload, (hipModule_t))                                                                 \
    X(hipError_t, hipModuleGetFunction, (hipFunction_t *, hipModule_t, const char *))                             \
    X(hipError_t, hipModuleLaunchKernel,                                                                          \
      (hipFunction_t, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, hipStream_t, void **, \
       void **))                                                                                                  \
    X(hipError_t, hipMalloc, (void **, size_t))                                                                   \
    X(hipError_t, hipFree, (void *))                                                                              \
    X(hipError_t, hipMemcpy, (void *, const void *, size_t, hipMemcpyKind))

/* One of these two: HIP 6 gave the struct another layout and the function another name. */
#define DCNV4I_HIP_PROPERTIES_ENTRIES(X)                                       \
    X(hipError_t, hipGetDevicePropertiesR0600, (dcnv4i_hip_properties *, int)) \
    X(hipError_t, hipGetDeviceProperties, (dcnv4i_hip_properties *, int))

/* X(result, name, arguments): libhiprtc.so.7 or .6, or libamdhip64.so.5 itself */
#define DCNV4I_HIPRTC_ENTRIES(X)                                                                    \
    X(hiprtcResult, hiprtcVersion, (int *, int *))                                                  \
    X(hiprtcResult, hiprtcCreateProgram,                                                            \
      (hiprtcProgram *, const char *, const char *, int, dcnv4i_hiprtc_texts, dcnv4i_hiprtc_texts)) \
    X(hiprtcResult, hiprtcCompileProgram, (hiprtcProgram, int, dcnv4i_hiprtc_texts))                \
    X(hiprtcResult, hiprtcDestroyProgram, (hiprtcProgram *))                                        \
    X(hiprtcResult, hiprtcGetCodeSize, (hiprtcProgram, size_t *))                                   \
    X(hiprtcResult, hiprtcGetCode, (hiprtcProgram, char *))                                         \
    X(hiprtcResult, hiprtcGetProgramLogSize, (hiprtcProgram, size_t *))                             \
    X(hiprtcResult, hiprtcGetProgramLog, (hiprtcProgram, char *))                                   \
    X(const char *, hiprtcGetErrorString, (hiprtcResult))

/* X(name, number): DCNV4I_name is name. */
#define DCNV4I_HIP_CONSTANTS(X)                             \
    X(hipDeviceAttributeMaxThreadsPerBlock, 56)             \
    X(hipDeviceAttributeMultiprocessorCount, 63)            \
    X(hipDeviceAttributeMaxSharedMemoryPerBlock, 74)        \
    X(hipDeviceAttributeWarpSize, 87)                       \
    X(hipMemcpyHostToDevice, 1)                             \
    X(hipMemcpyDeviceToHost, 2)                             \
    X(HIPRTC_ERROR_OUT_OF_MEMORY, DCNV4I_RTC_OUT_OF_MEMORY) \
    X(HIPRTC_ERROR_COMPILATION, DCNV4I_RTC_COMPILATION)

#define DCNV4I_HIP_ENUMERATOR(name, number) DCNV4I_##name = number,
enum { DCNV4I_HIP_CONSTANTS(DCNV4I_HIP_ENUMERATOR) };
#undef DCNV4I_HIP_ENUMERATOR

/* The loaded entry points of the runtime; properties is the one of the two functions that it has. */
typedef struct dcnv4i_hip_api {
#define DCNV4I_HIP_MEMBER(result, name, arguments) result(*name) arguments;
    DCNV4I_HIP_ENTRIES(DCNV4I_HIP_MEMBER)
#undef DCNV4I_HIP_MEMBER
    hipError_t (*properties)(dcnv4i_hip_properties *, int);
} dcnv4i_hip_api;

/* The entry points of libamdhip64, valid once dcnv4i_hip_load succeeded. */
extern dcnv4i_hip_api dcnv4i_hip;

/* Loads and initialises the runtime, once per process. */
dcnv4_status dcnv4i_hip_load(void);

/* Whether this process has loaded libamdhip64 already, whoever did it. */
bool dcnv4i_hip_in_use(void);

/* The runtime's library and its major version; NULL and 0 if it is not loaded. */
void *dcnv4i_hip_library(int *major);

/* hipRTC, or ahead of time also clang, as the compiler of dcnv4i_cuda_hip_api. */
const char *dcnv4i_hip_compiler(void);
dcnv4_status dcnv4i_hip_compile(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                                dcnv4i_binary *portable);

/* Compiles with an installed clang that supports AMD's GPUs. DCNV4_COMPILER_UNAVAILABLE if there is none for the target;
 * the message names the one that refused it. */
dcnv4_status dcnv4i_hip_clang(const char *target, const char *source, dcnv4i_binary *binary);

#endif
