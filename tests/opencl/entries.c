/* Compiled, never run: the compiler checks our prototypes and constants against <CL/cl.h>. */
#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include "../../backends/opencl/opencl_api.h"

#define CHECK_ENTRY(result, name, arguments) result(CL_API_CALL *const checked_##name) arguments = name;
DCNV4I_OPENCL_ENTRIES(CHECK_ENTRY)

#define CHECK_CONSTANT(name, number) _Static_assert(CL_##name == (number), "CL_" #name);
DCNV4I_OPENCL_CONSTANTS(CHECK_CONSTANT)
_Static_assert(CL_DEVICE_TYPE_ALL == DCNV4I_CL_DEVICE_TYPE_ALL, "CL_DEVICE_TYPE_ALL");
