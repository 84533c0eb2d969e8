#include "attention.h"
#include "test_layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const attention_names[COUNT] = {"value",        "locations",      "weights",    "references",
                                            "output",       "grad_output",    "grad_value", "grad_locations",
                                            "grad_weights", "grad_references"};
const int attention_results[ATTENTION_RESULTS] = {OUT_OUTPUT, OUT_VALUE, OUT_LOCATIONS, OUT_WEIGHTS, OUT_REFERENCES};

int32_t attention_dtype(const dcnv4_msda_problem *p, int tensor) {
    if (tensor == IN_LOCATIONS || tensor == OUT_LOCATIONS)
        return p->location_dtype == DCNV4_SAME_DTYPE ? p->dtype : p->location_dtype;
    if (tensor == IN_WEIGHTS || tensor == OUT_WEIGHTS)
        return p->weight_dtype == DCNV4_SAME_DTYPE ? attention_dtype(p, p->packed ? IN_LOCATIONS : IN_VALUE)
                                                   : p->weight_dtype;
    if (tensor == IN_REFERENCES || tensor == OUT_REFERENCES)
        return p->reference_dtype == DCNV4_SAME_DTYPE ? attention_dtype(p, IN_LOCATIONS) : p->reference_dtype;
    return p->dtype;
}

int64_t attention_count(const attention *a, int tensor) {
    return (int64_t)(a->bytes[tensor] / item_size(attention_dtype(&a->problem, tensor)));
}

void attention_allocate(attention *a) {
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

void attention_free(attention *a) {
    for (int i = 0; i < COUNT; ++i)
        free(a->tensors[i]);
}

void attention_put(attention *a, int tensor, int64_t index, double number) {
    const int32_t dtype = attention_dtype(&a->problem, tensor);
    ASSERT_SUCCESS(
        dcnv4_convert(DCNV4_FLOAT64, &number, dtype, a->tensors[tensor] + (size_t)index * item_size(dtype), 1));
}

double attention_get(const attention *a, int tensor, int64_t index) {
    const int32_t dtype = attention_dtype(&a->problem, tensor);
    double number;
    ASSERT_SUCCESS(
        dcnv4_convert(dtype, a->tensors[tensor] + (size_t)index * item_size(dtype), DCNV4_FLOAT64, &number, 1));
    return number;
}

/* A whole tensor at once: a call for each element takes longer than the passes. */
static double *read_all(const attention *a, int tensor) {
    const size_t count = (size_t)attention_count(a, tensor);
    double *const numbers = allocate(count * sizeof *numbers);
    ASSERT_SUCCESS(
        dcnv4_convert(attention_dtype(&a->problem, tensor), a->tensors[tensor], DCNV4_FLOAT64, numbers, count));
    return numbers;
}

static void write_all(attention *a, int tensor, const double *numbers) {
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, numbers, attention_dtype(&a->problem, tensor), a->tensors[tensor],
                                 (size_t)attention_count(a, tensor)));
}

static void draw_all(attention *a, int tensor, uint64_t *seed, double low, double high) {
    const int64_t count = attention_count(a, tensor);
    double *const numbers = allocate((size_t)count * sizeof *numbers);
    for (int64_t i = 0; i < count; ++i)
        numbers[i] = draw_between(seed, low, high);
    write_all(a, tensor, numbers);
    free(numbers);
}

void attention_fill(attention *a, uint64_t *seed) {
    /* of locations, by unit */
    static const double low[] = {-0.2, -0.2, -3, -4}, high[] = {1.2, 9, 3, 4};
    const int unit = a->problem.location_unit;
    draw_all(a, IN_VALUE, seed, -1, 1);
    draw_all(a, IN_LOCATIONS, seed, low[unit], high[unit]);
    draw_all(a, IN_WEIGHTS, seed, -1, 1);
    draw_all(a, IN_REFERENCES, seed, -0.1, 1.1);
    draw_all(a, IN_GRAD, seed, -1, 1);
}

/* Of a head, in channels of points: where a query has many, a few queries must do, but enough for several threads. */
enum { MOST_WORK = 100000 };

attention attention_draw(uint64_t *seed, int32_t dtype) {
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
    int64_t total = 0;
    for (int l = 0; l < p->level_count; ++l) {
        a.levels[l].height = draw_integer(seed, 0, 9), a.levels[l].width = draw_integer(seed, 0, 9);
        a.levels[l].points = points[draw_integer(seed, 0, l == 0 ? 8 : 6)], total += a.levels[l].points;
        a.levels[l].start = p->value_length + draw_integer(seed, 0, 2);
        p->value_length = a.levels[l].start + a.levels[l].height * a.levels[l].width;
    }
    p->value_length += draw_integer(seed, 0, 2);
    const int64_t work = total * p->head_channels, most = work < MOST_WORK ? MOST_WORK / (work + 1) : 1;
    p->queries = p->queries < most ? p->queries : most;
    if (draw_integer(seed, 0, 1))
        p->value_stride = p->grad_output_stride = p->heads * p->head_channels + draw_integer(seed, 0, 9);
    if (draw_integer(seed, 0, 1))
        p->reference_stride = p->grad_reference_stride = 4 * p->reference_levels + draw_integer(seed, 0, 3);
    attention_allocate(&a);
    attention_fill(&a, seed);
    return a;
}

attention attention_copy(const attention *a) {
    attention copy = *a;
    attention_allocate(&copy);
    for (int i = 0; i < COUNT; ++i)
        memcpy(copy.tensors[i], a->tensors[i], a->bytes[i]);
    return copy;
}

attention attention_small(int32_t dtype, uint64_t seed) {
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{5, 4, 0, 3}, {2, 3, 21, 2}}};
    dcnv4_msda_problem *const p = &a.problem;
    p->dtype = dtype, p->softmax = 1, p->level_count = 2, p->value_length = 28;
    p->batch = 2, p->queries = 9, p->heads = 2, p->head_channels = 16;
    attention_allocate(&a);
    attention_fill(&a, &seed);
    return a;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* The tables of the levels' sizes and starts, for a problem with levels_in_buffers. */
static void create_tables(const attention *a, attention_run *run) {
    int64_t shapes[2 * MOST_LEVELS], starts[MOST_LEVELS];
    const size_t bytes = (size_t)a->problem.level_count * sizeof *starts;
    for (int l = 0; l < a->problem.level_count; ++l)
        shapes[2 * l] = a->levels[l].height, shapes[2 * l + 1] = a->levels[l].width, starts[l] = a->levels[l].start;
    ASSERT_SUCCESS(dcnv4_buffer_create(run->context, 2 * bytes, &run->buffers.level_shapes));
    ASSERT_SUCCESS(dcnv4_buffer_create(run->context, bytes, &run->buffers.level_starts));
    ASSERT_SUCCESS(dcnv4_upload(run->context, &run->buffers.level_shapes, shapes, 2 * bytes));
    ASSERT_SUCCESS(dcnv4_upload(run->context, &run->buffers.level_starts, starts, bytes));
}

dcnv4_buffer *attention_buffer(attention_run *run, int tensor) {
    dcnv4_msda_buffers *const b = &run->buffers;
    dcnv4_buffer *const each[COUNT] = {&b->value,        &b->locations,      &b->weights,    &b->references,
                                       &b->output,       &b->grad_output,    &b->grad_value, &b->grad_locations,
                                       &b->grad_weights, &b->grad_references};
    return each[tensor];
}

void attention_upload(attention_run *run, const attention *a, int tensor) {
    ASSERT_SUCCESS(dcnv4_upload(run->context, attention_buffer(run, tensor), a->tensors[tensor], a->bytes[tensor]));
}

void attention_download(attention_run *run, attention *a, int tensor) {
    ASSERT_SUCCESS(dcnv4_download(run->context, attention_buffer(run, tensor), a->tensors[tensor], a->bytes[tensor]));
}

attention_run attention_run_make(attention *a, dcnv4_context *context) {
    attention_run run = {context, NULL, DCNV4_MSDA_BUFFERS_INIT};
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &a->problem, &run.plan));
    const size_t forward = dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_FORWARD);
    const size_t backward = dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_BACKWARD);
    for (int i = 0; i < COUNT; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, a->bytes[i], attention_buffer(&run, i)));
        attention_upload(&run, a, i);
    }
    create_tables(a, &run);
    ASSERT_SUCCESS(dcnv4_buffer_create(context, forward > backward ? forward : backward, &run.buffers.workspace));
    return run;
}

void attention_run_free(attention_run *run) {
    for (int i = 0; i < COUNT; ++i)
        dcnv4_buffer_destroy(run->context, attention_buffer(run, i));
    dcnv4_buffer_destroy(run->context, &run->buffers.workspace);
    dcnv4_buffer_destroy(run->context, &run->buffers.level_shapes);
    dcnv4_buffer_destroy(run->context, &run->buffers.level_starts);
    dcnv4_plan_destroy(run->plan);
}

dcnv4_status attention_pass(const attention_run *run, const dcnv4_plan *plan, dcnv4_pass pass) {
    const dcnv4_status status = (pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward
                                                            : dcnv4_msda_backward)(plan, &run->buffers, NULL);
    if (status == DCNV4_SUCCESS)
        ASSERT_SUCCESS(dcnv4_synchronize(run->context));
    return status;
}

void attention_both(attention *a, dcnv4_context *context, const char *words) {
    attention_run run = attention_run_make(a, context);
    for (int pass = 0; pass < 2; ++pass) {
        const dcnv4_status status = attention_pass(&run, run.plan, (dcnv4_pass)pass);
        if (words)
            assert_refused(status, DCNV4_INVALID_ARGUMENT, words);
        else
            ASSERT_SUCCESS(status);
    }
    for (int r = 0; r < ATTENTION_RESULTS; ++r)
        attention_download(&run, a, attention_results[r]);
    attention_run_free(&run);
}

void attention_run_on(attention *a, const char *device) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    attention_both(a, context, NULL);
    dcnv4_context_destroy(context);
}

/* ---- Comparisons ------------------------------------------------------------------------------------------------- */

attention attention_expected(const attention *a) {
    attention wide = *a;
    wide.problem.dtype = DCNV4_FLOAT64;
    wide.problem.location_dtype = wide.problem.weight_dtype = wide.problem.reference_dtype = DCNV4_SAME_DTYPE;
    attention_allocate(&wide);
    for (int i = 0; i < COUNT; ++i) {
        double *const numbers = read_all(a, i); /* rounded as they are */
        write_all(&wide, i, numbers);
        free(numbers);
    }
    attention_run_on(&wide, "reference");
    return wide;
}

void attention_assert_close(const attention *a, const attention *expected, int tensor, const char *what) {
    double largest = 1, *const numbers = read_all(a, tensor), *const right = read_all(expected, tensor);
    for (int64_t k = 0; k < attention_count(a, tensor); ++k)
        if (isfinite(right[k]))
            largest = fmax(largest, fabs(right[k]));
    const double bound = largest * 4 * dtype_bound(attention_dtype(&a->problem, tensor));
    for (int64_t k = 0; k < attention_count(a, tensor); ++k) {
        const double is = numbers[k], should_be = right[k];
        if (!(fabs(is - should_be) <= bound) && !(isnan(is) && isnan(should_be)) &&
            !(isinf(should_be) && is == should_be))
            fail_msg(
                "%s: element %lld of %s is %g instead of %g; dtypes %d %d %d, packed %d, softmax %d, unit %d, D %lld",
                what, (long long)k, attention_names[tensor], is, should_be, (int)a->problem.dtype,
                (int)attention_dtype(&a->problem, IN_LOCATIONS), (int)attention_dtype(&a->problem, IN_WEIGHTS),
                (int)a->problem.packed, (int)a->problem.softmax, (int)a->problem.location_unit,
                (long long)a->problem.head_channels);
    }
    free(numbers);
    free(right);
}

void attention_compare_to(const attention *a, const attention *expected, const char *device) {
    attention got = attention_copy(a);
    attention_run_on(&got, device);
    for (int r = 0; r < ATTENTION_RESULTS; ++r)
        attention_assert_close(&got, expected, attention_results[r], device);
    attention_free(&got);
    count_case();
}

void attention_compare(const attention *a, const char *device) {
    attention expected = attention_expected(a);
    attention_compare_to(a, &expected, device);
    attention_free(&expected);
}
