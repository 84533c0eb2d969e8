/* Compiled, never run: the compiler checks our types, prototypes and constants against <cuda.h>. */
#include <cuda.h>

#define DCNV4I_VENDOR_CUDA
#include "../../backends/cuda/cuda_api.h"
#include "../../backends/cuda_hip/cuda_hip_api.h"

/* Our types stand for the header's pointers and enumerations, and must have their sizes. */
#define CHECK_TYPE(name, type) _Static_assert(sizeof(name) == sizeof(type), #name);
DCNV4I_CUDA_TYPES(CHECK_TYPE)

#define CHECK_ENTRY(result, name, arguments) result(*const checked_##name) arguments = name;
DCNV4I_CUDA_ENTRIES(CHECK_ENTRY)

#define CHECK_CONSTANT(name, number) _Static_assert(name == (number), #name);
DCNV4I_CUDA_CONSTANTS(CHECK_CONSTANT)

#define CHECK_ERROR(name, number, cuda, ...) _Static_assert(cuda == (number), #cuda);
DCNV4I_MODULE_ERRORS(CHECK_ERROR)
#define CHECK_OWN_ERROR(name, number, cuda) _Static_assert(cuda == (number), #cuda);
DCNV4I_CUDA_ERRORS(CHECK_OWN_ERROR)
