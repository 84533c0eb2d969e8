/* Attention with more than 2^31 elements: strides, places and columns. The same problem packed has the same bits. */
#include "../support/attention.h"
#include "../support/sparse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A context whose run has the problem's tensors themselves. */
static attention_run run_make(attention *a, const char *device) {
    attention_run run = {NULL, NULL, DCNV4_MSDA_BUFFERS_INIT};
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_context_create(device, &run.context));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(run.context, &a->problem, &run.plan));
    for (int i = 0; i < COUNT; ++i)
        *attention_buffer(&run, i) = dcnv4_host_buffer(a->tensors[i], a->bytes[i]);
    return run;
}

/* A pass with its own workspace, which must be no larger than these tensors' rows can want. */
static void run_pass_of(attention_run *run, dcnv4_pass pass) {
    const size_t bytes = dcnv4_plan_workspace_size(run->plan, pass);
    assert_true(bytes < (size_t)1 << 24);
    run->buffers.workspace = dcnv4_host_buffer(allocate(bytes), bytes);
    ASSERT_SUCCESS(attention_pass(run, run->plan, pass));
    free(run->buffers.workspace.handle);
}

/* The same problem, whose levels the caller has changed, in tensors without memory but where rows are written. */
static void map_tensors(attention *a) {
    dcnv4_msda_sizes s = DCNV4_MSDA_SIZES_INIT;
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(&a->problem, &s));
    const size_t bytes[COUNT] = {s.value,       s.locations,  s.weights,        s.references,   s.output,
                                 s.grad_output, s.grad_value, s.grad_locations, s.grad_weights, s.grad_references};
    for (int i = 0; i < COUNT; ++i)
        a->bytes[i] = bytes[i], a->tensors[i] = sparse_map(bytes[i]);
}

static void unmap_tensors(attention *a) {
    for (int i = 0; i < COUNT; ++i)
        sparse_unmap(a->tensors[i], a->bytes[i]);
}

/* ---- Strides ----------------------------------------------------------------------------------------------------- */

static int64_t rows_of(const dcnv4_msda_problem *p, int tensor) {
    return p->batch * (tensor == IN_VALUE || tensor == OUT_VALUE ? p->value_length : p->queries);
}

/* Row number `row` of the tensor with this stride, and of the packed one. */
typedef struct row_pair {
    unsigned char *sparse, *packed;
    size_t bytes;
} row_pair;

static row_pair rows_at(const attention *sparse, const attention *packed, int tensor, int64_t row, int64_t stride) {
    const size_t bytes = packed->bytes[tensor] / (size_t)rows_of(&packed->problem, tensor);
    const size_t item = item_size(attention_dtype(&packed->problem, tensor));
    return (row_pair){sparse->tensors[tensor] + (size_t)(row * stride) * item,
                      packed->tensors[tensor] + (size_t)row * bytes, bytes};
}

static bool is_input(int tensor) {
    return tensor <= IN_REFERENCES || tensor == IN_GRAD;
}

/* The problem with this stride in every tensor that it uses. */
static void check_stride(const attention *packed, const char *device, int64_t stride) {
    attention sparse = *packed;
    for (int i = 0; i < COUNT; ++i)
        if (packed->bytes[i] > 0)
            (&sparse.problem.value_stride)[i] = stride;
    map_tensors(&sparse);
    for (int i = 0; i < COUNT; ++i)
        for (int64_t row = 0; row < rows_of(&packed->problem, i) && is_input(i); ++row) {
            const row_pair at = rows_at(&sparse, packed, i, row, stride);
            memcpy(at.sparse, at.packed, at.bytes);
        }
    attention_run run = run_make(&sparse, device);
    run_pass_of(&run, DCNV4_PASS_FORWARD);
    run_pass_of(&run, DCNV4_PASS_BACKWARD);
    for (int i = 0; i < COUNT; ++i)
        for (int64_t row = 0; row < rows_of(&packed->problem, i) && !is_input(i); ++row) {
            const row_pair at = rows_at(&sparse, packed, i, row, stride);
            if (memcmp(at.sparse, at.packed, at.bytes) != 0)
                fail_msg("%s, stride %lld, dtype %d, unit %d, packed %d, Q %lld: row %lld of %s has other bits", device,
                         (long long)stride, (int)packed->problem.dtype, (int)packed->problem.location_unit,
                         (int)packed->problem.packed, (long long)packed->problem.queries, (long long)row,
                         attention_names[i]);
        }
    dcnv4_plan_destroy(run.plan);
    dcnv4_context_destroy(run.context);
    unmap_tensors(&sparse);
    count_case();
}

/* Few queries read value's rows where they lie; many read copies of a head. */
static attention strided(int32_t dtype, int packed, int64_t queries) {
    uint64_t seed = 47;
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{5, 4, 0, 3}, {2, 3, 21, 2}}};
    dcnv4_msda_problem *const p = &a.problem;
    p->dtype = dtype, p->packed = p->softmax = packed, p->level_count = 2, p->value_length = 28;
    p->location_unit = packed ? DCNV4_MSDA_NORMALIZED : DCNV4_MSDA_OFFSETS;
    p->batch = 2, p->queries = queries, p->heads = 2, p->head_channels = 8;
    attention_allocate(&a);
    attention_fill(&a, &seed);
    return a;
}

static void strides_beyond_2_31(void **state) {
    (void)state;
    /* Offsets past 2^31 and 2^32 elements over several rows, and in a single one. */
    static const int64_t strides[] = {(1LL << 29) + 3, (1LL << 31) - 1, 1LL << 31, (1LL << 32) + 5};
    static const int32_t dtypes[] = {DCNV4_FLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int d = 0; d < 3; ++d)
            for (int kind = 0; kind < 4; ++kind) {
                attention packed = strided(dtypes[d], kind % 2, kind / 2 ? 40 : 3);
                attention_run_on(&packed, *device);
                for (size_t i = 0; i < sizeof strides / sizeof *strides; ++i)
                    check_stride(&packed, *device, strides[i]);
                attention_free(&packed);
            }
}

/* ---- Places ------------------------------------------------------------------------------------------------------ */

/* Two levels of one row each, for forward alone, since backward writes every place of grad_value. One head reads around
 * `column` in the first, and all of the second. */
static attention two_rows(int32_t dtype, int64_t width, int64_t start, int64_t column) {
    uint64_t seed = 53;
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{1, width, 0, 2}, {1, 5, start, 2}}};
    dcnv4_msda_problem *const p = &a.problem;
    p->dtype = dtype, p->location_unit = DCNV4_MSDA_PLACES, p->level_count = 2, p->value_length = start + 5;
    p->batch = 1, p->queries = 3, p->heads = 1, p->head_channels = 1, p->forward_only = 1;
    map_tensors(&a);
    for (int64_t i = 0; i < 5; ++i) {
        attention_put(&a, IN_VALUE, column + i - 2, draw_between(&seed, -1, 1));
        attention_put(&a, IN_VALUE, start + i, draw_between(&seed, -1, 1));
    }
    for (int64_t i = 0; i < 12; ++i) { /* points, two in each level of each query */
        const bool first = i % 4 < 2;
        const double moved = (double)draw_integer(&seed, -1, 1);
        attention_put(&a, IN_LOCATIONS, 2 * i, first ? (double)column + moved : 2.25 + moved);
        attention_put(&a, IN_LOCATIONS, 2 * i + 1, -0.25);
        attention_put(&a, IN_WEIGHTS, i, draw_between(&seed, -1, 1));
    }
    return a;
}

static void run_forward(attention *a, const char *device) {
    attention_run run = run_make(a, device);
    run_pass_of(&run, DCNV4_PASS_FORWARD);
    dcnv4_plan_destroy(run.plan);
    dcnv4_context_destroy(run.context);
}

/* A level of more than 2^31 columns, and one that begins past 2^31 and 2^32 places. float64 has such columns. */
static void places_beyond_2_31(void **state) {
    (void)state;
    static const int64_t columns[] = {(1LL << 31) - 1, 1LL << 31, (1LL << 32) - 1, 1LL << 32};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int i = 0; i < 4; ++i) {
            attention near = two_rows(DCNV4_FLOAT64, 9, 9, 4);
            attention far = two_rows(DCNV4_FLOAT64, columns[i] + 5, columns[i] + 7, columns[i]);
            run_forward(&near, *device);
            run_forward(&far, *device);
            for (int64_t q = 0; q < 3; ++q)
                if (attention_get(&near, OUT_OUTPUT, q) != attention_get(&far, OUT_OUTPUT, q) ||
                    attention_get(&near, OUT_OUTPUT, q) == 0)
                    fail_msg("%s, column %lld: output %lld is %g instead of %g", *device, (long long)columns[i],
                             (long long)q, attention_get(&far, OUT_OUTPUT, q), attention_get(&near, OUT_OUTPUT, q));
            unmap_tensors(&near);
            unmap_tensors(&far);
            count_case();
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strides_beyond_2_31),
        cmocka_unit_test(places_beyond_2_31),
    };
    return HARNESS_RUN(argc, argv, tests);
}
