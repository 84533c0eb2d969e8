/* Random problems of multi-scale deformable attention in a few layers, whose kernels are compiled once: for drivers that
 * compile for seconds. Each against the reference, on the same numbers.
 *
 *     test_attention_problems BACKEND [PROBLEMS]
 */
#include "../support/test_layer.h"

#include <dcnv4/ms_deform_attn.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEVELS = 3, INPUTS = 5, RESULTS = 5 };

static int64_t problems = 200;

/* A problem; inputs (value, locations, weights, references, grad_output) and results in their dtype. */
typedef struct attention {
    dcnv4_msda_problem problem;
    dcnv4_msda_level levels[MOST_LEVELS];
    size_t input_bytes[INPUTS], result_bytes[RESULTS];
    void *inputs[INPUTS];
} attention;

static void draw_layer(int64_t number, dcnv4_msda_problem *p, dcnv4_msda_level *levels) {
    static const struct {
        int32_t dtype, unit, softmax, packed, deterministic;
        int64_t heads, depth, level_count, points;
    } layers[] = {
        {DCNV4_FLOAT32, DCNV4_MSDA_NORMALIZED, 0, 0, 0, 2, 16, 3, 4},
        {DCNV4_FLOAT32, DCNV4_MSDA_OFFSETS, 1, 1, 1, 3, 5, 1, 3},
        {DCNV4_FLOAT32, DCNV4_MSDA_BOX_OFFSETS, 1, 0, 0, 1, 33, 2, 2},
        {DCNV4_FLOAT16, DCNV4_MSDA_PLACES, 0, 0, 0, 2, 8, 2, 4},
    };
    const int64_t at = number % (int64_t)(sizeof layers / sizeof *layers);
    p->dtype = layers[at].dtype, p->location_unit = layers[at].unit, p->softmax = layers[at].softmax;
    p->packed = layers[at].packed, p->deterministic = layers[at].deterministic;
    p->heads = layers[at].heads, p->head_channels = layers[at].depth, p->level_count = layers[at].level_count;
    for (int l = 0; l < p->level_count; ++l)
        levels[l].points = layers[at].points;
}

static void *draw_input(uint64_t *seed, int32_t dtype, size_t bytes, double low, double high) {
    void *const made = allocate(bytes);
    for (size_t i = 0; i < bytes / item_size(dtype); ++i) {
        const double number = draw_between(seed, low, high);
        ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, &number, dtype, (char *)made + i * item_size(dtype), 1));
    }
    return made;
}

static attention draw_attention(int64_t number) {
    static const double low[] = {-0.2, -1, -3, -4}, high[] = {1.2, 9, 3, 4}; /* of locations, by unit */
    uint64_t seed = (uint64_t)number;
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT};
    dcnv4_msda_problem *const p = &a.problem;
    dcnv4_msda_sizes s = DCNV4_MSDA_SIZES_INIT;
    draw_layer(number, p, a.levels);
    p->batch = draw_integer(&seed, 1, 2), p->queries = draw_integer(&seed, 1, 30);
    for (int l = 0; l < p->level_count; ++l) {
        a.levels[l].height = draw_integer(&seed, 0, 9), a.levels[l].width = draw_integer(&seed, 1, 9);
        a.levels[l].start = p->value_length + draw_integer(&seed, 0, 2);
        p->value_length = a.levels[l].start + a.levels[l].height * a.levels[l].width;
    }
    p->levels = a.levels;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(p, &s));
    memcpy(a.input_bytes, (size_t[]){s.value, s.locations, s.weights, s.references, s.grad_output},
           sizeof a.input_bytes);
    memcpy(a.result_bytes, (size_t[]){s.output, s.grad_value, s.grad_locations, s.grad_weights, s.grad_references},
           sizeof a.result_bytes);
    for (int i = 0; i < INPUTS; ++i)
        a.inputs[i] = draw_input(&seed, p->dtype, a.input_bytes[i],
                                 i == 1   ? low[p->location_unit]
                                 : i == 3 ? 0
                                          : -1,
                                 i == 1 ? high[p->location_unit] : 1);
    const double infinite = number % 16 == 4 ? -INFINITY : INFINITY;
    const int spoiled = number % 32 < 16 ? 0 : INPUTS - 1; /* value, grad_output */
    const int64_t elements = (int64_t)(a.input_bytes[spoiled] / item_size(p->dtype));
    if (number % 8 >= 4 && elements > 0) /* in each layer */
        ASSERT_SUCCESS(dcnv4_convert(
            DCNV4_FLOAT64, &infinite, p->dtype,
            (char *)a.inputs[spoiled] + draw_integer(&seed, 0, elements - 1) * (int64_t)item_size(p->dtype), 1));
    return a;
}

/* Both passes. Results as float64, one tensor after the other, to be freed. */
static double *run(attention *a, const char *device) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_msda_buffers b = DCNV4_MSDA_BUFFERS_INIT;
    dcnv4_buffer *const inputs[] = {&b.value, &b.locations, &b.weights, &b.references, &b.grad_output};
    dcnv4_buffer *const results[] = {&b.output, &b.grad_value, &b.grad_locations, &b.grad_weights, &b.grad_references};
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &a->problem, &plan));
    for (int i = 0; i < INPUTS; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, a->input_bytes[i], inputs[i]));
        ASSERT_SUCCESS(dcnv4_upload(context, inputs[i], a->inputs[i], a->input_bytes[i]));
    }
    const size_t item = item_size(a->problem.dtype);
    size_t count = 0;
    for (int i = 0; i < RESULTS; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, a->result_bytes[i], results[i]));
        count += a->result_bytes[i] / item;
    }
    for (EACH_PASS(pass)) {
        dcnv4_buffer_destroy(context, &b.workspace);
        ASSERT_SUCCESS(dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, pass), &b.workspace));
        ASSERT_SUCCESS((pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward : dcnv4_msda_backward)(plan, &b, NULL));
        ASSERT_SUCCESS(dcnv4_synchronize(context));
    }
    double *const numbers = allocate(count * sizeof *numbers);
    void *const bytes = allocate(count * item);
    for (size_t i = 0, at = 0; i < RESULTS; at += a->result_bytes[i++])
        ASSERT_SUCCESS(dcnv4_download(context, results[i], (char *)bytes + at, a->result_bytes[i]));
    ASSERT_SUCCESS(dcnv4_convert(a->problem.dtype, bytes, DCNV4_FLOAT64, numbers, (int64_t)count));
    free(bytes);
    for (int i = 0; i < INPUTS; ++i)
        dcnv4_buffer_destroy(context, inputs[i]);
    for (int i = 0; i < RESULTS; ++i)
        dcnv4_buffer_destroy(context, results[i]);
    dcnv4_buffer_destroy(context, &b.workspace);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return numbers;
}

static bool is_close(double found, double expected, double bound) {
    if (isfinite(expected))
        return fabs(found - expected) <= bound;
    return isnan(expected) ? isnan(found) : found == expected;
}

/* Each number is within a share of the largest one's magnitude, or of 1; one that is not finite is the same. */
static void compare(attention *a, const char *device, int64_t number) {
    double *const expected = run(a, "reference"), *const found = run(a, device);
    const size_t item = item_size(a->problem.dtype);
    for (size_t i = 0, at = 0; i < RESULTS; at += a->result_bytes[i++] / item) {
        const size_t end = at + a->result_bytes[i] / item;
        double largest = 1;
        for (size_t k = at; k < end; ++k)
            largest = isfinite(expected[k]) ? fmax(largest, fabs(expected[k])) : largest;
        for (size_t k = at; k < end; ++k)
            if (!is_close(found[k], expected[k], 4 * dtype_bound(a->problem.dtype) * largest))
                fail_msg("%s, problem %lld: element %zu of result %zu is %g instead of %g", device, (long long)number,
                         k - at, i, found[k], expected[k]);
    }
    free(expected);
    free(found);
    count_case();
}

static void random_problems(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int64_t number = 0; number < problems; ++number) {
            attention a = draw_attention(number);
            compare(&a, *device, number);
            for (int i = 0; i < INPUTS; ++i)
                free(a.inputs[i]);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_problems)};
    if (argc > 2)
        problems = strtoll(argv[2], NULL, 10);
    return HARNESS_RUN(argc < 2 ? argc : 2, argv, tests);
}
