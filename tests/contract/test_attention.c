/* What ms_deform_attn.h promises, on every backend: random problems against the reference, numbers that are not finite, thread
 * counts, problems that are refused. */
#include "../support/device_run.h"
#include "../support/harness.h"
#include "../support/test_layer.h"

#include <dcnv4/ms_deform_attn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_VALUE,
    IN_LOCATIONS,
    IN_WEIGHTS,
    IN_REFERENCES,
    OUT_OUTPUT,
    IN_GRAD,
    OUT_VALUE,
    OUT_LOCATIONS,
    OUT_WEIGHTS,
    OUT_REFERENCES,
    COUNT
};
static const char *const names[COUNT] = {"value",        "locations",      "weights",    "references",
                                         "output",       "grad_output",    "grad_value", "grad_locations",
                                         "grad_weights", "grad_references"};
static const int results[] = {OUT_OUTPUT, OUT_VALUE, OUT_LOCATIONS, OUT_WEIGHTS, OUT_REFERENCES};
enum { RESULTS = sizeof results / sizeof *results };

enum { MOST_LEVELS = 4 };

/* A problem with its levels and tensors, as they are stored; gaps between rows are filled with NaNs. */
typedef struct attention {
    dcnv4_msda_problem problem;
    dcnv4_msda_level levels[MOST_LEVELS];
    size_t bytes[COUNT];
    unsigned char *tensors[COUNT];
} attention;

static int32_t dtype_of(const dcnv4_msda_problem *p, int tensor) {
    if (tensor == IN_LOCATIONS || tensor == OUT_LOCATIONS)
        return p->location_dtype == DCNV4_SAME_DTYPE ? p->dtype : p->location_dtype;
    if (tensor == IN_WEIGHTS || tensor == OUT_WEIGHTS)
        return p->weight_dtype == DCNV4_SAME_DTYPE ? dtype_of(p, p->packed ? IN_LOCATIONS : IN_VALUE) : p->weight_dtype;
    if (tensor == IN_REFERENCES || tensor == OUT_REFERENCES)
        return p->reference_dtype == DCNV4_SAME_DTYPE ? dtype_of(p, IN_LOCATIONS) : p->reference_dtype;
    return p->dtype;
}

static int64_t count_of(const attention *a, int tensor) {
    return (int64_t)(a->bytes[tensor] / item_size(dtype_of(&a->problem, tensor)));
}

static void allocate_tensors(attention *a) {
    dcnv4_msda_sizes s = DCNV4_MSDA_SIZES_INIT;
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(&a->problem, &s));
    const size_t bytes[COUNT] = {s.value,       s.locations,  s.weights,        s.references,   s.output,
                                 s.grad_output, s.grad_value, s.grad_locations, s.grad_weights, s.grad_references};
    for (int i = 0; i < COUNT; ++i) {
        a->bytes[i] = bytes[i];
        a->tensors[i] = allocate(bytes[i]);
        memset(a->tensors[i], 0xff, bytes[i]);
    }
}

static void free_tensors(attention *a) {
    for (int i = 0; i < COUNT; ++i)
        free(a->tensors[i]);
}

static void put(attention *a, int tensor, int64_t index, double number) {
    const int32_t dtype = dtype_of(&a->problem, tensor);
    ASSERT_SUCCESS(
        dcnv4_convert(DCNV4_FLOAT64, &number, dtype, a->tensors[tensor] + (size_t)index * item_size(dtype), 1));
}

static double get(const attention *a, int tensor, int64_t index) {
    const int32_t dtype = dtype_of(&a->problem, tensor);
    double number;
    ASSERT_SUCCESS(
        dcnv4_convert(dtype, a->tensors[tensor] + (size_t)index * item_size(dtype), DCNV4_FLOAT64, &number, 1));
    return number;
}

/* Inputs without NaN; locations are beyond the levels now and then. */
static void fill(attention *a, uint64_t *seed) {
    /* of locations, by unit */
    static const double low[] = {-0.2, -0.2, -3, -4}, high[] = {1.2, 9, 3, 4};
    const int unit = a->problem.location_unit;
    for (int64_t i = 0; i < count_of(a, IN_VALUE); ++i)
        put(a, IN_VALUE, i, draw_between(seed, -1, 1));
    for (int64_t i = 0; i < count_of(a, IN_LOCATIONS); ++i)
        put(a, IN_LOCATIONS, i, draw_between(seed, low[unit], high[unit]));
    for (int64_t i = 0; i < count_of(a, IN_WEIGHTS); ++i)
        put(a, IN_WEIGHTS, i, draw_between(seed, -1, 1));
    for (int64_t i = 0; i < count_of(a, IN_REFERENCES); ++i)
        put(a, IN_REFERENCES, i, draw_between(seed, -0.1, 1.1));
    for (int64_t i = 0; i < count_of(a, IN_GRAD); ++i)
        put(a, IN_GRAD, i, draw_between(seed, -1, 1));
}

static attention draw_attention(uint64_t *seed, int32_t dtype) {
    static const int64_t depths[] = {1, 3, 4, 8, 16, 20, 32, 33, 64}, points[] = {0, 1, 2, 3, 4, 8, 9, 40, 300};
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT};
    dcnv4_msda_problem *const p = &a.problem;
    const bool half = dtype == DCNV4_FLOAT16 || dtype == DCNV4_BFLOAT16;
    p->dtype = dtype;
    p->location_dtype = half && draw_integer(seed, 0, 2) ? DCNV4_FLOAT32 : DCNV4_SAME_DTYPE;
    p->packed = (int32_t)draw_integer(seed, 0, 1);
    p->weight_dtype = half && !p->packed && draw_integer(seed, 0, 1) ? DCNV4_FLOAT32 : DCNV4_SAME_DTYPE;
    p->reference_dtype = half && p->location_dtype == DCNV4_SAME_DTYPE && draw_integer(seed, 0, 1) ? DCNV4_FLOAT32
                                                                                                   : DCNV4_SAME_DTYPE;
    p->location_unit = (int32_t)draw_integer(seed, 0, 3), p->softmax = (int32_t)draw_integer(seed, 0, 1);
    p->deterministic = (int32_t)draw_integer(seed, 0, 1);
    p->batch = draw_integer(seed, 1, 3), p->queries = draw_integer(seed, 1, 40), p->heads = draw_integer(seed, 1, 4);
    p->head_channels = depths[draw_integer(seed, 0, 8)];
    p->level_count = draw_integer(seed, 1, 4);
    p->reference_levels = draw_integer(seed, 0, 1) ? p->level_count : 1;
    p->levels_in_buffers = (int32_t)draw_integer(seed, 0, 1);
    for (int l = 0; l < p->level_count; ++l) {
        a.levels[l].height = draw_integer(seed, 0, 9), a.levels[l].width = draw_integer(seed, 0, 9);
        a.levels[l].points = points[draw_integer(seed, 0, l == 0 ? 8 : 6)];
        a.levels[l].start = p->value_length + draw_integer(seed, 0, 2);
        p->value_length = a.levels[l].start + a.levels[l].height * a.levels[l].width;
    }
    p->value_length += draw_integer(seed, 0, 2);
    if (draw_integer(seed, 0, 1))
        p->value_stride = p->grad_output_stride = p->heads * p->head_channels + draw_integer(seed, 0, 9);
    if (draw_integer(seed, 0, 1))
        p->reference_stride = p->grad_reference_stride = 4 * p->reference_levels + draw_integer(seed, 0, 3);
    allocate_tensors(&a);
    fill(&a, seed);
    return a;
}

/* The same problem with tensors of its own, in float64, inputs rounded as they are. */
static attention in_float64(const attention *a) {
    attention wide = *a;
    wide.problem.dtype = DCNV4_FLOAT64;
    wide.problem.location_dtype = wide.problem.weight_dtype = wide.problem.reference_dtype = DCNV4_SAME_DTYPE;
    allocate_tensors(&wide);
    for (int i = 0; i < COUNT; ++i)
        for (int64_t k = 0; k < count_of(a, i); ++k)
            put(&wide, i, k, get(a, i, k));
    return wide;
}

/* The tables of the levels' sizes and starts, for a problem with levels_in_buffers. */
static void create_tables(const attention *a, dcnv4_context *context, dcnv4_msda_buffers *buffers) {
    int64_t shapes[2 * MOST_LEVELS], starts[MOST_LEVELS];
    const size_t bytes = (size_t)a->problem.level_count * sizeof *starts;
    for (int l = 0; l < a->problem.level_count; ++l)
        shapes[2 * l] = a->levels[l].height, shapes[2 * l + 1] = a->levels[l].width, starts[l] = a->levels[l].start;
    ASSERT_SUCCESS(dcnv4_buffer_create(context, 2 * bytes, &buffers->level_shapes));
    ASSERT_SUCCESS(dcnv4_buffer_create(context, bytes, &buffers->level_starts));
    ASSERT_SUCCESS(dcnv4_upload(context, &buffers->level_shapes, shapes, 2 * bytes));
    ASSERT_SUCCESS(dcnv4_upload(context, &buffers->level_starts, starts, bytes));
}

/* Both passes on a context, which refuses them with these words, if there are any. */
static void run(attention *a, dcnv4_context *context, const char *words) {
    dcnv4_plan *plan = NULL;
    dcnv4_msda_buffers buffers = DCNV4_MSDA_BUFFERS_INIT;
    dcnv4_buffer *const each[COUNT] = {&buffers.value,          &buffers.locations,      &buffers.weights,
                                       &buffers.references,     &buffers.output,         &buffers.grad_output,
                                       &buffers.grad_value,     &buffers.grad_locations, &buffers.grad_weights,
                                       &buffers.grad_references};
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &a->problem, &plan));
    for (int i = 0; i < COUNT; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, a->bytes[i], each[i]));
        ASSERT_SUCCESS(dcnv4_upload(context, each[i], a->tensors[i], a->bytes[i]));
    }
    create_tables(a, context, &buffers);
    for (int pass = 0; pass < 2; ++pass) {
        dcnv4_buffer_destroy(context, &buffers.workspace);
        ASSERT_SUCCESS(
            dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, (dcnv4_pass)pass), &buffers.workspace));
        const dcnv4_status status = (pass ? dcnv4_msda_backward : dcnv4_msda_forward)(plan, &buffers, NULL);
        if (words)
            assert_refused(status, DCNV4_INVALID_ARGUMENT, words);
        else
            ASSERT_SUCCESS(status);
        ASSERT_SUCCESS(dcnv4_synchronize(context));
    }
    for (int r = 0; r < RESULTS; ++r)
        ASSERT_SUCCESS(dcnv4_download(context, each[results[r]], a->tensors[results[r]], a->bytes[results[r]]));
    for (int i = 0; i < COUNT; ++i)
        dcnv4_buffer_destroy(context, each[i]);
    dcnv4_buffer_destroy(context, &buffers.workspace);
    dcnv4_buffer_destroy(context, &buffers.level_shapes);
    dcnv4_buffer_destroy(context, &buffers.level_starts);
    dcnv4_plan_destroy(plan);
}

static void run_on(attention *a, const char *device) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    run(a, context, NULL);
    dcnv4_context_destroy(context);
}

/* Results equal the reference's in float64 within a bound, NaN where it has NaN. */
static void compare(const attention *a, const char *device) {
    attention expected = in_float64(a), got = *a;
    for (int i = 0; i < COUNT; ++i) {
        got.tensors[i] = allocate(a->bytes[i]);
        memcpy(got.tensors[i], a->tensors[i], a->bytes[i]);
    }
    run_on(&expected, "reference");
    run_on(&got, device);
    for (int r = 0; r < RESULTS; ++r) {
        const int i = results[r];
        double largest = 1;
        for (int64_t k = 0; k < count_of(a, i); ++k)
            if (isfinite(get(&expected, i, k)))
                largest = fmax(largest, fabs(get(&expected, i, k)));
        const double bound = largest * 4 * dtype_bound(dtype_of(&a->problem, i));
        for (int64_t k = 0; k < count_of(a, i); ++k) {
            const double is = get(&got, i, k), should_be = get(&expected, i, k);
            if (!(fabs(is - should_be) <= bound) && !(isnan(is) && isnan(should_be)) &&
                !(isinf(should_be) && is == should_be))
                fail_msg("%s: element %lld of %s is %g instead of %g; dtypes %d %d %d, packed %d, softmax %d, unit %d, "
                         "D %lld",
                         device, (long long)k, names[i], is, should_be, (int)a->problem.dtype,
                         (int)dtype_of(&a->problem, IN_LOCATIONS), (int)dtype_of(&a->problem, IN_WEIGHTS),
                         (int)a->problem.packed, (int)a->problem.softmax, (int)a->problem.location_unit,
                         (long long)a->problem.head_channels);
        }
    }
    free_tensors(&expected);
    free_tensors(&got);
    count_case();
}

static void random_problems(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype)) {
            uint64_t seed = 18 + (uint64_t)dtype;
            const int problems = on_host(*device) ? 40 : 6;
            for (int i = 0; i < problems && takes_dtype(*device, dtype); ++i) {
                attention a = draw_attention(&seed, dtype);
                compare(&a, *device);
                free_tensors(&a);
            }
        }
}

/* Where a number is not finite, exactly what the formula says. */
static void not_finite(void **state) {
    (void)state;
    const double strange[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38};
    for (const char *const *device = devices_to_try(); *device; ++device) {
        uint64_t seed = 77;
        for (int i = 0; i < (on_host(*device) ? 40 : 6); ++i) {
            attention a = draw_attention(&seed, DCNV4_FLOAT32);
            const int tensor = (int)draw_integer(&seed, 0, 2);
            const int to = tensor == 2 && !a.problem.packed ? IN_WEIGHTS : tensor == 0 ? IN_VALUE : IN_LOCATIONS;
            for (int k = 0; k < 3 && count_of(&a, to) > 0; ++k)
                put(&a, to, draw_integer(&seed, 0, count_of(&a, to) - 1), strange[draw_integer(&seed, 0, 2)]);
            compare(&a, *device);
            free_tensors(&a);
        }
    }
}

/* Gradients have the same bits for every number of threads. */
static void every_thread_count(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        uint64_t seed = 5;
        for (int i = 0; i < 8 && on_host(*device); ++i) {
            attention first = draw_attention(&seed, i % 4);
            for (int threads = 1; threads <= 5; ++threads) {
                attention a = first;
                dcnv4_context *context = NULL;
                for (int k = 0; k < COUNT; ++k) {
                    a.tensors[k] = allocate(a.bytes[k]);
                    memcpy(a.tensors[k], first.tensors[k], a.bytes[k]);
                }
                ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
                ASSERT_SUCCESS(dcnv4_context_set_threads(context, threads));
                run(threads == 1 ? &first : &a, context, NULL);
                dcnv4_context_destroy(context);
                for (int r = 0; r < RESULTS && threads > 1; ++r)
                    assert_memory_equal(a.tensors[results[r]], first.tensors[results[r]], a.bytes[results[r]]);
                free_tensors(&a);
                count_case();
            }
            free_tensors(&first);
        }
    }
}

/* Runs forward and backward with a table whose level stands out of value. */
static void run_with_wrong_table(attention *a, const char *device, const char *words) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    run(a, context, on_host(device) ? words : NULL);
    for (int r = 0; r < RESULTS && !on_host(device); ++r)
        for (int64_t i = 0; i < count_of(a, results[r]); ++i)
            assert_true(get(a, results[r], i) == 0);
    dcnv4_context_destroy(context);
}

/* Sizes of 0. */
static void empty(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int what = 0; what < 4; ++what) {
            uint64_t seed = 9;
            attention a = draw_attention(&seed, DCNV4_FLOAT32);
            free_tensors(&a);
            if (what == 0)
                a.problem.batch = 0;
            else if (what == 1)
                a.problem.queries = 0;
            for (int l = 0; l < a.problem.level_count && what >= 2; ++l)
                *(what == 2 ? &a.levels[l].points : &a.levels[l].height) = 0;
            allocate_tensors(&a);
            fill(&a, &seed);
            compare(&a, *device);
            free_tensors(&a);
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
            allocate_tensors(&a);
            fill(&a, &seed);
            run_with_wrong_table(&a, *device, cases[i].words);
            free_tensors(&a);
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
