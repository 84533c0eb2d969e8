/* The header's worked example, as it stands there, gives the reference's result. */
int aggregate(const float *value, const float *offset_mask, float *output);
#include "header_example.h"

#include "../support/test_layer.h"

static void the_example_runs(void **state) {
    (void)state;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 64, problem.width = 96, problem.groups = 4, problem.group_channels = 16;
    test_layer layer = layer_make(&problem), expected = layer_make(&problem);
    layer_fill(&layer, 61, 2);
    layer_fill(&expected, 61, 2);
    assert_status(layer_forward(&expected, "reference"), DCNV4_SUCCESS, "the reference");
    assert_int_equal(aggregate(layer.tensors[VALUE], layer.tensors[OFFSET_MASK], layer.tensors[OUTPUT]), 0);
    assert_tensor_close(&layer, &expected, OUTPUT, dtype_bound(DCNV4_FLOAT32), "the header's example");
    layer_free(&layer);
    layer_free(&expected);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_example_runs)};
    return HARNESS_RUN(argc, argv, tests);
}
