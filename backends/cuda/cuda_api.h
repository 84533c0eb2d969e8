/* What the backend uses of CUDA: the driver's entry points and NVRTC's, which are loaded when they are first needed,
 * and the numbers of their constants. tests/cuda/ compiles all of it against <cuda.h> and <nvrtc.h> where those are
 * installed. */
#ifndef DCNV4I_CUDA_API_H
#define DCNV4I_CUDA_API_H

#include "../gpu/runtime/compiler.h"

#include <stddef.h>

/* X(name, type): the types, as those headers have them. Enumerations are ints here. */
#define DCNV4I_CUDA_TYPES(X)           \
    X(CUresult, int)                   \
    X(CUdevice, int)                   \
    X(CUdevice_attribute, int)         \
    X(CUfunction_attribute, int)       \
    X(CUdeviceptr, unsigned long long) \
    X(CUcontext, void *)               \
    X(CUstream, void *)                \
    X(CUmodule, void *)                \
    X(CUfunction, void *)

#define DCNV4I_NVRTC_TYPES(X) \
    X(nvrtcResult, int)       \
    X(nvrtcProgram, void *)

/* The tests define these two macros, to use the vendor's own types. */
#define DCNV4I_CUDA_TYPE(name, type) typedef type name;
#ifndef DCNV4I_VENDOR_CUDA
DCNV4I_CUDA_TYPES(DCNV4I_CUDA_TYPE)
#endif
#ifndef DCNV4I_VENDOR_NVRTC
DCNV4I_NVRTC_TYPES(DCNV4I_CUDA_TYPE)
#endif
#undef DCNV4I_CUDA_TYPE

/* X(result, name, arguments): libcuda.so.1 */
#define DCNV4I_CUDA_ENTRIES(X)                                                                                        \
    X(CUresult, cuInit, (unsigned))                                                                                   \
    X(CUresult, cuDriverGetVersion, (int *))                                                                          \
    X(CUresult, cuGetErrorName, (CUresult, const char **))                                                            \
    X(CUresult, cuDeviceGetCount, (int *))                                                                            \
    X(CUresult, cuDeviceGet, (CUdevice *, int))                                                                       \
    X(CUresult, cuDeviceGetName, (char *, int, CUdevice))                                                             \
    X(CUresult, cuDeviceTotalMem_v2, (size_t *, CUdevice))                                                            \
    X(CUresult, cuDeviceGetAttribute, (int *, CUdevice_attribute, CUdevice))                                          \
    X(CUresult, cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice))                                                    \
    X(CUresult, cuDevicePrimaryCtxRelease_v2, (CUdevice))                                                             \
    X(CUresult, cuCtxGetCurrent, (CUcontext *))                                                                       \
    X(CUresult, cuCtxGetDevice, (CUdevice *))                                                                         \
    X(CUresult, cuCtxPushCurrent_v2, (CUcontext))                                                                     \
    X(CUresult, cuCtxPopCurrent_v2, (CUcontext *))                                                                    \
    X(CUresult, cuStreamSynchronize, (CUstream))                                                                      \
    X(CUresult, cuModuleLoadData, (CUmodule *, const void *))                                                         \
    X(CUresult, cuModuleUnload, (CUmodule))                                                                           \
    X(CUresult, cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                                          \
    X(CUresult, cuFuncGetAttribute, (int *, CUfunction_attribute, CUfunction))                                        \
    X(CUresult, cuLaunchKernel,                                                                                       \
      (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **)) \
    X(CUresult, cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                               \
    X(CUresult, cuMemFree_v2, (CUdeviceptr))                                                                          \
    X(CUresult, cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                                                 \
    X(CUresult, cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))

/* X(result, name, arguments): libnvrtc.so.13, .12 or .11.2 */
#define DCNV4I_NVRTC_ENTRIES(X)                                                                    \
    X(nvrtcResult, nvrtcVersion, (int *, int *))                                                   \
    X(nvrtcResult, nvrtcGetNumSupportedArchs, (int *))                                             \
    X(nvrtcResult, nvrtcGetSupportedArchs, (int *))                                                \
    X(nvrtcResult, nvrtcCreateProgram,                                                             \
      (nvrtcProgram *, const char *, const char *, int, const char *const *, const char *const *)) \
    X(nvrtcResult, nvrtcCompileProgram, (nvrtcProgram, int, const char *const *))                  \
    X(nvrtcResult, nvrtcDestroyProgram, (nvrtcProgram *))                                          \
    X(nvrtcResult, nvrtcGetCUBINSize, (nvrtcProgram, size_t *))                                    \
    X(nvrtcResult, nvrtcGetCUBIN, (nvrtcProgram, char *))                                          \
    X(nvrtcResult, nvrtcGetPTXSize, (nvrtcProgram, size_t *))                                      \
    X(nvrtcResult, nvrtcGetPTX, (nvrtcProgram, char *))                                            \
    X(nvrtcResult, nvrtcGetProgramLogSize, (nvrtcProgram, size_t *))                               \
    X(nvrtcResult, nvrtcGetProgramLog, (nvrtcProgram, char *))                                     \
    X(const char *, nvrtcGetErrorString, (nvrtcResult))

/* X(name, number): DCNV4I_name is name. */
#define DCNV4I_CUDA_CONSTANTS(X)                          \
    X(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1)       \
    X(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 8) \
    X(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)       \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)   \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)   \
    X(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0)

#define DCNV4I_NVRTC_CONSTANTS(X)                          \
    X(NVRTC_ERROR_OUT_OF_MEMORY, DCNV4I_RTC_OUT_OF_MEMORY) \
    X(NVRTC_ERROR_COMPILATION, DCNV4I_RTC_COMPILATION)

#define DCNV4I_CUDA_ENUMERATOR(name, number) DCNV4I_##name = number,
enum { DCNV4I_CUDA_CONSTANTS(DCNV4I_CUDA_ENUMERATOR) DCNV4I_NVRTC_CONSTANTS(DCNV4I_CUDA_ENUMERATOR) };
#undef DCNV4I_CUDA_ENUMERATOR

/* The loaded entry points of the driver. */
typedef struct dcnv4i_cuda_api {
#define DCNV4I_CUDA_MEMBER(result, name, arguments) result(*name) arguments;
    DCNV4I_CUDA_ENTRIES(DCNV4I_CUDA_MEMBER)
#undef DCNV4I_CUDA_MEMBER
} dcnv4i_cuda_api;

/* The entry points of libcuda.so.1, valid once dcnv4i_cuda_load succeeded. */
extern dcnv4i_cuda_api dcnv4i_cuda;

/* Loads and initialises the driver, once per process. */
dcnv4_status dcnv4i_cuda_load(void);

/* Whether this process has loaded libcuda.so.1 already, whoever did it. */
bool dcnv4i_cuda_in_use(void);

/* The driver's CUDA version, as 100 · major + minor; 0 if it is not loaded. */
int dcnv4i_cuda_version(void);

/* PTX carries the version of the compiler that made it, and older drivers refuse that, whatever it contains: writes the
 * lowest version that the text needs instead, if all of the text is understood. */
void dcnv4i_ptx_lower_version(dcnv4i_binary *text);

/* NVRTC, as the compiler of dcnv4i_cuda_hip_api. */
const char *dcnv4i_cuda_compiler(void);
dcnv4_status dcnv4i_cuda_compile(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                                 dcnv4i_binary *portable);

#endif
