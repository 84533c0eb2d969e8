/* The instruction sets of this architecture, and what of them this processor has. */
#include "kernels.h"

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
#include <cpuid.h>

/* clang before 16 knows no such word for __builtin_cpu_supports. */
static bool has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void) {
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
    return false; /* clang's does not see what a masked store writes; it has the portable version to check */
#endif
#endif
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const dcnv4i_isa dcnv4i_isas[] = {
    {"portable", always, dcnv4i_fill_portable},
#if defined(__x86_64__)
    {"avx2", has_avx2, dcnv4i_fill_avx2},
    {"avx512", has_avx512, dcnv4i_fill_avx512},
#elif defined(__aarch64__)
    {"neon", always, dcnv4i_fill_neon},
#endif
};

const int dcnv4i_isa_count = sizeof dcnv4i_isas / sizeof *dcnv4i_isas;
