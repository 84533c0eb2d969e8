/* The comparison of a device with the reference, on a device that is right, or wrong in one chosen run. */
#include "../support/harness.h"
#include "../../core/deform_conv_problem.h"
#include "../../core/self_check.h"

#include <string.h>

static dcnv4i_checked known;             /* the remembered result, */
static char words[DCNV4I_CHECK_MESSAGE]; /* and what differed */
static int runs;
static int wrong_run; /* the number of the run that is wrong; 0 for none */
static dcnv4i_deform_conv_tensor wrong_tensor;
static dcnv4_status failure; /* the status of the first run */

static dcnv4i_checked recall(const void *device, char said[DCNV4I_CHECK_MESSAGE]) {
    (void)device;
    strcpy(said, words);
    return known;
}

static void remember(const void *device, dcnv4i_checked outcome, const char *said) {
    (void)device;
    known = outcome;
    strcpy(words, said);
}

/* Runs on the cpu, and then changes one bit of a result if this run is to be wrong. */
static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream) {
    const dcnv4_buffer *const tensor = &buffers->tensors[wrong_tensor];
    if (failure != DCNV4_SUCCESS)
        return dcnv4i_fail(failure, "as the test has it");
    const dcnv4_status status = dcnv4i_backend_cpu.run(program, pass, buffers, stream);
    if (++runs == wrong_run) {
        ((unsigned char *)tensor->handle)[tensor->offset + tensor->length / 2] ^= 1;
    }
    return status;
}

static dcnv4_status check(void) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("cpu:portable", &context));
    dcnv4i_backend backend = *context->backend;
    backend.run = run, backend.check_recall = recall, backend.check_remember = remember;
    const dcnv4i_backend *const own = context->backend;
    context->backend = &backend;
    runs = 0;
    const dcnv4_status status = dcnv4i_self_check(context);
    context->backend = own;
    dcnv4_context_destroy(context);
    count_case();
    return status;
}

static void right(void **state) {
    (void)state;
    known = DCNV4I_NOT_CHECKED, wrong_run = 0, failure = DCNV4_SUCCESS;
    ASSERT_SUCCESS(check());
    assert_int_equal(known, DCNV4I_CHECKED_RIGHT);
    assert_true(runs > 0);
    ASSERT_SUCCESS(check());
    assert_int_equal(runs, 0);
}

/* One bit of one element, in each run. */
static void wrong(void **state) {
    (void)state;
    static const dcnv4i_deform_conv_tensor backward[] = {DCNV4I_GRAD_VALUE, DCNV4I_GRAD_OFFSET_MASK};
    known = DCNV4I_NOT_CHECKED, wrong_run = 0, failure = DCNV4_SUCCESS;
    ASSERT_SUCCESS(check());
    const int all = runs;
    for (int i = 0; i < 2; ++i)
        for (wrong_run = 1; wrong_run <= all; ++wrong_run) { /* forward and backward by turns */
            wrong_tensor = wrong_run % 2 ? DCNV4I_OUTPUT : backward[i];
            known = DCNV4I_NOT_CHECKED;
            assert_refused(check(), DCNV4_DEVICE_UNAVAILABLE, dcnv4i_operator_deform_conv.tensor_names[wrong_tensor]);
            assert_non_null(strstr(dcnv4_last_message(), "in 1 of "));
            assert_non_null(strstr(dcnv4_last_message(), wrong_run <= all / 2 ? "float32" : "float16"));
            assert_int_equal(known, DCNV4I_CHECKED_WRONG);
            assert_refused(check(), DCNV4_DEVICE_UNAVAILABLE, words);
            assert_int_equal(runs, 0);
        }
}

/* If the comparison fails to run, nothing is remembered; without a compiler, the device is used unchecked. */
static void neither(void **state) {
    (void)state;
    static const dcnv4_status failures[] = {DCNV4_OUT_OF_MEMORY, DCNV4_OUT_OF_DEVICE_MEMORY, DCNV4_BUILD_FAILED,
                                            DCNV4_DEVICE_LOST, DCNV4_COMPILER_UNAVAILABLE};
    known = DCNV4I_NOT_CHECKED, wrong_run = 0;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; ++i) {
        failure = failures[i];
        assert_status(check(), failure == DCNV4_COMPILER_UNAVAILABLE ? DCNV4_SUCCESS : failure, "a check");
        assert_int_equal(known, DCNV4I_NOT_CHECKED);
    }
    failure = DCNV4_SUCCESS;
    known = DCNV4I_CHECK_OFF;
    ASSERT_SUCCESS(check());
    assert_int_equal(runs, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right),
        cmocka_unit_test(wrong),
        cmocka_unit_test(neither),
    };
    return HARNESS_RUN(argc, argv, tests);
}
