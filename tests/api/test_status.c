/* Statuses, messages and the version. */
#include "../support/harness.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void numbers_are_pinned(void **state) {
    (void)state;
    static const struct {
        dcnv4_status status;
        int number;
        const char *name;
    } pinned[] = {
        {DCNV4_SUCCESS, 0, "success"},
        {DCNV4_INVALID_ARGUMENT, 1, "invalid argument"},
        {DCNV4_INVALID_PROBLEM, 2, "invalid problem"},
        {DCNV4_UNSUPPORTED, 3, "unsupported"},
        {DCNV4_OUT_OF_MEMORY, 4, "out of memory"},
        {DCNV4_DEVICE_UNAVAILABLE, 5, "device unavailable"},
        {DCNV4_OUT_OF_DEVICE_MEMORY, 6, "out of device memory"},
        {DCNV4_DEVICE_LOST, 7, "device lost"},
        {DCNV4_DRIVER_ERROR, 8, "driver error"},
        {DCNV4_COMPILER_UNAVAILABLE, 9, "compiler unavailable"},
        {DCNV4_BUILD_FAILED, 10, "build failed"},
        {DCNV4_FORKED, 11, "forked"},
    };
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; ++i) {
        assert_int_equal(pinned[i].status, pinned[i].number);
        assert_string_equal(dcnv4_status_name(pinned[i].status), pinned[i].name);
        count_case();
    }
    assert_int_equal(DCNV4_FLOAT32, 0);
    assert_int_equal(DCNV4_FLOAT16, 1);
    assert_int_equal(DCNV4_BFLOAT16, 2);
    assert_int_equal(DCNV4_FLOAT64, 3);
    assert_int_equal(DCNV4_PASS_FORWARD, 0);
    assert_int_equal(DCNV4_PASS_BACKWARD, 1);
}

static void names_of_no_status(void **state) {
    (void)state;
    static const int numbers[] = {-1, 12, 1000, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        assert_string_equal(dcnv4_status_name((dcnv4_status)numbers[i]), "unknown status");
        count_case();
    }
}

/* Makes a call fail with a message that contains this number. */
static void fail_with(int64_t number) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    problem.batch = -number;
    dcnv4_problem_sizes(&problem, &sizes);
}

enum { THREADS = 4 };
typedef struct fresh_thread {
    int64_t number;
    char before[64];
    char after[512];
} fresh_thread;

static pthread_barrier_t all_failed;

static void *fail_and_wait(void *argument) {
    fresh_thread *self = argument;
    snprintf(self->before, sizeof self->before, "%s", dcnv4_last_message());
    fail_with(self->number);
    pthread_barrier_wait(&all_failed);
    snprintf(self->after, sizeof self->after, "%s", dcnv4_last_message());
    return NULL;
}

static void messages_are_per_thread(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    fresh_thread selves[THREADS];
    fail_with(777);
    assert_int_equal(pthread_barrier_init(&all_failed, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; ++i) {
        selves[i].number = 1000 + i;
        assert_int_equal(pthread_create(&threads[i], NULL, fail_and_wait, &selves[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        char number[16];
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        snprintf(number, sizeof number, "-%d", 1000 + i);
        assert_string_equal(selves[i].before, "");
        assert_non_null(strstr(selves[i].after, number));
        count_case();
    }
    pthread_barrier_destroy(&all_failed);
    assert_non_null(strstr(dcnv4_last_message(), "-777"));
}

static void a_success_keeps_the_message(void **state) {
    (void)state;
    fail_with(4242);
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    problem.group_channels = 1;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    assert_non_null(strstr(dcnv4_last_message(), "-4242"));
    count_case();
}

/* A long message is truncated and still ends with a zero byte. */
static void long_names_are_cut(void **state) {
    (void)state;
    static char name[1 << 16];
    memset(name, 'x', sizeof name - 1);
    dcnv4_context *context = NULL;
    assert_refused(dcnv4_context_create(name, &context), DCNV4_INVALID_ARGUMENT, "xxxx");
    assert_true(strlen(dcnv4_last_message()) < 512);
    memcpy(name, "cpu:", 4);
    assert_true(dcnv4_context_create(name, &context) != DCNV4_SUCCESS);
    memcpy(name, "%s%n:", 5);
    assert_refused(dcnv4_context_create(name, &context), DCNV4_INVALID_ARGUMENT, "%s%n:");
    assert_null(context);
}

static void version_is_the_headers(void **state) {
    (void)state;
    char version[64];
    snprintf(version, sizeof version, "%d.%d.%d", DCNV4_VERSION_MAJOR, DCNV4_VERSION_MINOR, DCNV4_VERSION_PATCH);
    assert_string_equal(dcnv4_version(), version);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_pinned),      cmocka_unit_test(names_of_no_status),
        cmocka_unit_test(messages_are_per_thread), cmocka_unit_test(a_success_keeps_the_message),
        cmocka_unit_test(long_names_are_cut),      cmocka_unit_test(version_is_the_headers),
    };
    return HARNESS_RUN(argc, argv, tests);
}
