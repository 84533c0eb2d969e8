/* A layer is compiled once: another image size, batch or number of queries compiles and loads nothing, in either operator.
 *   test_new_sizes BACKEND LIBRARY, the stand-in's name */
#include "../../backends/gpu/runtime/module_store.h"
#include "../support/harness.h"
#include "faults.h"

#include <stdio.h>

static const char *device;

static dcnv4i_build_counts plan(dcnv4_context *context, const fault_layer *layer) {
    dcnv4_plan *made = NULL;
    ASSERT_SUCCESS(fault_plan(context, layer, &made));
    dcnv4_plan_destroy(made);
    count_case();
    return dcnv4i_build_count();
}

/* Plans of the first layer, then of others that differ in sizes alone. */
static void check(const fault_layer *layers, int count) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    const dcnv4i_build_counts none = dcnv4i_build_count(), first = plan(context, &layers[0]);
    assert_true(first.compiled > none.compiled);
    for (int i = 1; i < count; ++i) {
        const dcnv4i_build_counts now = plan(context, &layers[i]);
        assert_int_equal(now.compiled, first.compiled);
        assert_int_equal(now.loaded, first.loaded);
    }
    dcnv4_context_destroy(context);
}

static void of_images(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 5, 6}, {1, 64, 48}, {9, 5, 6},     {0, 5, 6},
                                       {1, 1, 1}, {3, 0, 4},   {2, 801, 1067}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int32_t deterministic = 0; deterministic < 2; ++deterministic) {
        fault_layer layers[SIZES];
        for (int i = 0; i < SIZES; ++i) {
            layers[i] = fault_conv(DCNV4_FLOAT16, deterministic);
            layers[i].conv.batch = sizes[i][0], layers[i].conv.height = sizes[i][1], layers[i].conv.width = sizes[i][2];
        }
        check(layers, SIZES);
    }
}

static void of_attention(void **state) {
    (void)state;
    static const struct {
        int64_t batch, queries, value_length;
        dcnv4_msda_level levels[2];
    } sizes[] = {
        {1, 5, 16, {{3, 4, 0, 3}, {2, 2, 12, 2}}},
        {1, 900, 16, {{3, 4, 0, 3}, {2, 2, 12, 2}}},
        {16, 5, 16, {{3, 4, 0, 3}, {2, 2, 12, 2}}},
        {1, 5, 16, {{2, 2, 12, 3}, {3, 4, 0, 2}}},
        {1, 5, 99, {{9, 7, 4, 3}, {1, 1, 90, 2}}},
        {0, 5, 16, {{3, 4, 0, 3}, {2, 2, 12, 2}}},
        {1, 0, 16, {{3, 4, 0, 3}, {2, 2, 12, 2}}},
        {2, 300, 0, {{0, 0, 0, 3}, {0, 7, 0, 2}}},
        {1, 16750, 16750, {{100, 134, 0, 3}, {50, 67, 13400, 2}}},
    };
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int32_t deterministic = 0; deterministic < 2; ++deterministic) {
        fault_layer layers[SIZES];
        for (int i = 0; i < SIZES; ++i) {
            layers[i] = fault_attention(DCNV4_FLOAT16, deterministic);
            dcnv4_msda_problem *const p = &layers[i].attn;
            p->batch = sizes[i].batch, p->queries = sizes[i].queries;
            p->value_length = sizes[i].value_length, p->levels = sizes[i].levels;
        }
        check(layers, SIZES);
    }
}

int main(int argc, char **argv) {
    static char name[32];
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_images), cmocka_unit_test(of_attention)};
    if (argc != 3)
        return 1;
    snprintf(name, sizeof name, "%s:0", argv[1]);
    device = name;
    fault_control(argv[2])->idle = 1;
    return harness_run(2, argv, tests, sizeof tests / sizeof *tests);
}
