#include <stddef.h>

#include "cmocka.h"

jmp_buf cmocka_failed;

int _cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count, void *setup,
                            void *teardown) {
    volatile int failures = 0;
    (void)name, (void)setup, (void)teardown;
    for (volatile size_t i = 0; i < count; ++i) {
        void *state = NULL;
        printf("%s\n", tests[i].name);
        fflush(stdout);
        if (setjmp(cmocka_failed) == 0)
            tests[i].test(&state);
        else
            ++failures;
    }
    printf("%zu tests, %d failed\n", count, failures);
    return failures;
}
