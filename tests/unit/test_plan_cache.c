/* bindings/plan_cache: calls as frameworks describe them give the library's results, from any number of threads. */
#include "../support/harness.h"

#include "../../bindings/plan_cache/plan_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, H = 5, W = 6, C = 8, ROW = 56, WIDE = 80, NUMBERS = N * H * W * WIDE };

static plan_tensor tensor(void *data, int rank, const int64_t *shape) {
    plan_tensor made = {.data = data, .dtype = DCNV4_FLOAT32, .rank = rank};
    memcpy(made.shape, shape, (size_t)rank * sizeof *shape);
    plan_tensor_dense(&made);
    return made;
}

static float *numbers(size_t count, double low, double high) {
    uint64_t seed = 7;
    float *const made = allocate(count * sizeof *made);
    for (size_t k = 0; k < count; ++k)
        made[k] = (float)draw_between(&seed, low, high);
    return made;
}

static dcnv4_problem layer(void) {
    dcnv4_problem made = DCNV4_PROBLEM_INIT;
    made.groups = 2;
    return made;
}

/* value and offset_mask side by side in the rows of one tensor, and an output of its own. */
static void conv_tensors(plan_tensor *tensors, float *fused, float *output, int64_t batch) {
    memset(tensors, 0, PLAN_CONV_TENSORS * sizeof *tensors);
    tensors[PLAN_CONV_VALUE] = tensor(fused, 4, (const int64_t[]){batch, H, W, C});
    tensors[PLAN_CONV_OFFSET_MASK] = tensor(fused + C, 4, (const int64_t[]){batch, H, W, ROW});
    for (int k = 0; k < 2; ++k)
        for (int axis = 0, rows[] = {H * W, W, 1}; axis < 3; ++axis)
            tensors[k].strides[axis] = (int64_t)rows[axis] * WIDE;
    tensors[PLAN_CONV_OUTPUT] = tensor(output, 4, (const int64_t[]){batch, H, W, C});
}

/* The same layer without the cache. */
static void run_directly(float *fused, float *output) {
    dcnv4_problem problem = layer();
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    problem.batch = N, problem.height = H, problem.width = W, problem.group_channels = C / 2;
    problem.offset_mask_row = ROW, problem.value_stride = problem.offset_mask_stride = WIDE;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    buffers.value = dcnv4_host_buffer(fused, sizes.value);
    buffers.offset_mask = dcnv4_host_buffer(fused + C, sizes.offset_mask);
    buffers.output = dcnv4_host_buffer(output, sizes.output);
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    ASSERT_SUCCESS(dcnv4_forward(plan, &buffers, NULL));
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

typedef struct caller {
    plan_cache *cache;
    float *fused;
    const float *expected;
    int failed;
} caller;

/* Runs batches of 1 to N, and sizes that throw plans out of the cache. */
static void *call_often(void *argument) {
    caller *const self = argument;
    float *const output = allocate(N * H * W * C * sizeof *output);
    const dcnv4_problem parameters = layer();
    for (int round = 0; round < 700; ++round) {
        plan_tensor tensors[PLAN_CONV_TENSORS];
        dcnv4_problem other = parameters;
        other.offset_scale = round % 7 == 0 ? 1.0 : 1.0 + round;
        const int64_t batch = 1 + round % N;
        conv_tensors(tensors, self->fused, output, batch);
        plan_call call = {.device = "cpu", .threads = 1, .pass = DCNV4_PASS_FORWARD};
        if (plan_conv_find(self->cache, &other, tensors, &call) != DCNV4_SUCCESS ||
            plan_run(&call, tensors, NULL, NULL) != DCNV4_SUCCESS)
            ++self->failed;
        else if (other.offset_scale == 1.0)
            self->failed += memcmp(output, self->expected, (size_t)batch * H * W * C * sizeof *output) != 0;
    }
    free(output);
    return NULL;
}

static void two_threads_get_the_librarys_results(void **state) {
    (void)state;
    float *const fused = numbers(NUMBERS, -2, 2), *const expected = numbers(N * H * W * C, 0, 1);
    run_directly(fused, expected);
    caller callers[2] = {{plan_cache_create(), fused, expected, 0}};
    callers[1] = callers[0];
    assert_non_null(callers[0].cache);
    pthread_t threads[2];
    for (int k = 0; k < 2; ++k)
        assert_int_equal(pthread_create(&threads[k], NULL, call_often, &callers[k]), 0);
    for (int k = 0; k < 2; ++k) {
        assert_int_equal(pthread_join(threads[k], NULL), 0);
        assert_int_equal(callers[k].failed, 0);
        count_case();
    }
    plan_cache_destroy(callers[0].cache);
    free(fused), free(expected);
}

/* float16 sums in float32, for which backward has a workspace. */
static void a_workspace_is_found(void **state) {
    (void)state;
    plan_cache *const cache = plan_cache_create();
    float *const zeros = calloc(4 * NUMBERS, sizeof *zeros);
    plan_tensor tensors[PLAN_CONV_TENSORS];
    const dcnv4_problem parameters = layer();
    assert_non_null(zeros);
    for (int again = 0; again < 2; ++again) {
        conv_tensors(tensors, zeros, zeros + NUMBERS, N);
        tensors[PLAN_CONV_GRAD_OUTPUT] = tensors[PLAN_CONV_OUTPUT];
        tensors[PLAN_CONV_GRAD_VALUE] = tensor(zeros + 2 * NUMBERS, 4, tensors[PLAN_CONV_VALUE].shape);
        tensors[PLAN_CONV_GRAD_OFFSET_MASK] = tensor(zeros + 3 * NUMBERS, 4, tensors[PLAN_CONV_OFFSET_MASK].shape);
        for (int k = 0; k < PLAN_CONV_TENSORS; ++k)
            tensors[k].dtype = DCNV4_FLOAT16;
        plan_call call = {.device = "cpu", .threads = 2, .pass = DCNV4_PASS_BACKWARD};
        ASSERT_SUCCESS(plan_conv_find(cache, &parameters, tensors, &call));
        assert_true(call.workspace > 0);
        ASSERT_SUCCESS(plan_run(&call, tensors, NULL, NULL));
        count_case();
    }
    plan_cache_destroy(cache);
    free(zeros);
}

/* Packed locations in the centre of the only place: the output is the value. */
static void attention_runs(void **state) {
    (void)state;
    plan_cache *const cache = plan_cache_create();
    float value[] = {1, 2, 3, 4}, locations[] = {0.5f, 0.5f, 0}, output[4] = {0};
    int64_t shapes[] = {1, 1}, starts[] = {0};
    const dcnv4_msda_level level = {1, 1, 0, 1};
    for (int in_tables = 0; in_tables < 2; ++in_tables) {
        plan_tensor tensors[PLAN_ATTENTION_TENSORS] = {{0}};
        dcnv4_msda_problem problem = DCNV4_MSDA_PROBLEM_INIT;
        problem.levels = &level, problem.level_count = 1, problem.packed = problem.softmax = 1;
        tensors[PLAN_ATTENTION_VALUE] = tensor(value, 4, (const int64_t[]){1, 1, 1, 4});
        tensors[PLAN_ATTENTION_LOCATIONS] = tensor(locations, 4, (const int64_t[]){1, 1, 1, 3});
        tensors[PLAN_ATTENTION_OUTPUT] = tensor(output, 3, (const int64_t[]){1, 1, 4});
        if (in_tables) {
            tensors[PLAN_ATTENTION_LEVEL_SHAPES] = tensor(shapes, 2, (const int64_t[]){1, 2});
            tensors[PLAN_ATTENTION_LEVEL_STARTS] = tensor(starts, 1, (const int64_t[]){1});
            tensors[PLAN_ATTENTION_LEVEL_SHAPES].dtype = tensors[PLAN_ATTENTION_LEVEL_STARTS].dtype = PLAN_INT64;
        }
        plan_call call = {.device = "cpu", .pass = DCNV4_PASS_FORWARD};
        memset(output, 0, sizeof output);
        ASSERT_SUCCESS(plan_attention_find(cache, &problem, tensors, &call));
        ASSERT_SUCCESS(plan_run(&call, tensors, NULL, NULL));
        assert_memory_equal(output, value, sizeof value);
        count_case();
    }
    plan_cache_destroy(cache);
}

static void assert_sentence(plan_cache *cache, const plan_tensor *tensors, const char *device, dcnv4_status expected,
                            const char *text) {
    const dcnv4_problem parameters = layer();
    plan_call call = {.device = device, .pass = DCNV4_PASS_FORWARD};
    assert_int_equal(plan_conv_find(cache, &parameters, tensors, &call), expected);
    if (!strstr(call.message, text))
        fail_msg("'%s' lacks '%s'", call.message, text);
    count_case();
}

static void bad_calls_get_a_sentence(void **state) {
    (void)state;
    plan_cache *const cache = plan_cache_create();
    float *const fused = numbers(NUMBERS, -2, 2);
    plan_tensor good[PLAN_CONV_TENSORS], bad[PLAN_CONV_TENSORS];
    conv_tensors(good, fused, fused, N);
#define BAD(change, device, status, text)                  \
    do {                                                   \
        memcpy(bad, good, sizeof good);                    \
        change;                                            \
        assert_sentence(cache, bad, device, status, text); \
    } while (0)
    BAD(bad[0].rank = 3, "cpu", DCNV4_INVALID_PROBLEM, "value has shape [2, 5, 6], [N, H, W, C] is needed");
    BAD(bad[0].rank = 9, "cpu", DCNV4_INVALID_PROBLEM, "value has 9 axes");
    BAD(bad[0].rank = 0, "cpu", DCNV4_INVALID_PROBLEM, "value is missing");
    BAD(bad[0].shape[3] = 7, "cpu", DCNV4_INVALID_PROBLEM, "value has 7 channels, which 2 groups do not divide");
    BAD(bad[1].shape[2] = 7, "cpu", DCNV4_INVALID_PROBLEM, "offset_mask has shape [2, 5, 7, 56], [2, 5, 6, 56]");
    BAD(bad[1].dtype = DCNV4_FLOAT64, "cpu", DCNV4_INVALID_PROBLEM, "offset_mask_dtype");
    BAD(bad[1].dtype = PLAN_OTHER_DTYPE, "cpu", DCNV4_INVALID_PROBLEM, "offset_mask is of another dtype");
    BAD(bad[2].shape[0] = 3, "cpu", DCNV4_INVALID_PROBLEM, "output has shape [3, 5, 6, 8], [2, 5, 6, 8] is needed");
    BAD(bad[2].dtype = DCNV4_FLOAT16, "cpu", DCNV4_INVALID_PROBLEM, "output is not of the dtype of value");
    BAD(bad[0].strides[2] = 0, "cpu", DCNV4_UNSUPPORTED, "the rows of value");
    BAD(bad[0].strides[3] = 2, "cpu", DCNV4_UNSUPPORTED, "the rows of value");
    BAD(bad[0].strides[0] = -1, "cpu", DCNV4_UNSUPPORTED, "the rows of value");
    BAD((void)bad, "toaster", DCNV4_INVALID_ARGUMENT, "toaster");
    BAD((void)bad, "a device with a name of more than thirty characters", DCNV4_INVALID_ARGUMENT, "no device named");
#undef BAD
    plan_cache_destroy(cache);
    plan_cache_destroy(NULL);
    free(fused);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_get_the_librarys_results),
        cmocka_unit_test(a_workspace_is_found),
        cmocka_unit_test(attention_runs),
        cmocka_unit_test(bad_calls_get_a_sentence),
    };
    return HARNESS_RUN(argc, argv, tests);
}
