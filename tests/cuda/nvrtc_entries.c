/* Compiled, never run: the compiler checks our types, prototypes and constants against <nvrtc.h>. */
#include <nvrtc.h>

#define DCNV4I_VENDOR_NVRTC
#include "../../backends/cuda/cuda_api.h"

#define CHECK_TYPE(name, type) _Static_assert(sizeof(name) == sizeof(type), #name);
DCNV4I_NVRTC_TYPES(CHECK_TYPE)

#define CHECK_ENTRY(result, name, arguments) result(*const checked_##name) arguments = name;
DCNV4I_NVRTC_ENTRIES(CHECK_ENTRY)

#define CHECK_CONSTANT(name, number) _Static_assert((int)name == (int)(number), #name);
DCNV4I_NVRTC_CONSTANTS(CHECK_CONSTANT)
