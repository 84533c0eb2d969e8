/* What the tests of devices use of cmocka, for machines that do not have it. */
#ifndef TESTS_CMOCKA_H
#define TESTS_CMOCKA_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
};
#define cmocka_unit_test(function) {#function, function}

extern jmp_buf cmocka_failed;

_Noreturn static inline void cmocka_fail(void) {
    fflush(stdout);
    longjmp(cmocka_failed, 1);
}

#define fail_msg(...) (printf(__VA_ARGS__), printf("\n%s:%d: the test failed\n", __FILE__, __LINE__), cmocka_fail())
#define print_error(...) printf(__VA_ARGS__)
#define assert_true(a) ((a) ? (void)0 : fail_msg("%s is false", #a))
#define assert_false(a) assert_true(!(a))
#define assert_non_null(a) assert_true((a) != NULL)
#define assert_null(a) assert_true((a) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b)                  \
    ((long long)(a) == (long long)(b) ? (void)0 \
                                      : fail_msg("%s is %lld, %s is %lld", #a, (long long)(a), #b, (long long)(b)))
#define assert_int_not_equal(a, b) assert_true((a) != (b))
#define assert_string_equal(a, b) (strcmp(a, b) == 0 ? (void)0 : fail_msg("%s is \"%s\", not \"%s\"", #a, a, b))
#define assert_string_not_equal(a, b) (strcmp(a, b) != 0 ? (void)0 : fail_msg("%s is \"%s\"", #a, a))
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define assert_in_range(a, low, high) assert_true((a) >= (low) && (a) <= (high))

/* Returns how many tests failed. */
int _cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count, void *setup,
                            void *teardown);
#define cmocka_run_group_tests(tests, setup, teardown) \
    _cmocka_run_group_tests(#tests, tests, sizeof(tests) / sizeof *(tests), setup, teardown)

#endif
