/* Compiled, never run: the compiler checks our types, prototypes and constants against <hip/hip_runtime_api.h> and
 * <hip/hiprtc.h>. */
#define __HIP_PLATFORM_AMD__
#include <hip/hip_runtime_api.h>
#include <hip/hiprtc.h>

/* HIP 7 adds const to the lists of texts that hipRTC takes, which does not change the calling convention. */
#if HIP_VERSION_MAJOR >= 7
typedef const char *const *dcnv4i_hiprtc_texts;
#else
typedef const char **dcnv4i_hiprtc_texts;
#endif
typedef hipDeviceProp_t dcnv4i_hip_properties;

#define DCNV4I_VENDOR_HIP
#include "../../backends/hip/hip_api.h"
#include "../../backends/cuda_hip/cuda_hip_api.h"

#define CHECK_TYPE(name, type) _Static_assert(sizeof(name) == sizeof(type), #name);
DCNV4I_HIP_TYPES(CHECK_TYPE)

#define CHECK_ENTRY(result, name, arguments) result(*const checked_##name) arguments = name;
DCNV4I_HIP_ENTRIES(CHECK_ENTRY)
DCNV4I_HIPRTC_ENTRIES(CHECK_ENTRY)

/* The header has one of the two, by a macro from HIP 6 on. */
hipError_t (*const checked_properties)(dcnv4i_hip_properties *, int) = hipGetDeviceProperties;
_Static_assert(sizeof(dcnv4i_hip_properties) <= 4096, "room for the properties");

#define CHECK_CONSTANT(name, number) _Static_assert((int)name == (int)(number), #name);
DCNV4I_HIP_CONSTANTS(CHECK_CONSTANT)

#define CHECK_ERROR(name, number, cuda, hip) _Static_assert(hip == (number), #hip);
DCNV4I_MODULE_ERRORS(CHECK_ERROR)
