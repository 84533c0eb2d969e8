/* The tactics of each part: each gives the right result, and the one that is saved is used. They are saved for a layer
 * that no test running in parallel uses. */
#include "../support/device_run.h"

#include <stdlib.h>
#include <string.h>

static const int written[] = {OUTPUT, GRAD_OFFSET_MASK, GRAD_VALUE}; /* by dcnv4_part */

#define EACH_PART(part)                  \
    dcnv4_part part = DCNV4_PART_OUTPUT; \
    part <= DCNV4_PART_GRAD_VALUE;       \
    part = (dcnv4_part)(part + 1)

static dcnv4_pass pass_of(dcnv4_part part) {
    return part == DCNV4_PART_OUTPUT ? DCNV4_PASS_FORWARD : DCNV4_PASS_BACKWARD;
}

/* The layer of test_tune.c, so that kernels are compiled once for both. */
static dcnv4_problem the_layer(void) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 2, problem.height = 11, problem.width = 19, problem.groups = 2, problem.group_channels = 16;
    problem.offset_scale = 0.75;
    return problem;
}

/* On a GPU a tactic has no kernels for misaligned tensors. */
static void check_misaligned(const device_run *run, const dcnv4_plan *tactic, dcnv4_pass pass,
                             const dcnv4_buffers *buffers) {
    dcnv4_buffers moved = *buffers;
    dcnv4_kernel_info kernel = DCNV4_KERNEL_INFO_INIT;
    ASSERT_SUCCESS(dcnv4_kernel_info_get(tactic, 0, &kernel));
    if (!kernel.aligned)
        return;
    ASSERT_SUCCESS(dcnv4_buffer_create(run->context, buffers->value.length + 4, &moved.value));
    moved.value.offset += 4, moved.value.length -= 4;
    assert_refused(run_pass(tactic, pass, &moved), DCNV4_INVALID_ARGUMENT, "multiples of 32");
    moved.value.offset -= 4, moved.value.length += 4;
    dcnv4_buffer_destroy(run->context, &moved.value);
}

/* Checks that a tactic gives its part's result and writes no other. */
static void check_tactic(device_run *run, test_layer *layer, const test_layer *expected, dcnv4_part part,
                         int64_t index) {
    dcnv4_plan *tactic = NULL;
    dcnv4_buffers buffers = run->buffers;
    const dcnv4_pass pass = pass_of(part);
    ASSERT_SUCCESS(dcnv4_tactic_create(run->plan, part, index, &tactic));
    layer_clear(layer);
    for (int i = 0; i < 3; ++i)
        device_run_upload(run, layer, written[i]);
    buffers.workspace = (dcnv4_buffer){NULL, 0, 0};
    ASSERT_SUCCESS(dcnv4_buffer_create(run->context, dcnv4_plan_workspace_size(tactic, pass), &buffers.workspace));
    ASSERT_SUCCESS(run_pass(tactic, pass, &buffers));
    for (int i = 0; i < 3; ++i)
        device_run_download(run, layer, written[i]);
    assert_tensor_close(layer, expected, written[part], dtype_bound(layer->problem.dtype), "a tactic");
    for (int i = 0; i < 3; ++i)
        if (i != (int)part)
            for (size_t b = 0; b < layer->bytes[written[i]]; ++b)
                assert_int_equal(((unsigned char *)layer->tensors[written[i]])[b], UNTOUCHED);
    check_misaligned(run, tactic, pass, &buffers);
    const dcnv4_pass other = (dcnv4_pass)(1 - (int)pass);
    assert_refused(run_pass(tactic, other, &buffers), DCNV4_INVALID_ARGUMENT, "is a tactic");
    assert_int_equal(dcnv4_plan_workspace_size(tactic, other), 0);
    assert_int_equal(dcnv4_tactic_count(tactic, part), 0);
    assert_true(dcnv4_kernel_count(tactic) > 0);
    dcnv4_buffer_destroy(run->context, &buffers.workspace);
    dcnv4_plan_destroy(tactic);
    count_case();
}

/* Which tactic a new program would use. */
static int64_t used(const test_layer *layer, const char *device, dcnv4_part part) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    int64_t index = -1;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &layer->problem, &plan));
    for (int64_t i = 0; i < dcnv4_tactic_count(plan, part); ++i) {
        dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_tactic_info_get(plan, part, i, &info));
        assert_true(info.description[0] != '\0');
        assert_true(!info.in_use || index < 0);
        if (info.in_use)
            index = i;
    }
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    count_case();
    return index;
}

static void forget(const device_run *run) {
    for (EACH_PART(part))
        ASSERT_SUCCESS(dcnv4_tactic_save(run->plan, part, 0));
}

/* Each takes seconds to compile, so only some are tried unless "all" was given. */
static void every_tactic(void **state) {
    (void)state;
    const dcnv4_problem problem = the_layer();
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (on_host(*device))
            continue;
        test_layer layer = layer_make(&problem), expected = layer_make(&problem);
        layer_fill(&layer, 83, 3);
        layer_fill(&expected, 83, 3);
        layer_both(&expected, "reference");
        device_run run = device_run_make(&layer, *device);
        for (EACH_PART(part)) {
            const int64_t count = dcnv4_tactic_count(run.plan, part);
            /* A CPU does both parts of backward at once, with one tactic. */
            assert_true(count >= (part == DCNV4_PART_OUTPUT ? 2 : 1) && count <= 12);
            for (int64_t index = 0; index < count; ++index)
                if (tries_all() || index == 1 || index == count - 1)
                    check_tactic(&run, &layer, &expected, part, index);
        }
        device_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* Saves the last tactic of every part: other kernels run, with the same results. */
static void kept(void **state) {
    (void)state;
    const dcnv4_problem problem = the_layer();
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (on_host(*device))
            continue;
        test_layer layer = layer_make(&problem), expected = layer_make(&problem);
        layer_fill(&layer, 89, 3);
        layer_fill(&expected, 89, 3);
        layer_both(&expected, "reference");
        device_run run = device_run_make(&layer, *device);
        forget(&run);
        for (EACH_PART(part)) {
            const int64_t last = dcnv4_tactic_count(run.plan, part) - 1;
            assert_int_equal(used(&layer, *device, part), 0);
            ASSERT_SUCCESS(dcnv4_tactic_save(run.plan, part, last));
            assert_int_equal(used(&layer, *device, part), last);
        }
        layer_both(&layer, *device);
        for (int i = 0; i < 3; ++i)
            assert_tensor_close(&layer, &expected, written[i], dtype_bound(problem.dtype), *device);
        test_layer forward = layer;
        forward.problem.forward_only = 1, forward.problem.height = 5;
        assert_true(used(&forward, *device, DCNV4_PART_OUTPUT) > 0);
        assert_int_equal(used(&forward, *device, DCNV4_PART_GRAD_VALUE), -1);
        forget(&run);
        for (EACH_PART(part))
            assert_int_equal(used(&layer, *device, part), 0);
        device_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

static void refuses(void **state) {
    (void)state;
    dcnv4_problem problem = the_layer();
    problem.forward_only = 1;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        test_layer layer = layer_make(&problem);
        device_run run = device_run_make(&layer, *device);
        dcnv4_plan *tactic = NULL;
        dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT, small = {.size = sizeof small.size};
        const dcnv4_part output = DCNV4_PART_OUTPUT;
        const int64_t count = dcnv4_tactic_count(run.plan, output), wrong[] = {-1, count, INT64_MAX};
        assert_true(on_host(*device) ? count == 0 : count > 1);
        assert_int_equal(dcnv4_tactic_count(NULL, output), 0);
        assert_int_equal(dcnv4_tactic_count(run.plan, DCNV4_PART_GRAD_VALUE), 0);
        assert_int_equal(dcnv4_tactic_count(run.plan, (dcnv4_part)3), 0);
        assert_int_equal(dcnv4_tactic_count(run.plan, -1), 0);
        for (int i = 0; i < 3; ++i) {
            assert_refused(dcnv4_tactic_info_get(run.plan, output, wrong[i], &info), DCNV4_INVALID_ARGUMENT, "number");
            assert_refused(dcnv4_tactic_create(run.plan, output, wrong[i], &tactic), DCNV4_INVALID_ARGUMENT, "number");
            assert_refused(dcnv4_tactic_save(run.plan, output, wrong[i]), DCNV4_INVALID_ARGUMENT, "number");
        }
        assert_refused(dcnv4_tactic_info_get(run.plan, output, 0, &small), DCNV4_INVALID_ARGUMENT, "size");
        assert_refused(dcnv4_tactic_info_get(run.plan, output, 0, NULL), DCNV4_INVALID_ARGUMENT, "NULL");
        assert_refused(dcnv4_tactic_info_get(NULL, output, 0, &info), DCNV4_INVALID_ARGUMENT, "NULL");
        assert_refused(dcnv4_tactic_create(run.plan, output, 0, NULL), DCNV4_INVALID_ARGUMENT, "NULL");
        assert_refused(dcnv4_tactic_create(NULL, output, 0, &tactic), DCNV4_INVALID_ARGUMENT, "NULL");
        assert_refused(dcnv4_tactic_save(NULL, output, 0), DCNV4_INVALID_ARGUMENT, "NULL");
        count_case();
        device_run_free(&run);
        layer_free(&layer);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tactic),
        cmocka_unit_test(kept),
        cmocka_unit_test(refuses),
    };
    return HARNESS_RUN(argc, argv, tests);
}
