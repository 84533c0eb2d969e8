/* What every test program starts from: cmocka, the devices to try, random numbers, and a count of cases, so that a
 * program that tried nothing fails. */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four headers above. */
#include <cmocka.h>

#include <dcnv4/dcnv4.h>

/* Runs the tests. program [BACKEND [all]] tries the devices of one backend, or of all. Returns main's result: 0; 1 if a test
 * failed or no case was counted; 77 (CTest's "skipped") if the backend has no device here. */
int harness_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count);
#define HARNESS_RUN(argc, argv, tests) harness_run(argc, argv, tests, sizeof(tests) / sizeof *(tests))

/* Counts one case: call it beside each check that could have failed. Not for use from several threads at once. */
void count_case(void);

/* The devices to try, NULL at the end: the available ones, and "cpu:ISA" for each instruction set of the cpu. */
const char *const *devices_to_try(void);

/* Whether "all" was given: every case, also on slow devices. */
bool tries_all(void);

/* Whether tensors of this device lie in host memory. */
bool on_host(const char *device);

/* Fails the test with the library's message unless status is the expected one. */
void assert_status(dcnv4_status status, dcnv4_status expected, const char *what);
#define ASSERT_SUCCESS(call) assert_status((call), DCNV4_SUCCESS, #call)

/* Fails the test unless status is the expected one and the message contains text. */
void assert_refused(dcnv4_status status, dcnv4_status expected, const char *text);

/* Random numbers: the same for the same seed, everywhere. */
uint64_t draw_bits(uint64_t *seed);
double draw_between(uint64_t *seed, double low, double high);
int64_t draw_integer(uint64_t *seed, int64_t low, int64_t high); /* both included */

/* for (EACH_DTYPE(dtype)) … */
#define EACH_DTYPE(dtype)          \
    int32_t dtype = DCNV4_FLOAT32; \
    dtype <= DCNV4_FLOAT64;        \
    ++dtype
const char *dtype_name(int32_t dtype);
size_t item_size(int32_t dtype);

/* malloc that fails the test instead of returning NULL; 0 bytes give a pointer too. */
void *allocate(size_t bytes);

#endif
