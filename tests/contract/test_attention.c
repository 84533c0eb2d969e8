/* What ms_deform_attn.h promises, on every backend: random problems against the reference, numbers that are not finite, thread
 * counts, problems that are refused. */
#include "../support/attention.h"
#include "../support/test_layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many problems a device is given; elsewhere than on the host each compiles its own kernels. */
static int problems_for(const char *device) {
    return on_host(device) ? 40 : 4;
}

/* Compares problem `number` on every device that is given so many, with the reference's results computed once. Frees it. */
static void compare_devices(attention *a, int number) {
    bool wanted = false;
    for (const char *const *device = devices_to_try(); *device; ++device)
        wanted = wanted || number < problems_for(*device);
    if (wanted) {
        attention expected = attention_expected(a);
        for (const char *const *device = devices_to_try(); *device; ++device)
            if (number < problems_for(*device) && takes_dtype(*device, a->problem.dtype))
                attention_compare_to(a, &expected, *device);
        attention_free(&expected);
    }
    attention_free(a);
}

static void random_problems(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype)) {
        uint64_t seed = 18 + (uint64_t)dtype;
        for (int i = 0; i < 40; ++i) {
            attention a = attention_draw(&seed, dtype);
            compare_devices(&a, i);
        }
    }
}

/* Where a number is not finite, exactly what the formula says: in float32 on every device, in the others on the host. */
static void not_finite(void **state) {
    (void)state;
    const double strange[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38};
    for (EACH_DTYPE(dtype)) {
        uint64_t seed = 77 + (uint64_t)dtype;
        for (int i = dtype == DCNV4_FLOAT32 ? 0 : 20; i < 40; ++i) {
            attention a = attention_draw(&seed, dtype);
            const int tensor = (int)draw_integer(&seed, 0, 2);
            const int to = tensor == 2 && !a.problem.packed ? IN_WEIGHTS : tensor == 0 ? IN_VALUE : IN_LOCATIONS;
            for (int k = 0; k < 3 && attention_count(&a, to) > 0; ++k)
                attention_put(&a, to, draw_integer(&seed, 0, attention_count(&a, to) - 1),
                              strange[draw_integer(&seed, 0, 2)]);
            compare_devices(&a, i);
        }
    }
}

/* Gradients have the same bits for every number of threads. */
static void every_thread_count(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        uint64_t seed = 5;
        for (int i = 0; i < 8 && on_host(*device); ++i) {
            attention first = attention_draw(&seed, i % 4);
            for (int threads = 1; threads <= 5; ++threads) {
                attention a = attention_copy(&first);
                dcnv4_context *context = NULL;
                ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
                ASSERT_SUCCESS(dcnv4_context_set_threads(context, threads));
                attention_both(threads == 1 ? &first : &a, context, NULL);
                dcnv4_context_destroy(context);
                for (int r = 0; r < ATTENTION_RESULTS && threads > 1; ++r)
                    assert_memory_equal(a.tensors[attention_results[r]], first.tensors[attention_results[r]],
                                        a.bytes[attention_results[r]]);
                attention_free(&a);
                count_case();
            }
            attention_free(&first);
        }
    }
}

/* Runs forward and backward with a table whose level stands out of value. */
static void run_with_wrong_table(attention *a, const char *device, const char *words) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    attention_both(a, context, on_host(device) ? words : NULL);
    for (int r = 0; r < ATTENTION_RESULTS && !on_host(device); ++r)
        for (int64_t i = 0; i < attention_count(a, attention_results[r]); ++i)
            assert_true(attention_get(a, attention_results[r], i) == 0);
    dcnv4_context_destroy(context);
}

/* Sizes of 0. */
static void empty(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int what = 0; what < 5; ++what) {
            uint64_t seed = 9;
            attention a = attention_draw(&seed, DCNV4_FLOAT32);
            attention_free(&a);
            if (what == 0)
                a.problem.batch = 0;
            else if (what == 1)
                a.problem.queries = 0;
            for (int l = 0; l < a.problem.level_count && what >= 2; ++l)
                *(what == 2 ? &a.levels[l].points : &a.levels[l].height) = 0;
            for (int l = 0; l < a.problem.level_count && what == 4; ++l) /* no place has one right of it */
                a.problem.value_length = 1, a.levels[l].width = 9, a.levels[l].start = 0;
            attention_allocate(&a);
            attention_fill(&a, &seed);
            attention_compare(&a, *device);
            attention_free(&a);
        }
}

static void refused(void **state) {
    (void)state;
    const dcnv4_msda_level two[] = {{4, 5, 0, 3}, {2, 2, 20, 3}};
    dcnv4_msda_problem right = DCNV4_MSDA_PROBLEM_INIT;
    dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
    right.levels = two, right.level_count = 2, right.value_length = 24, right.batch = right.queries = 1;
    right.head_channels = 8;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(&right, &sizes));
    assert_int_equal(sizes.points, 6);
    struct {
        dcnv4_msda_problem problem;
        dcnv4_status status;
        const char *words;
    } cases[16];
    for (int i = 0; i < 16; ++i)
        cases[i].problem = right, cases[i].status = DCNV4_INVALID_PROBLEM;
    const dcnv4_msda_level overlapping[] = {{4, 5, 0, 3}, {2, 2, 19, 3}}, beyond[] = {{4, 5, 0, 3}, {2, 2, 21, 3}};
    const dcnv4_msda_level negative[] = {{4, -5, 0, 3}, {2, 2, 20, 3}},
                           huge[] = {{4, 5, 0, INT64_MAX / 2}, {2, 2, 20, 3}};
    cases[0].problem.levels = overlapping, cases[0].words = "levels[1], from 19 on, overlaps levels[0], from 0 on";
    cases[1].problem.levels = beyond, cases[1].words = "levels[1] begins at 21 and has 4 places, value_length is 24";
    cases[2].problem.levels = negative, cases[2].words = "levels[0].width is -5";
    cases[3].problem.levels = huge, cases[3].words = "overflows";
    cases[4].problem.heads = 0, cases[4].words = "heads is 0, at least 1 is needed";
    cases[5].problem.value_stride = 7, cases[5].words = "value has a stride of 7, a row has 8 elements";
    cases[6].problem.location_dtype = DCNV4_FLOAT16, cases[6].words = "location_dtype is 1 beside dtype 0";
    cases[7].problem.softmax = 2, cases[7].words = "softmax is 2";
    cases[8].problem.batch = INT64_MAX / 2, cases[8].words = "overflows";
    cases[9].problem.level_count = 65, cases[9].status = DCNV4_UNSUPPORTED,
    cases[9].words = "level_count is 65, up to 64";
    cases[10].problem.levels = NULL, cases[10].status = DCNV4_INVALID_ARGUMENT,
    cases[10].words = "levels is NULL, 2 are";
    cases[11].problem.level_count = 0, cases[11].words = "level_count is 0";
    cases[12].problem.location_unit = 4, cases[12].words = "location_unit is 4, known are 0 to 3";
    cases[13].problem.location_unit = DCNV4_MSDA_OFFSETS, cases[13].problem.reference_levels = 3;
    cases[13].words = "reference_levels is 3, it must be 1 or level_count, which is 2";
    cases[14].problem.location_unit = DCNV4_MSDA_BOX_OFFSETS, cases[14].problem.box_scale = NAN;
    cases[14].words = "box_scale is not finite";
    cases[15].problem.location_unit = DCNV4_MSDA_BOX_OFFSETS, cases[15].problem.grad_reference_stride = 3;
    cases[15].words = "grad_references has a stride of 3, a row has 4 elements";
    for (int i = 0; i < 16; ++i) {
        assert_refused(dcnv4_msda_sizes_get(&cases[i].problem, &sizes), cases[i].status, cases[i].words);
        count_case();
    }
}

/* Tables of levels that stand out of value: a device on the host refuses them, on others such a level has no places. */
static void wrong_tables(void **state) {
    (void)state;
    const struct {
        int64_t height, width, start;
        const char *words;
    } cases[] = {
        {4, 5, 1, "levels[0] begins at 1 and has 20 places, value_length is 20"},
        {4, 5, -1, "levels[0].start is -1"},
        {-4, -5, 0, "levels[0].height is -4"},
        {INT64_MAX / 2, 3, 0, "levels[0] overflows"},
        {INT64_MAX, 1, INT64_MAX, "levels[0] begins at"},
    };
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
            uint64_t seed = 3;
            attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT};
            a.problem.level_count = a.problem.batch = 1, a.problem.queries = 2, a.problem.head_channels = 8;
            a.problem.value_length = 20, a.problem.levels_in_buffers = 1;
            a.levels[0] = (dcnv4_msda_level){cases[i].height, cases[i].width, cases[i].start, 3};
            attention_allocate(&a);
            attention_fill(&a, &seed);
            run_with_wrong_table(&a, *device, cases[i].words);
            attention_free(&a);
            count_case();
        }
}

/* A plan is for the functions of its own operator. */
static void plans_are_told_apart(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    dcnv4_plan *conv = NULL, *attn = NULL;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_msda_problem other = DCNV4_MSDA_PROBLEM_INIT;
    const dcnv4_msda_level level = {2, 2, 0, 1};
    const dcnv4_buffers conv_buffers = DCNV4_BUFFERS_INIT;
    const dcnv4_msda_buffers attn_buffers = DCNV4_MSDA_BUFFERS_INIT;
    problem.batch = problem.height = problem.width = problem.group_channels = 1;
    other.levels = &level, other.level_count = 1, other.value_length = 4, other.batch = other.queries = 1;
    other.head_channels = 1, other.forward_only = 1;
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &conv));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &other, &attn));
    assert_refused(dcnv4_forward(attn, &conv_buffers, NULL), DCNV4_INVALID_ARGUMENT, "ms_deform_attn");
    assert_refused(dcnv4_msda_forward(conv, &attn_buffers, NULL), DCNV4_INVALID_ARGUMENT, "deform_conv");
    assert_refused(dcnv4_msda_backward(attn, &attn_buffers, NULL), DCNV4_INVALID_ARGUMENT, "forward_only");
    assert_refused(dcnv4_msda_forward(attn, &attn_buffers, NULL), DCNV4_INVALID_ARGUMENT, "value has no buffer");
    assert_refused(dcnv4_msda_forward(NULL, &attn_buffers, NULL), DCNV4_INVALID_ARGUMENT, "plan is NULL");
    dcnv4_plan_destroy(conv);
    dcnv4_plan_destroy(attn);
    dcnv4_context_destroy(context);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(every_thread_count),
        cmocka_unit_test(empty),
        cmocka_unit_test(refused),
        cmocka_unit_test(wrong_tables),
        cmocka_unit_test(plans_are_told_apart),
    };
    return HARNESS_RUN(argc, argv, tests);
}
