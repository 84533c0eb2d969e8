/* Compiled, never run: our types, prototypes and numbers are those of <cuda.h>, or the compiler says where not. */
#include <cuda.h>

#define DCNV4I_VENDOR_CUDA
#include "../../backends/cuda/cuda_api.h"
#include "../../backends/cuda_hip/cuda_hip_api.h"

/* Pointers and enumerations have no names of ours there; what they are passed as must have their size. */
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
