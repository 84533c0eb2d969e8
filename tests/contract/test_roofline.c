/* dcnv4_roofline_run: which tensors it reads and writes, and what it refuses. */
#include "../support/device_run.h"

#include <stdlib.h>
#include <string.h>

/* The memory roofline reads each input and writes each output: each element becomes the sum of the inputs' elements at
 * the same index. The rest of a tensor after its last whole access of 64 bytes is left out. */
static void assert_moved(const test_layer *layer, const device_run *run, dcnv4_pass pass) {
    test_layer got = layer_make(&layer->problem);
    for (int output = 0; output < TENSORS; ++output) {
        if (!pass_writes(pass, output))
            continue;
        ASSERT_SUCCESS(dcnv4_download(run->context, buffer_of((dcnv4_buffers *)&run->buffers, output),
                                      got.tensors[output], got.bytes[output]));
        const float *const sums = got.tensors[output];
        for (size_t i = 0; i < got.bytes[output] / 64 * 16; ++i) {
            float sum = 0;
            for (int input = 0; input < TENSORS; ++input)
                if (pass_uses(pass, input) && !pass_writes(pass, input) && i < layer->bytes[input] / 64 * 16)
                    sum += ((const float *)layer->tensors[input])[i];
            assert_true(sums[i] == sum);
        }
        count_case();
    }
    layer_free(&got);
}

static void moves_every_tensor(void **state) {
    (void)state;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 9, problem.width = 8, problem.groups = 4, problem.group_channels = 16;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        test_layer layer = layer_make(&problem);
        layer_fill(&layer, 11, 2);
        device_run run = device_run_make(&layer, *device);
        for (EACH_PASS(pass)) {
            const dcnv4_status status = dcnv4_roofline_run(run.plan, pass, DCNV4_ROOFLINE_MEMORY, &run.buffers, NULL);
            assert_status(status, on_host(*device) ? DCNV4_UNSUPPORTED : DCNV4_SUCCESS, *device);
            count_case();
            if (status != DCNV4_SUCCESS)
                continue;
            assert_moved(&layer, &run, pass);
            ASSERT_SUCCESS(dcnv4_roofline_run(run.plan, pass, DCNV4_ROOFLINE_LOADS, &run.buffers, NULL));
            ASSERT_SUCCESS(dcnv4_synchronize(run.context));
        }
        device_run_free(&run);
        layer_free(&layer);
    }
}

static void refuses(void **state) {
    (void)state;
    dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
    problem.forward_only = 1;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        test_layer layer = layer_make(&problem);
        device_run run = device_run_make(&layer, *device);
        const dcnv4_pass pass = DCNV4_PASS_FORWARD;
        assert_refused(dcnv4_roofline_run(NULL, pass, DCNV4_ROOFLINE_LOADS, &run.buffers, NULL), DCNV4_INVALID_ARGUMENT,
                       "plan");
        assert_refused(dcnv4_roofline_run(run.plan, pass, DCNV4_ROOFLINE_LOADS, NULL, NULL), DCNV4_INVALID_ARGUMENT,
                       "NULL");
        assert_refused(dcnv4_roofline_run(run.plan, DCNV4_PASS_BACKWARD, DCNV4_ROOFLINE_LOADS, &run.buffers, NULL),
                       DCNV4_INVALID_ARGUMENT, "no pass 1");
        assert_refused(dcnv4_roofline_run(run.plan, pass, (dcnv4_roofline)2, &run.buffers, NULL),
                       DCNV4_INVALID_ARGUMENT, "no roofline 2");
        dcnv4_buffers short_one = run.buffers;
        short_one.output.length -= 1;
        if (!on_host(*device))
            assert_refused(dcnv4_roofline_run(run.plan, pass, DCNV4_ROOFLINE_LOADS, &short_one, NULL),
                           DCNV4_INVALID_ARGUMENT, "output has");
        count_case();
        device_run_free(&run);
        layer_free(&layer);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves_every_tensor), cmocka_unit_test(refuses)};
    return HARNESS_RUN(argc, argv, tests);
}
