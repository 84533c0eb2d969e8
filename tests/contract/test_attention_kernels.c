/* Attention on devices that compile: deterministic gradients, the tactics of each part, and indices of 64 bits. */
#include "../support/attention.h"
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH_PART(part)                            \
    dcnv4_msda_part part = DCNV4_MSDA_PART_OUTPUT; \
    part <= DCNV4_MSDA_PART_GRAD_VALUE;            \
    part = (dcnv4_msda_part)(part + 1)

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* ---- Deterministic gradients ------------------------------------------------------------------------------------- */

/* Many queries that look at the same places, so that each place of grad_value is a sum of many; 16 bits and float32, whose order
 * of additions shows in the bits. */
static attention crowded(int32_t dtype) {
    uint64_t seed = 23;
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{6, 7, 0, 4}, {3, 3, 43, 4}}};
    dcnv4_msda_problem *const p = &a.problem;
    p->dtype = dtype, p->deterministic = 1, p->level_count = 2, p->value_length = 53;
    p->batch = 2, p->queries = 150, p->heads = 2, p->head_channels = 16;
    attention_allocate(&a);
    attention_fill(&a, &seed);
    return a;
}

/* Backward again and again, into buffers of other bytes each time, and the workspace's left as they are. */
static void repeat(attention *a, const attention *expected, const char *device) {
    enum { RUNS = 4 };
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    attention first = attention_copy(a);
    attention_run run = attention_run_make(a, context);
    for (int i = 0; i < RUNS; ++i) {
        attention *const to = i == 0 ? &first : a;
        for (int r = 0; r < ATTENTION_RESULTS; ++r) {
            memset(to->tensors[attention_results[r]], 0x3c + i, to->bytes[attention_results[r]]);
            attention_upload(&run, to, attention_results[r]);
        }
        ASSERT_SUCCESS(attention_pass(&run, run.plan, DCNV4_PASS_BACKWARD));
        for (int r = 1; r < ATTENTION_RESULTS; ++r) {
            attention_download(&run, to, attention_results[r]);
            if (i == 0)
                attention_assert_close(to, expected, attention_results[r], device);
            else
                assert_memory_equal(a->tensors[attention_results[r]], first.tensors[attention_results[r]],
                                    a->bytes[attention_results[r]]);
        }
        count_case();
    }
    for (int64_t k = 0; k < dcnv4_kernel_count(run.plan); ++k) {
        dcnv4_kernel_info kernel = DCNV4_KERNEL_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_kernel_info_get(run.plan, k, &kernel));
        assert_int_equal(kernel.deterministic, 1);
    }
    attention_run_free(&run);
    attention_free(&first);
    dcnv4_context_destroy(context);
}

/* opencl:N:gpu is OpenCL's device with the kernels for GPUs; PoCL compiles them for many seconds, so that one dtype must do. */
static void the_same_bits(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const bool opencl = starts_with(*device, "opencl:");
        for (int32_t dtype = DCNV4_FLOAT32; dtype <= (opencl ? DCNV4_FLOAT32 : DCNV4_FLOAT16); ++dtype) {
            attention a = crowded(dtype), expected = attention_expected(&a);
            repeat(&a, &expected, *device);
            if (opencl) {
                char name[80];
                snprintf(name, sizeof name, "%s:gpu", *device);
                repeat(&a, &expected, name);
            }
            attention_free(&a);
            attention_free(&expected);
        }
    }
}

/* More images, heads and channels than a CPU has work-groups at a time, so that each has several, one after the other, and the last
 * channels are fewer; with few queries, whose sums are in grad_value itself, and with many, whose sums are apart. */
static void many_heads(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int64_t queries = 5; queries <= 45; queries += 40) {
            uint64_t seed = 29;
            attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{6, 7, 3, 2}, {1, 4, 47, 1}}};
            dcnv4_msda_problem *const p = &a.problem;
            p->level_count = 2, p->value_length = 53;
            p->batch = 7, p->queries = queries, p->heads = 3, p->head_channels = 80;
            attention_allocate(&a);
            attention_fill(&a, &seed);
            attention_compare(&a, *device);
            attention_free(&a);
        }
}

/* ---- Tactics ----------------------------------------------------------------------------------------------------- */

/* Which results a part writes. */
static bool writes(dcnv4_msda_part part, int tensor) {
    switch (part) {
    case DCNV4_MSDA_PART_OUTPUT: return tensor == OUT_OUTPUT;
    case DCNV4_MSDA_PART_GRAD_VALUE: return tensor == OUT_VALUE;
    default: return tensor != OUT_OUTPUT && tensor != OUT_VALUE;
    }
}

/* Checks that a tactic gives its part's results and writes no other. */
static void check_tactic(const attention_run *run, attention *a, const attention *expected, dcnv4_msda_part part,
                         int64_t index) {
    attention_run own = *run;
    dcnv4_plan *tactic = NULL;
    const dcnv4_pass pass = part == DCNV4_MSDA_PART_OUTPUT ? DCNV4_PASS_FORWARD : DCNV4_PASS_BACKWARD;
    ASSERT_SUCCESS(dcnv4_tactic_create(run->plan, part, index, &tactic));
    own.buffers.workspace = (dcnv4_buffer){NULL, 0, 0};
    ASSERT_SUCCESS(dcnv4_buffer_create(run->context, dcnv4_plan_workspace_size(tactic, pass), &own.buffers.workspace));
    for (int r = 0; r < ATTENTION_RESULTS; ++r) {
        memset(a->tensors[attention_results[r]], UNTOUCHED, a->bytes[attention_results[r]]);
        attention_upload(&own, a, attention_results[r]);
    }
    ASSERT_SUCCESS(attention_pass(&own, tactic, pass));
    for (int r = 0; r < ATTENTION_RESULTS; ++r) {
        const int tensor = attention_results[r];
        attention_download(&own, a, tensor);
        if (writes(part, tensor))
            attention_assert_close(a, expected, tensor, "a tactic");
        for (size_t b = 0; b < a->bytes[tensor] && !writes(part, tensor); ++b)
            assert_int_equal(a->tensors[tensor][b], UNTOUCHED);
    }
    assert_refused(attention_pass(&own, tactic, (dcnv4_pass)(1 - (int)pass)), DCNV4_INVALID_ARGUMENT, "is a tactic");
    assert_int_equal(dcnv4_tactic_count(tactic, part), 0);
    dcnv4_buffer_destroy(run->context, &own.buffers.workspace);
    dcnv4_plan_destroy(tactic);
    count_case();
}

/* A layer that no test running in parallel uses: choices are kept in a folder. It has references, so that every kernel runs. */
static attention tuned(void) {
    uint64_t seed = 31;
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{5, 4, 0, 3}, {2, 3, 20, 3}}};
    dcnv4_msda_problem *const p = &a.problem;
    p->softmax = 1, p->level_count = 2, p->value_length = 26, p->location_unit = DCNV4_MSDA_OFFSETS;
    p->reference_levels = 1, p->batch = 2, p->queries = 21, p->heads = 3, p->head_channels = 20;
    attention_allocate(&a);
    attention_fill(&a, &seed);
    return a;
}

/* Each takes seconds to compile, so only some are tried unless "all" was given. */
static void every_tactic(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_context *context = NULL;
        attention a = tuned(), expected = attention_expected(&a);
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        attention_run run = attention_run_make(&a, context);
        for (EACH_PART(part)) {
            const int64_t count = dcnv4_tactic_count(run.plan, part);
            assert_true(on_host(*device) ? count == 0 : count >= 1 && count <= 16);
            for (int64_t index = 0; index < count; ++index)
                if (tries_all() || index == 1 || index == count - 1)
                    check_tactic(&run, &a, &expected, part, index);
        }
        attention_run_free(&run);
        dcnv4_context_destroy(context);
        attention_free(&a);
        attention_free(&expected);
        count_case();
    }
}

/* Which tactic a new plan would use. */
static int64_t used(attention *a, dcnv4_context *context, dcnv4_msda_part part) {
    dcnv4_plan *plan = NULL;
    int64_t index = -1;
    a->problem.levels = a->levels;
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &a->problem, &plan));
    for (int64_t i = 0; i < dcnv4_tactic_count(plan, part); ++i) {
        dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_tactic_info_get(plan, part, i, &info));
        assert_true(info.description[0] != '\0');
        if (info.in_use)
            index = i;
    }
    dcnv4_plan_destroy(plan);
    return index;
}

/* A saved tactic is used by later plans, for every image size, and gives the same results. */
static void kept(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (on_host(*device))
            continue;
        dcnv4_context *context = NULL;
        attention a = tuned();
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        attention_run run = attention_run_make(&a, context);
        for (EACH_PART(part)) {
            const int64_t last = dcnv4_tactic_count(run.plan, part) - 1;
            ASSERT_SUCCESS(dcnv4_tactic_save(run.plan, part, 0));
            assert_int_equal(used(&a, context, part), 0);
            ASSERT_SUCCESS(dcnv4_tactic_save(run.plan, part, last));
            attention other = a;
            other.problem.queries = 4, other.problem.batch = 1;
            assert_int_equal(used(&other, context, part), last);
        }
        attention_compare(&a, *device);
        for (EACH_PART(part)) {
            ASSERT_SUCCESS(dcnv4_tactic_save(run.plan, part, 0));
            assert_int_equal(used(&a, context, part), 0);
        }
        attention_run_free(&run);
        dcnv4_context_destroy(context);
        attention_free(&a);
    }
}

/* ---- Indices of 64 bits ------------------------------------------------------------------------------------------ */

/* A level of 2²² columns, although it has no rows, makes the kernels' indices 64-bit ones, those of every way. */
static void wide_indices(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int32_t deterministic = 0; deterministic < (starts_with(*device, "opencl:") ? 1 : 2); ++deterministic) {
            uint64_t seed = 41;
            attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{0, 1 << 22, 0, 2}, {3, 5, 1, 3}}};
            dcnv4_msda_problem *const p = &a.problem;
            p->level_count = 2, p->value_length = 17, p->softmax = 1, p->deterministic = deterministic;
            p->batch = 2, p->queries = 20, p->heads = 2, p->head_channels = 16;
            attention_allocate(&a);
            attention_fill(&a, &seed);
            attention_compare(&a, *device);
            attention_free(&a);
        }
}

/* A level whose last columns are not exact in float32 once a fraction is added, looked at there. Its tensors are compared as
 * floats, since there are millions. */
static void far_columns(void **state) {
    (void)state;
    enum { WIDTH = (1 << 22) + 3, SEEN = 12 };
    for (const char *const *device = devices_to_try(); *device; ++device) {
        uint64_t seed = 43;
        attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT, .levels = {{1, WIDTH, 0, 2}}};
        dcnv4_msda_problem *const p = &a.problem;
        p->level_count = 1, p->value_length = WIDTH, p->location_unit = DCNV4_MSDA_PLACES;
        p->batch = 1, p->queries = 40, p->heads = 1, p->head_channels = 1;
        attention_allocate(&a);
        memset(a.tensors[IN_VALUE], 0, a.bytes[IN_VALUE]);
        for (int64_t i = WIDTH - SEEN; i < WIDTH; ++i)
            attention_put(&a, IN_VALUE, i, draw_between(&seed, -1, 1));
        for (int64_t i = 0; i < attention_count(&a, IN_LOCATIONS); i += 2) {
            attention_put(&a, IN_LOCATIONS, i, (double)draw_integer(&seed, WIDTH - 9, WIDTH) + 0.5);
            attention_put(&a, IN_LOCATIONS, i + 1, draw_between(&seed, -0.75, 0.75));
            attention_put(&a, IN_WEIGHTS, i / 2, draw_between(&seed, -1, 1));
            attention_put(&a, IN_GRAD, i / 4, draw_between(&seed, -1, 1));
        }
        attention expected = attention_copy(&a);
        attention_run_on(&expected, "reference");
        attention_run_on(&a, *device);
        for (int r = 0; r < ATTENTION_RESULTS; ++r) {
            const float *const is = (const void *)a.tensors[attention_results[r]];
            const float *const should_be = (const void *)expected.tensors[attention_results[r]];
            for (int64_t i = 0; i < attention_count(&a, attention_results[r]); ++i)
                if (!(fabsf(is[i] - should_be[i]) <= 1e-5F))
                    fail_msg("%s: element %lld of %s is %g instead of %g", *device, (long long)i,
                             attention_names[attention_results[r]], (double)is[i], (double)should_be[i]);
        }
        assert_true(attention_get(&a, OUT_OUTPUT, 0) != 0);
        attention_free(&a);
        attention_free(&expected);
        count_case();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bits), cmocka_unit_test(many_heads),   cmocka_unit_test(every_tactic),
        cmocka_unit_test(kept),          cmocka_unit_test(wide_indices), cmocka_unit_test(far_columns),
    };
    return HARNESS_RUN(argc, argv, tests);
}
