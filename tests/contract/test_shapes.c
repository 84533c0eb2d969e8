/* Extreme sizes: no elements, one, and more than 2^31; and batches in another order. */
#include "../support/sparse.h"
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool all_zero(const test_layer *layer, int tensor) {
    double *numbers = layer_read(layer, tensor);
    bool zero = true;
    for (int64_t i = 0; i < layer_pixels(layer, tensor) * layer_row(layer, tensor); ++i)
        zero = zero && numbers[i] == 0;
    free(numbers);
    return zero;
}

/* Runs on empty tensors succeed, and results with elements are zeros: no point is inside an image without pixels. */
static void empty_tensors(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype))
            for (int empty = 1; empty < 8; ++empty)
                for (int pad = 0; pad < 2; ++pad) {
                    if (!tries_dtype(*device, dtype))
                        continue;
                    dcnv4_problem problem = small_problem(dtype);
                    problem.pad_h = problem.pad_w = 4 * pad;
                    if (empty & 1)
                        problem.batch = 0;
                    if (empty & 2)
                        problem.height = 0;
                    if (empty & 4)
                        problem.width = 0;
                    test_layer layer = layer_make(&problem);
                    layer_fill(&layer, 3, 2);
                    layer_both(&layer, *device);
                    assert_int_equal(layer.bytes[VALUE], 0);
                    assert_int_equal(layer.bytes[GRAD_VALUE], 0);
                    if (!(empty & 1) && pad)
                        assert_true(layer.bytes[OUTPUT] > 0 && layer.bytes[GRAD_OFFSET_MASK] > 0);
                    assert_true(all_zero(&layer, OUTPUT) && all_zero(&layer, GRAD_OFFSET_MASK));
                    count_case();
                    layer_free(&layer);
                }
}

/* Inputs that no output pixel reads: all results are zeros. */
static void gradients_without_outputs(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype)) {
            if (!tries_dtype(*device, dtype))
                continue;
            dcnv4_problem problem = small_problem(dtype);
            problem.kernel_h = problem.kernel_w = 1, problem.remove_center = 1;
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 3, 2);
            assert_int_equal(layer.sizes.points, 0);
            layer_both(&layer, *device);
            assert_true(layer.bytes[GRAD_VALUE] > 0 && all_zero(&layer, GRAD_VALUE) && all_zero(&layer, OUTPUT));
            assert_true(all_zero(&layer, GRAD_OFFSET_MASK));
            count_case();
            layer_free(&layer);
            /* A width of 0: no output pixels, though the height is not 0. */
            problem = small_problem(dtype);
            problem.width = 0, problem.pad_w = 0;
            layer = layer_make(&problem);
            layer_both(&layer, *device);
            count_case();
            layer_free(&layer);
        }
}

/* Permuting the batch permutes the results, bit for bit, at odd sizes. */
static void batches_in_another_order(void **state) {
    (void)state;
    enum { BATCH = 5 };
    static const int64_t order[BATCH] = {3, 0, 4, 2, 1};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype)) {
            if (!tries_dtype(*device, dtype))
                continue;
            dcnv4_problem problem = small_problem(dtype);
            problem.batch = BATCH, problem.height = 11, problem.width = 13, problem.groups = 5,
            problem.group_channels = 7;
            test_layer layer = layer_make(&problem), other = layer_make(&problem), expected = layer_make(&problem);
            layer_fill(&layer, 37, 3);
            for (int i = 0; i < TENSORS; ++i)
                for (int64_t n = 0; n < BATCH; ++n) {
                    const size_t image = layer.bytes[i] / BATCH;
                    memcpy((char *)other.tensors[i] + (size_t)n * image,
                           (char *)layer.tensors[i] + (size_t)order[n] * image, image);
                }
            layer_both(&layer, *device);
            layer_both(&other, *device);
            static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
            for (int r = 0; r < 3; ++r) {
                const size_t image = layer.bytes[results[r]] / BATCH;
                for (int64_t n = 0; n < BATCH; ++n)
                    memcpy((char *)expected.tensors[results[r]] + (size_t)n * image,
                           (char *)layer.tensors[results[r]] + (size_t)order[n] * image, image);
                assert_same_bits(&other, &expected, results[r], *device);
            }
            layer_free(&layer);
            layer_free(&other);
            layer_free(&expected);
        }
}

/* Runs both passes, and compares with the reference's results. */
static void assert_like_reference(test_layer *layer, const char *device) {
    test_layer expected = layer_as(layer, layer->problem.dtype);
    layer_both(&expected, "reference");
    layer_both(layer, device);
    for (int tensor = OUTPUT; tensor < TENSORS; ++tensor)
        if (tensor != GRAD_OUTPUT)
            assert_tensor_close(layer, &expected, tensor, dtype_bound(layer->problem.dtype), device);
    count_case();
    layer_free(&expected);
}

/* Images of one group in 16 bits, so large that the cpu copies a few rows at a time: points lie outside the copy. */
static void more_rows_than_a_copy(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype)) {
            if (!tries_dtype(*device, dtype))
                continue;
            dcnv4_problem problem = small_problem(dtype);
            problem.batch = 1, problem.groups = 1, problem.group_channels = 24, problem.height = 40, problem.width = 37;
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 13, 6);
            assert_like_reference(&layer, *device);
            layer_free(&layer);
        }
}

/* ---- Beyond 2^31 elements ---------------------------------------------------------------------------------------- */

/* A layer whose tensors have no memory but where rows are written. */
static test_layer sparse_layer(const dcnv4_problem *problem) {
    test_layer made = {.problem = *problem, .sizes = DCNV4_SIZES_INIT};
    ASSERT_SUCCESS(dcnv4_problem_sizes(problem, &made.sizes));
    const dcnv4_sizes *s = &made.sizes;
    const size_t bytes[TENSORS] = {s->value,       s->offset_mask, s->output,
                                   s->grad_output, s->grad_value,  s->grad_offset_mask};
    for (int i = 0; i < TENSORS; ++i) {
        made.bytes[i] = bytes[i];
        made.tensors[i] = sparse_map(bytes[i]);
    }
    return made;
}

static void sparse_free(test_layer *layer) {
    for (int i = 0; i < TENSORS; ++i)
        sparse_unmap(layer->tensors[i], layer->bytes[i]);
}

/* The small problem with this pixel stride everywhere must give the bits of the dense one. */
static void check_stride(const char *device, int32_t dtype, int64_t stride) {
    dcnv4_problem problem = small_problem(dtype);
    problem.batch = 1, problem.height = 3, problem.width = 4;
    test_layer dense = layer_make(&problem);
    layer_fill(&dense, 43, 2);
    layer_both(&dense, device);
    problem.value_stride = problem.offset_mask_stride = problem.output_stride = stride;
    problem.grad_output_stride = problem.grad_value_stride = problem.grad_offset_mask_stride = stride;
    test_layer sparse = sparse_layer(&problem);
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT}, results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    for (int i = 0; i < 3; ++i) {
        double *numbers = layer_read(&dense, inputs[i]);
        layer_write(&sparse, inputs[i], numbers);
        free(numbers);
    }
    layer_both(&sparse, device);
    char what[128];
    snprintf(what, sizeof what, "%s, a pixel stride of %lld", device, (long long)stride);
    for (int r = 0; r < 3; ++r)
        assert_tensor_close(&sparse, &dense, results[r], 0, what);
    layer_free(&dense);
    sparse_free(&sparse);
}

static void beyond_2_31_elements(void **state) {
    (void)state;
    /* The whole tensor just at and past 2^31 and 2^32 elements; a single stride of 2^31 and more. */
    static const int64_t strides[] = {(1LL << 31) / 12, (1LL << 31) / 11 + 1, (1LL << 32) / 11 + 1, (1LL << 31) - 1,
                                      1LL << 31,        (1LL << 31) + 1,      (1LL << 32) - 1,      1LL << 32,
                                      (1LL << 32) + 5};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (size_t i = 0; i < sizeof strides / sizeof *strides && on_host(*device); ++i) {
            check_stride(*device, DCNV4_FLOAT16, strides[i]);
            check_stride(*device, DCNV4_FLOAT32, strides[i]);
        }
}

/* A row of offset_mask of more than 2^31 elements, of which 3·G·K are used and the rest is padding that backward zeroes:
 * so forward only. */
static void a_long_row(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (!on_host(*device))
            continue;
        dcnv4_problem problem = small_problem(DCNV4_FLOAT16);
        problem.batch = 1, problem.height = 3, problem.width = 4;
        test_layer dense = layer_make(&problem);
        layer_fill(&dense, 43, 2);
        assert_status(layer_forward(&dense, *device), DCNV4_SUCCESS, *device);
        problem.offset_mask_row = (1LL << 31) + 3;
        problem.forward_only = 1;
        test_layer sparse = sparse_layer(&problem);
        const size_t item = item_size(problem.dtype), row = (size_t)dense.sizes.offset_mask_row * item;
        memcpy(sparse.tensors[VALUE], dense.tensors[VALUE], dense.bytes[VALUE]);
        for (int64_t pixel = 0; pixel < layer_pixels(&dense, OFFSET_MASK); ++pixel)
            memcpy((char *)sparse.tensors[OFFSET_MASK] + (size_t)(pixel * problem.offset_mask_row) * item,
                   (char *)dense.tensors[OFFSET_MASK] + (size_t)pixel * row, row);
        assert_status(layer_forward(&sparse, *device), DCNV4_SUCCESS, *device);
        assert_same_bits(&sparse, &dense, OUTPUT, *device);
        layer_free(&dense);
        sparse_free(&sparse);
    }
}

/* An image of more than 2^31 pixels, of which the few output pixels read some. */
static void a_wide_image(void **state) {
    (void)state;
    static const int32_t dtypes[] = {DCNV4_FLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int d = 0; d < 3 && on_host(*device); ++d) {
            dcnv4_problem problem = DCNV4_PROBLEM_INIT;
            problem.dtype = dtypes[d];
            problem.batch = 1, problem.height = 1, problem.width = (1LL << 32) + 5, problem.group_channels = 1;
            problem.kernel_h = 1, problem.kernel_w = 1, problem.pad_h = problem.pad_w = 0;
            problem.stride_w = 1LL << 31;
            problem.forward_only = 1;
            test_layer layer = sparse_layer(&problem);
            assert_int_equal(layer.sizes.output_width, 3);
            for (int64_t ox = 0; ox < 3; ++ox) {
                layer_set(&layer, VALUE, ox << 31, 0, (double)(ox + 1));
                layer_set(&layer, OFFSET_MASK, ox, 2, 0.5);
            }
            dcnv4_context *context = NULL;
            dcnv4_plan *plan = NULL;
            ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
            ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
            /* A device that converts the whole image needs memory for it, which is not available here. */
            const bool converts = dcnv4_plan_workspace_size(plan, DCNV4_PASS_FORWARD) >= (size_t)1 << 30;
            assert_true(!converts || dtypes[d] == DCNV4_FLOAT16);
            dcnv4_plan_destroy(plan);
            if (!converts) {
                ASSERT_SUCCESS(layer_run(&layer, context, DCNV4_PASS_FORWARD));
                for (int64_t ox = 0; ox < 3; ++ox)
                    assert_true(layer_get(&layer, OUTPUT, ox, 0) == 0.5 * (double)(ox + 1));
                count_case();
            }
            dcnv4_context_destroy(context);
            sparse_free(&layer);
        }
}

/* Far from the image's corner an offset keeps its precision; at the edge, a point that float64 rounds to −1 is
 * ignored. */
static void positions_far_and_near(void **state) {
    (void)state;
    enum { WIDTH = 100003, FAR = WIDTH - 2 };
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (!tries_dtype(*device, DCNV4_FLOAT32))
            continue;
        dcnv4_problem problem = DCNV4_PROBLEM_INIT;
        problem.dtype = DCNV4_FLOAT32;
        problem.batch = 1, problem.height = 2, problem.width = WIDTH, problem.group_channels = 8;
        problem.kernel_h = problem.kernel_w = 1, problem.pad_h = 0, problem.pad_w = 1;
        problem.forward_only = 1;
        test_layer layer = sparse_layer(&problem);
        for (int64_t c = 0; c < 8; ++c)
            layer_set(&layer, VALUE, FAR + 1, c, 1), layer_set(&layer, VALUE, 0, c, 1);
        /* The kernel of output pixel o has its centre at o − 1. */
        layer_set(&layer, OFFSET_MASK, FAR + 1, 0, (double)0.3f), layer_set(&layer, OFFSET_MASK, FAR + 1, 2, 1);
        layer_set(&layer, OFFSET_MASK, 0, 0, (double)1e-30f), layer_set(&layer, OFFSET_MASK, 0, 2, 1);
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        ASSERT_SUCCESS(layer_run(&layer, context, DCNV4_PASS_FORWARD));
        for (int64_t c = 0; c < 8; ++c) {
            assert_true(fabs(layer_get(&layer, OUTPUT, FAR + 1, c) - (double)0.3f) <= 1e-7);
            assert_true(layer_get(&layer, OUTPUT, 0, c) == 0);
        }
        count_case();
        dcnv4_context_destroy(context);
        sparse_free(&layer);
    }
}

/* Padding of 2²⁶ pixels, with offsets back into the image: at that magnitude float32 cannot represent the image's edge.
 * Output pixels 0 and 1 read columns 64, which is outside, and 56. */
static void far_padding(void **state) {
    (void)state;
    enum { WIDTH = 64, FAR = 1 << 26 };
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_problem problem = DCNV4_PROBLEM_INIT;
        problem.dtype = DCNV4_FLOAT32;
        problem.batch = 2, problem.height = 3, problem.width = WIDTH, problem.group_channels = 16;
        problem.kernel_h = problem.kernel_w = 1, problem.pad_h = 0, problem.pad_w = FAR, problem.stride_w = FAR / 2;
        test_layer layer = layer_make(&problem);
        assert_int_equal(layer.sizes.output_width, 5);
        layer_fill(&layer, 3, 1);
        for (int64_t pixel = 0; pixel < layer_pixels(&layer, OFFSET_MASK); ++pixel)
            if (pixel % 5 < 2) {
                layer_set(&layer, OFFSET_MASK, pixel, 0, pixel % 5 == 0 ? FAR + WIDTH : FAR / 2 + WIDTH - 8);
                layer_set(&layer, OFFSET_MASK, pixel, 1, 0);
            }
        assert_like_reference(&layer, *device);
        assert_true(layer_get(&layer, OUTPUT, 0, 0) == 0 && layer_get(&layer, OUTPUT, 1, 0) != 0);
        layer_free(&layer);
    }
}

/* Offsets so small that adding them to the pixel in float64 changes nothing: the point is on that pixel, even where
 * float32 could still tell on which side it is, and its derivatives are those of the cell that begins there. */
static void offsets_too_small_to_tell(void **state) {
    (void)state;
    static const double tiny[] = {1e-30, -1e-30, -1e-20, 1e-20, -1e-37};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype)) {
            if (!tries_dtype(*device, dtype))
                continue;
            dcnv4_problem problem = small_problem(dtype);
            problem.softmax = 0, problem.offset_scale = 1;
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 3, 2);
            const int64_t points = layer.sizes.points;
            for (int64_t i = 0; i < layer_pixels(&layer, OFFSET_MASK) * layer_row(&layer, OFFSET_MASK); ++i) {
                const int64_t pixel = i / layer_row(&layer, OFFSET_MASK), element = i % layer_row(&layer, OFFSET_MASK);
                if (element < 3 * points * problem.groups && element % (3 * points) < 2 * points)
                    layer_set(&layer, OFFSET_MASK, pixel, element, tiny[(i + pixel) % 5]);
            }
            assert_like_reference(&layer, *device);
            layer_free(&layer);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_tensors),
        cmocka_unit_test(gradients_without_outputs),
        cmocka_unit_test(batches_in_another_order),
        cmocka_unit_test(more_rows_than_a_copy),
        cmocka_unit_test(beyond_2_31_elements),
        cmocka_unit_test(a_long_row),
        cmocka_unit_test(a_wide_image),
        cmocka_unit_test(positions_far_and_near),
        cmocka_unit_test(far_padding),
        cmocka_unit_test(offsets_too_small_to_tell),
    };
    return HARNESS_RUN(argc, argv, tests);
}
