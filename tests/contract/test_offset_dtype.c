/* offset_mask in float32 beside 16-bit tensors: neither offsets nor their gradients are rounded to 16 bits. */
#include "../support/test_layer.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

static const int32_t narrow[] = {DCNV4_FLOAT16, DCNV4_BFLOAT16};

static dcnv4_problem mixed(dcnv4_problem problem, int32_t dtype) {
    problem.dtype = dtype, problem.offset_mask_dtype = DCNV4_FLOAT32;
    return problem;
}

/* Layers for the kernels' different code paths: boxes of whole blocks, of parts of one, odd channels, slices. */
static dcnv4_problem kind(int number) {
    dcnv4_problem problem = small_problem(DCNV4_FLOAT16);
    switch (number) {
    case 0: problem.softmax = 1; break;
    case 1:
        problem.groups = 2, problem.group_channels = 16, problem.kernel_h = problem.kernel_w = 3;
        problem.height = 9, problem.width = 21, problem.remove_center = 1, problem.dilation_h = problem.stride_w = 1;
        break;
    case 2: /* more points than the cpu processes at a time */
        problem.groups = 1, problem.group_channels = 4, problem.kernel_h = 17, problem.kernel_w = 16;
        problem.pad_h = 16, problem.pad_w = 8, problem.softmax = 1;
        break;
    case 3:
        problem.offset_mask_row = 61, problem.value_stride = 19, problem.offset_mask_stride = 70;
        problem.output_stride = 17, problem.grad_output_stride = 16, problem.grad_value_stride = 15;
        problem.grad_offset_mask_stride = 64, problem.deterministic = 1;
        break;
    }
    return problem;
}
enum { KINDS = 4 };

static void like_the_reference(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int n = 0; n < KINDS; ++n)
            for (int d = 0; d < 2; ++d) {
                if (!on_host(*device) && (n + d) % 2) /* compiling takes seconds */
                    continue;
                const dcnv4_problem problem = mixed(kind(n), narrow[d]);
                test_layer layer = layer_make(&problem), expected;
                layer_fill(&layer, 7 + (uint64_t)n, 3);
                expected = layer_as(&layer, narrow[d]);
                layer_both(&expected, "reference");
                layer_both(&layer, *device);
                for (int tensor = OUTPUT; tensor < TENSORS; ++tensor)
                    if (tensor != GRAD_OUTPUT)
                        assert_tensor_close(&layer, &expected, tensor, dtype_bound(layer_dtype(&layer, tensor)),
                                            *device);
                count_case();
                layer_free(&layer);
                layer_free(&expected);
            }
}

/* value is its column's number, exactly, so that the gradient of a point's weight is the point's x. With 16-bit offsets
 * it would be up to a quarter of a pixel off. */
static void offsets_keep_their_bits(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int d = 0; d < 2; ++d) {
            dcnv4_problem problem = mixed((dcnv4_problem)DCNV4_PROBLEM_INIT, narrow[d]);
            problem.batch = 1, problem.height = 2, problem.width = 128, problem.group_channels = 1;
            problem.kernel_h = problem.kernel_w = 1, problem.pad_h = problem.pad_w = 0;
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 3, 0);
            for (int64_t i = 0; i < 256; ++i) {
                layer_set(&layer, VALUE, i, 0, (double)(i % 128));
                layer_set(&layer, GRAD_OUTPUT, i, 0, 1);
                layer_set(&layer, OFFSET_MASK, i, 0, 64.3 * (i % 128 < 63 ? 1 : -0.9));
                layer_set(&layer, OFFSET_MASK, i, 1, 0);
                layer_set(&layer, OFFSET_MASK, i, 2, 1);
            }
            layer_both(&layer, *device);
            for (int64_t i = 0; i < 256; ++i) {
                const double x = (double)(i % 128) + layer_get(&layer, OFFSET_MASK, i, 0);
                const double expected = x < 0 || x > 127 ? NAN : x;
                if (expected == expected)
                    assert_true(fabs(layer_get(&layer, GRAD_OFFSET_MASK, i, 2) - expected) <= 1e-4);
            }
            count_case();
            layer_free(&layer);
        }
}

/* A caller compiled before the struct had offset_mask_dtype has one dtype. */
static void older_callers(void **state) {
    (void)state;
    dcnv4_problem problem = small_problem(DCNV4_FLOAT16);
    dcnv4_sizes expected = DCNV4_SIZES_INIT, sizes = DCNV4_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &expected));
    problem.size = offsetof(dcnv4_problem, offset_mask_dtype), problem.offset_mask_dtype = 77, problem.reserved_2 = 77;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    assert_int_equal(sizes.offset_mask, expected.offset_mask);
    problem = mixed(small_problem(DCNV4_FLOAT16), DCNV4_FLOAT16);
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    assert_int_equal(sizes.offset_mask, 2 * expected.offset_mask);
    assert_int_equal(sizes.grad_offset_mask, 2 * expected.grad_offset_mask);
    assert_int_equal(sizes.value, expected.value);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_the_reference),
        cmocka_unit_test(offsets_keep_their_bits),
        cmocka_unit_test(older_callers),
    };
    return HARNESS_RUN(argc, argv, tests);
}
