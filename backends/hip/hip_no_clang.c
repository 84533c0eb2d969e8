/* In place of hip_clang.c on Windows, where no other program is started. */
#include "hip_api.h"

dcnv4_status dcnv4i_hip_clang(const char *target, const char *source, dcnv4i_binary *binary) {
    (void)source;
    (void)binary;
    return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE, "no clang is looked for on Windows to compile for %.64s", target);
}
