#include "instruction_sets.h"

/* Each in simd/rows_NAME.c. */
#define DCNV4I_INSTRUCTION_SET(name) extern const dcnv4i_rows dcnv4i_rows_##name##_f32, dcnv4i_rows_##name##_f64;
#include "instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET

static bool has_portable(void) {
    return true;
}

#if defined(__x86_64__)
#include <cpuid.h>

/* What the processor and the operating system support. CPUID is queried directly: __builtin_cpu_supports reports
 * nothing as supported where zig cc is the compiler (findings/zig-cpu-supports.sh), and in clang before 16 does not
 * know "f16c". */
enum { YMM_STATE = 6, ZMM_STATE = 0xe6 }; /* registers that the system saves, as XGETBV reports them */

static bool saves(unsigned state) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return (low & state) == state;
}

static unsigned features_of_leaf_7(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

static bool has_avx2(void) {
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
    return false; /* MemorySanitizer does not see what masked stores write; it checks the portable kernels instead */
#endif
#endif
    const unsigned needed = bit_AVX | bit_FMA | bit_F16C;
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & needed) == needed && saves(YMM_STATE) &&
           (features_of_leaf_7() & bit_AVX2);
}

/* A test that emulates the instructions defines this as 1. */
#ifndef DCNV4I_ASSUME_AVX512
#define DCNV4I_ASSUME_AVX512 0
#endif

static bool has_avx512(void) {
    const unsigned needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    return DCNV4I_ASSUME_AVX512 || (has_avx2() && saves(ZMM_STATE) && (features_of_leaf_7() & needed) == needed);
}
#endif

#if defined(__aarch64__)
static bool has_neon(void) {
    return true; /* a part of the architecture */
}
#endif

const dcnv4i_instruction_set dcnv4i_instruction_sets[DCNV4I_INSTRUCTION_SETS] = {
#define DCNV4I_INSTRUCTION_SET(name) {#name, has_##name, &dcnv4i_rows_##name##_f32, &dcnv4i_rows_##name##_f64},
#include "instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET
};

const dcnv4i_rows *dcnv4i_rows_for(dcnv4i_instruction_set_id id, int32_t dtype) {
    const dcnv4i_instruction_set *set = &dcnv4i_instruction_sets[id];
    return dtype == DCNV4_FLOAT64 ? set->rows_f64 : set->rows_f32;
}
