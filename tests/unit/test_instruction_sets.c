/* Which instruction sets this processor has, compared with the compiler's own functions. */
#include "../../backends/cpu/instruction_sets.h"
#include "../support/harness.h"

#include <string.h>

static bool compiler_says(const char *name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return strcmp(name, "portable") == 0 || strcmp(name, "neon") == 0;
}

static void as_the_compiler_says(void **state) {
    (void)state;
    for (int i = 0; i < DCNV4I_INSTRUCTION_SETS; ++i) {
        const dcnv4i_instruction_set *set = &dcnv4i_instruction_sets[i];
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
        if (i > 0)
            continue; /* it does not track what masked stores write */
#endif
#endif
        if (set->supported() != compiler_says(set->name))
            fail_msg("%s: the library says %d", set->name, set->supported());
        count_case();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_compiler_says)};
    return HARNESS_RUN(argc, argv, tests);
}
