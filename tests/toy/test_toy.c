/* A second operator, added by a line in operators.def and its own files alone, runs on the reference, the cpu and OpenCL. */
#include "../../core/plan.h"
#include "../support/harness.h"
#include "resize.h"

#include <math.h>
#include <stdlib.h>

static const resize_params shapes[] = {
    {2, 5, 7, 16, 9, 11},  {1, 8, 8, 32, 4, 4}, {3, 4, 6, 8, 4, 6},      {1, 2, 2, 48, 13, 3},
    {2, 16, 3, 16, 5, 20}, {1, 1, 9, 16, 3, 5}, {1, 64, 48, 64, 96, 80},
};

/* Runs a pass with x and y as its input and output, on host memory or copies of it. */
static void run(dcnv4_context *context, const resize_params *params, dcnv4_pass pass, const float *x, float *y) {
    dcnv4_plan *plan = NULL;
    dcnv4i_buffers buffers = {.workspace = {NULL, 0, 0}};
    const int from = pass == DCNV4_PASS_FORWARD ? RESIZE_VALUE : RESIZE_GRAD_OUTPUT;
    const int to = pass == DCNV4_PASS_FORWARD ? RESIZE_OUTPUT : RESIZE_GRAD_VALUE;
    ASSERT_SUCCESS(dcnv4i_plan_open(context, &dcnv4i_operator_resize, params, &plan));
    const size_t from_bytes = plan->problem->tensors[from].bytes, to_bytes = plan->problem->tensors[to].bytes;
    ASSERT_SUCCESS(dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, pass), &buffers.workspace));
    ASSERT_SUCCESS(dcnv4_buffer_create(context, from_bytes, &buffers.tensors[from]));
    ASSERT_SUCCESS(dcnv4_buffer_create(context, to_bytes, &buffers.tensors[to]));
    ASSERT_SUCCESS(dcnv4_upload(context, &buffers.tensors[from], x, from_bytes));
    ASSERT_SUCCESS(dcnv4i_plan_run(plan, pass, &buffers, NULL));
    ASSERT_SUCCESS(dcnv4_synchronize(context));
    ASSERT_SUCCESS(dcnv4_download(context, &buffers.tensors[to], y, to_bytes));
    dcnv4_buffer_destroy(context, &buffers.workspace);
    dcnv4_buffer_destroy(context, &buffers.tensors[from]);
    dcnv4_buffer_destroy(context, &buffers.tensors[to]);
    dcnv4_plan_destroy(plan);
}

static void agrees_with_the_reference(const char *device, const resize_params *params, dcnv4_pass pass) {
    const int64_t input = params->batch * params->height * params->width * params->channels;
    const int64_t output = params->batch * params->output_height * params->output_width * params->channels;
    const int64_t from = pass == DCNV4_PASS_FORWARD ? input : output, to = pass == DCNV4_PASS_FORWARD ? output : input;
    float *const x = allocate((size_t)from * sizeof *x), *const y = allocate((size_t)to * sizeof *y);
    float *const expected = allocate((size_t)to * sizeof *expected);
    dcnv4_context *context = NULL, *reference = NULL;
    for (int64_t i = 0; i < from; ++i)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_context_create("reference", &reference));
    run(context, params, pass, x, y);
    run(reference, params, pass, x, expected);
    for (int64_t i = 0; i < to; ++i)
        if (!(fabsf(y[i] - expected[i]) <= 1e-5f * (1 + fabsf(expected[i]))))
            fail_msg("%s, pass %d: element %lld is %g instead of %g", device, (int)pass, (long long)i, (double)y[i],
                     (double)expected[i]);
    dcnv4_context_destroy(context);
    dcnv4_context_destroy(reference);
    free(x), free(y), free(expected);
    count_case();
}

static void both_passes_on_every_device(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
            for (int pass = 0; pass < 2; ++pass)
                agrees_with_the_reference(*device, &shapes[i], (dcnv4_pass)pass);
}

/* DCNv4's functions do not take the other operator's plans. */
static void plans_are_told_apart(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    const dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    ASSERT_SUCCESS(dcnv4i_plan_open(context, &dcnv4i_operator_resize, &shapes[0], &plan));
    assert_refused(dcnv4_forward(plan, &buffers, NULL), DCNV4_INVALID_ARGUMENT, "resize");
    assert_refused(dcnv4_backward(plan, &buffers, NULL), DCNV4_INVALID_ARGUMENT, "resize");
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_passes_on_every_device),
        cmocka_unit_test(plans_are_told_apart),
    };
    return HARNESS_RUN(argc, argv, tests);
}
