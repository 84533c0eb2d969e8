/* A program that counts no case, which must not pass. */
#include "../support/harness.h"

static void no_case(void **state) {
    (void)state;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_case)};
    return HARNESS_RUN(argc, argv, tests);
}
