/* The truth table of poisons: NaN, infinities and 1e30 in every kind of input. The required effect is stated here, and
 * every device must have NaN, infinities and their signs where the reference has them, and close finite results. */
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double poisons[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30};
enum { POISONS = sizeof poisons / sizeof *poisons };
static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};

/* Values, weights and grad_output within (0.5, 1.5), so that no order of summation turns one infinity into NaN. */
static test_layer positive_layer(int32_t dtype, int32_t softmax) {
    dcnv4_problem problem = small_problem(dtype);
    problem.softmax = softmax;
    test_layer layer = layer_make(&problem);
    layer_fill(&layer, 23, 1);
    const int64_t block = 3 * layer.sizes.points;
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
    for (int i = 0; i < 3; ++i)
        for (int64_t pixel = 0; pixel < layer_pixels(&layer, inputs[i]); ++pixel)
            for (int64_t e = 0; e < layer_row(&layer, inputs[i]); ++e)
                if (inputs[i] != OFFSET_MASK || e % block >= 2 * layer.sizes.points)
                    layer_set(&layer, inputs[i], pixel, e, 0.75 + fabs(layer_get(&layer, inputs[i], pixel, e)) / 2);
    return layer;
}

typedef enum kind { FINITE, NOT_A_NUMBER, PLUS_INFINITY, MINUS_INFINITY } kind;
static const char *const kind_names[] = {"finite", "NaN", "+Inf", "-Inf"};

static kind kind_of(double number) {
    return isnan(number) ? NOT_A_NUMBER : isfinite(number) ? FINITE : number > 0 ? PLUS_INFINITY : MINUS_INFINITY;
}

/* Compares all three results of a run with the reference's in the same dtype. */
static void assert_same_kinds(const test_layer *layer, const test_layer *expected, const char *what) {
    for (int i = 0; i < 3; ++i) {
        const int64_t count = layer_pixels(layer, results[i]) * layer_row(layer, results[i]);
        double *numbers = layer_read(layer, results[i]), *wanted = layer_read(expected, results[i]);
        for (int64_t e = 0; e < count; ++e) {
            if (kind_of(numbers[e]) != kind_of(wanted[e]))
                fail_msg("%s: element %lld of %s is %s (%g), the reference has %s (%g)", what, (long long)e,
                         tensor_names[results[i]], kind_names[kind_of(numbers[e])], numbers[e],
                         kind_names[kind_of(wanted[e])], wanted[e]);
            if (kind_of(wanted[e]) == FINITE && !(fabs(numbers[e] - wanted[e]) <= 0x1p-6 * (1 + fabs(wanted[e]))))
                fail_msg("%s: element %lld of %s is %g, the reference has %g", what, (long long)e,
                         tensor_names[results[i]], numbers[e], wanted[e]);
        }
        count_case();
        free(numbers);
        free(wanted);
    }
}

/* Runs a layer on every device, or every one on the host, and compares. The layer then holds the reference's results. */
static void compare_some_devices(test_layer *layer, bool host_alone, const char *what) {
    test_layer expected = layer_as(layer, layer->problem.dtype);
    layer_both(&expected, "reference");
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (!tries_dtype(*device, layer->problem.dtype) || (host_alone && !on_host(*device)))
            continue;
        char name[160];
        snprintf(name, sizeof name, "%s, %s, %s", *device, dtype_name(layer->problem.dtype), what);
        layer_clear(layer);
        layer_both(layer, *device);
        assert_same_kinds(layer, &expected, name);
    }
    for (int i = 0; i < 3; ++i)
        memcpy(layer->tensors[results[i]], expected.tensors[results[i]], expected.bytes[results[i]]);
    layer_free(&expected);
}

static void compare_devices(test_layer *layer, const char *what) {
    compare_some_devices(layer, false, what);
}

static int64_t count_kind(const test_layer *layer, int tensor, kind wanted) {
    int64_t found = 0;
    const int64_t count = layer_pixels(layer, tensor) * layer_row(layer, tensor);
    double *numbers = layer_read(layer, tensor);
    for (int64_t e = 0; e < count; ++e)
        found += kind_of(numbers[e]) == wanted;
    free(numbers);
    return found;
}

static void assert_all_finite(const test_layer *layer) {
    for (int i = 0; i < 3; ++i) {
        const int64_t count = layer_pixels(layer, results[i]) * layer_row(layer, results[i]);
        assert_int_equal(count_kind(layer, results[i], FINITE), count);
    }
}

#define EACH_TABLE(dtype, softmax) EACH_DTYPE(dtype)) for (int32_t softmax = 0; softmax < 2; ++softmax

/* A point with a poisoned offset does not count: results are as if its weight were 0, and its gradients are 0. */
static void offsets(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax))
        for (int i = 0; i < POISONS; ++i)
            for (int axis = 0; axis < 2; ++axis) {
                test_layer layer = positive_layer(dtype, softmax);
                const int64_t block = 3 * layer.sizes.points, pixel = 9, point = 2, at = block + 2 * point;
                layer_set(&layer, OFFSET_MASK, pixel, at + axis, poisons[i]);
                compare_devices(&layer, "a poisoned offset");
                assert_all_finite(&layer);
                assert_true(layer_get(&layer, GRAD_OFFSET_MASK, pixel, at) == 0);
                assert_true(layer_get(&layer, GRAD_OFFSET_MASK, pixel, at + 1) == 0);
                if (!softmax) {
                    assert_true(layer_get(&layer, GRAD_OFFSET_MASK, pixel, block + 2 * layer.sizes.points + point) ==
                                0);
                    test_layer without = layer_as(&layer, dtype);
                    layer_set(&without, OFFSET_MASK, pixel, block + 2 * layer.sizes.points + point, 0);
                    layer_both(&without, "reference");
                    assert_same_bits(&layer, &without, OUTPUT, "a point that does not count");
                    assert_same_bits(&layer, &without, GRAD_VALUE, "a point that does not count");
                    layer_free(&without);
                }
                layer_free(&layer);
            }
}

/* No point counts if the scale is not finite or moves all points out of the image. */
static void offset_scales(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax))
        for (int i = 0; i < POISONS; ++i) {
            test_layer layer = positive_layer(dtype, softmax);
            layer.problem.offset_scale = poisons[i];
            compare_devices(&layer, "a poisoned offset_scale");
            for (int r = 0; r < 3; ++r) {
                double *numbers = layer_read(&layer, results[r]);
                for (int64_t e = 0; e < layer_pixels(&layer, results[r]) * layer_row(&layer, results[r]); ++e)
                    assert_true(numbers[e] == 0);
                free(numbers);
            }
            layer_free(&layer);
        }
}

/* A poisoned weight shows in the results if its point counts. If not, softmax alone reads it, as a part of its sum. */
static void weights(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax))
        for (int i = 0; i < POISONS; ++i)
            for (int counts = 0; counts < 2; ++counts) {
                test_layer layer = positive_layer(dtype, softmax);
                const int64_t points = layer.sizes.points, pixel = 16, point = 3;
                const int64_t ox = pixel % layer.sizes.output_width, oy = pixel / layer.sizes.output_width;
                const dcnv4_problem *p = &layer.problem;
                /* Into the middle of the image, or far out of it. */
                const double x = (double)(ox * p->stride_w - p->pad_w + point / p->kernel_h * p->dilation_w);
                const double y = (double)(oy * p->stride_h - p->pad_h + point % p->kernel_h * p->dilation_h);
                layer_set(&layer, OFFSET_MASK, pixel, 2 * point, 1.5 - x + (counts ? 0 : 100));
                layer_set(&layer, OFFSET_MASK, pixel, 2 * point + 1, 2.25 - y);
                layer_set(&layer, OFFSET_MASK, pixel, 2 * points + point, poisons[i]);
                compare_devices(&layer, counts ? "a poisoned weight" : "a poisoned weight that does not count");
                const kind expected = kind_of(layer_get(&layer, OFFSET_MASK, pixel, 2 * points + point));
                if (!counts && !softmax)
                    assert_all_finite(&layer);
                else if (expected == NOT_A_NUMBER || (counts && !softmax && expected != FINITE))
                    assert_int_equal(count_kind(&layer, OUTPUT, expected), p->group_channels);
                if (counts && !softmax && expected != FINITE) /* its four corners */
                    assert_int_equal(count_kind(&layer, GRAD_VALUE, expected), 4 * p->group_channels);
                layer_free(&layer);
            }
}

/* Exactly one pixel outside the image a point does not count: even a weight of NaN has no effect. */
static void just_outside(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype))
        for (int side = 0; side < 4; ++side) {
            test_layer layer = positive_layer(dtype, 0);
            const dcnv4_problem *p = &layer.problem;
            const int64_t points = layer.sizes.points, pixel = 16, point = 3;
            const int64_t ox = pixel % layer.sizes.output_width, oy = pixel / layer.sizes.output_width;
            const double x = (double)(ox * p->stride_w - p->pad_w + point / p->kernel_h * p->dilation_w);
            const double y = (double)(oy * p->stride_h - p->pad_h + point % p->kernel_h * p->dilation_h);
            const double to_x[] = {-1, (double)p->width, 1.5, 1.5}, to_y[] = {1.5, 1.5, -1, (double)p->height};
            layer_set(&layer, OFFSET_MASK, pixel, 2 * point, to_x[side] - x);
            layer_set(&layer, OFFSET_MASK, pixel, 2 * point + 1, to_y[side] - y);
            layer_set(&layer, OFFSET_MASK, pixel, 2 * points + point, NAN);
            compare_devices(&layer, "a point just outside");
            assert_all_finite(&layer);
            layer_free(&layer);
        }
}

/* Offsets so small that adding them to the pixel in float64 changes nothing: the point is on that pixel, or does not
 * count if that is −1. So an infinite grad_output reaches these pixels and those right of and below them, no others. */
static void offsets_too_small_to_tell(void **state) {
    (void)state;
    static const double tiny[] = {1e-30, -1e-30};
    for (EACH_DTYPE(dtype))
        for (int i = 0; i < 2; ++i)
            for (int64_t pixel = 0; pixel <= 16; pixel += 16) {
                test_layer layer = positive_layer(dtype, 0);
                const int64_t block = 3 * layer.sizes.points;
                for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
                    for (int64_t e = 0; e < 3 * block; ++e)
                        if (e % block < 2 * layer.sizes.points)
                            layer_set(&layer, OFFSET_MASK, row, e, tiny[i]);
                for (int64_t c = 0; c < layer_row(&layer, GRAD_OUTPUT); ++c)
                    layer_set(&layer, GRAD_OUTPUT, pixel, c, INFINITY);
                compare_devices(&layer, "offsets too small to tell");
                assert_true(count_kind(&layer, GRAD_VALUE, PLUS_INFINITY) > 0);
                layer_free(&layer);
            }
}

/* An infinite weight is multiplied last, by the interpolated value: neither the corners' signs nor corners of weight 0
 * may turn it into NaN. */
static void infinite_weights(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype))
        for (int whole = 0; whole < 2; ++whole) {
            const dcnv4_problem problem = small_problem(dtype);
            test_layer layer = layer_make(&problem);
            const int64_t points = layer.sizes.points, block = 3 * points;
            uint64_t seed = 37;
            layer_fill(&layer, 37, 2);
            for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
                for (int64_t e = 0; e < 3 * block; ++e) {
                    if (whole && e % block < 2 * points)
                        layer_set(&layer, OFFSET_MASK, row, e, (double)draw_integer(&seed, -2, 2));
                    if (e % block == 2 * points + row % points) /* one per block, so that infinities do not cancel */
                        layer_set(&layer, OFFSET_MASK, row, e, row % 2 ? INFINITY : -INFINITY);
                }
            compare_devices(&layer, whole ? "infinite weights at whole positions" : "infinite weights");
            assert_true(count_kind(&layer, OUTPUT, PLUS_INFINITY) > 0 &&
                        count_kind(&layer, OUTPUT, MINUS_INFINITY) > 0);
            assert_int_equal(count_kind(&layer, OUTPUT, NOT_A_NUMBER), 0);
            layer_free(&layer);
        }
}

static void values(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax))
        for (int i = 0; i < POISONS; ++i)
            for (int64_t pixel = 0; pixel < 35; pixel += 17) { /* a corner, the middle, the last but one */
                test_layer layer = positive_layer(dtype, softmax);
                const int64_t channel = 7;
                layer_set(&layer, VALUE, pixel, channel, poisons[i]);
                compare_devices(&layer, "a poisoned value");
                const kind expected = kind_of(layer_get(&layer, VALUE, pixel, channel));
                const int64_t found = count_kind(&layer, OUTPUT, expected);
                assert_true(found > 0);
                /* Only in its own channel, and never in grad_value. */
                for (int64_t row = 0; row < layer_pixels(&layer, OUTPUT); ++row)
                    for (int64_t c = 0; c < layer_row(&layer, OUTPUT); ++c)
                        assert_true(c == channel || isfinite(layer_get(&layer, OUTPUT, row, c)));
                assert_int_equal(count_kind(&layer, GRAD_VALUE, FINITE),
                                 layer_pixels(&layer, GRAD_VALUE) * layer_row(&layer, GRAD_VALUE));
                layer_free(&layer);
            }
}

static void output_gradients(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax))
        for (int i = 0; i < POISONS; ++i) {
            test_layer layer = positive_layer(dtype, softmax);
            const int64_t pixel = 16, channel = 3, block = 3 * layer.sizes.points;
            layer_set(&layer, GRAD_OUTPUT, pixel, channel, poisons[i]);
            compare_devices(&layer, "a poisoned grad_output");
            /* Only the block of its own group and pixel is touched. */
            for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
                for (int64_t e = 0; e < layer_row(&layer, OFFSET_MASK); ++e)
                    assert_true((row == pixel && e < block) || isfinite(layer_get(&layer, GRAD_OFFSET_MASK, row, e)));
            if (isnan(poisons[i]))
                assert_true(count_kind(&layer, GRAD_VALUE, NOT_A_NUMBER) > 0);
            layer_free(&layer);
        }
}

static void fill_tensor(test_layer *layer, int tensor, double number) {
    for (int64_t row = 0; row < layer_pixels(layer, tensor); ++row)
        for (int64_t e = 0; e < layer_row(layer, tensor); ++e)
            layer_set(layer, tensor, row, e, number);
}

/* The image is infinite everywhere: every output is infinite or, where no point counts, 0. If a corner outside the
 * image were read from a neighbour and multiplied by 0, the output would be NaN. */
static void corners_outside(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype))
        for (int i = 0; i < 3; ++i)
            for (int reach = 1; reach <= 9; reach += 4) {
                test_layer layer = positive_layer(dtype, 0);
                test_layer wide = layer_as(&layer, dtype);
                layer_fill(&wide, 29, reach);
                const int64_t block = 3 * layer.sizes.points;
                for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
                    for (int64_t e = 0; e < 3 * block; ++e)
                        if (e % block < 2 * layer.sizes.points)
                            layer_set(&layer, OFFSET_MASK, row, e, layer_get(&wide, OFFSET_MASK, row, e));
                fill_tensor(&layer, VALUE, poisons[i]);
                compare_devices(&layer, "an image of poison");
                const int64_t outputs = layer_pixels(&layer, OUTPUT) * layer_row(&layer, OUTPUT);
                const int64_t poisoned = count_kind(&layer, OUTPUT, kind_of(poisons[i]));
                assert_true(poisoned > 0);
                assert_int_equal(poisoned + count_kind(&layer, OUTPUT, FINITE), outputs);
                layer_free(&wide);
                layer_free(&layer);
            }
}

static void set_whole_offsets(test_layer *layer) {
    const int64_t block = 3 * layer->sizes.points;
    uint64_t seed = 31;
    for (int64_t row = 0; row < layer_pixels(layer, OFFSET_MASK); ++row)
        for (int64_t e = 0; e < 3 * block; ++e)
            if (e % block < 2 * layer->sizes.points)
                layer_set(layer, OFFSET_MASK, row, e, (double)draw_integer(&seed, -3, 3));
}

/* Integer positions on and around the border, where one of two corners has weight 0; the image's edge is poison. */
static void whole_positions(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype))
        for (int i = 0; i < 3; ++i) {
            test_layer layer = positive_layer(dtype, 0);
            const int64_t width = layer.problem.width, height = layer.problem.height;
            set_whole_offsets(&layer);
            for (int64_t row = 0; row < layer_pixels(&layer, VALUE); ++row) {
                const int64_t x = row % width, y = row / width % height;
                for (int64_t c = 0;
                     c < layer_row(&layer, VALUE) && (x == 0 || y == 0 || x == width - 1 || y == height - 1); ++c)
                    layer_set(&layer, VALUE, row, c, poisons[i]);
            }
            compare_devices(&layer, "whole positions");
            layer_free(&layer);
        }
}

/* The image is the same everywhere, so that moving a point inside it changes nothing: the gradient of its offset is 0. But
 * sums of products with grad_output overflow, and their difference is NaN. Positions are whole, so that what overflows does
 * so by far. */
static void overflow(void **state) {
    (void)state;
    const struct {
        int32_t dtype;
        double number;
    } cases[] = {{DCNV4_FLOAT32, 0x1p127}, {DCNV4_BFLOAT16, 0x1p127}, {DCNV4_FLOAT64, 0x1p1023}};
    for (int i = 0; i < 3; ++i) {
        test_layer layer = positive_layer(cases[i].dtype, 0);
        set_whole_offsets(&layer);
        fill_tensor(&layer, VALUE, cases[i].number);
        fill_tensor(&layer, GRAD_OUTPUT, 4);
        compare_devices(&layer, "products that overflow");
        assert_true(count_kind(&layer, GRAD_OFFSET_MASK, PLUS_INFINITY) > 0);
        assert_int_equal(count_kind(&layer, GRAD_OFFSET_MASK, NOT_A_NUMBER), 0);
        layer_free(&layer);
    }
}

/* The cpu processes at most 256 points together. The gradients of softmaxed weights need a sum over all points. */
static void large_kernels(void **state) {
    (void)state;
    const double numbers[] = {1, INFINITY, -INFINITY, NAN};
    for (EACH_DTYPE(dtype))
        for (int i = 0; i < 4; ++i)
            for (int tensor = VALUE; tensor <= GRAD_OUTPUT; tensor += GRAD_OUTPUT - VALUE) {
                dcnv4_problem problem = small_problem(dtype);
                problem.batch = problem.groups = 1, problem.height = 18, problem.width = 19, problem.softmax = 1;
                problem.kernel_h = problem.kernel_w = 17, problem.pad_h = problem.pad_w = 8;
                problem.stride_w = problem.dilation_h = 1;
                test_layer layer = layer_make(&problem);
                layer_fill(&layer, 37, 1);
                for (int64_t row = 0; row < layer_pixels(&layer, GRAD_OUTPUT); ++row) /* since weights are small */
                    for (int64_t c = 0; c < layer_row(&layer, GRAD_OUTPUT); ++c)
                        layer_set(&layer, GRAD_OUTPUT, row, c, 1000 * layer_get(&layer, GRAD_OUTPUT, row, c));
                layer_set(&layer, tensor, 180, 2, numbers[i]); /* in the middle */
                compare_some_devices(&layer, true, "over 256 points with softmax");
                layer_free(&layer);
            }
}

/* The padding after a row's blocks is not read, and its gradients are 0. */
static void padding(void **state) {
    (void)state;
    for (EACH_TABLE(dtype, softmax)) {
        test_layer layer = positive_layer(dtype, softmax);
        const int64_t used = 9 * layer.sizes.points;
        assert_true(used < layer.sizes.offset_mask_row);
        for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
            for (int64_t e = used; e < layer.sizes.offset_mask_row; ++e)
                layer_set(&layer, OFFSET_MASK, row, e, NAN);
        compare_devices(&layer, "poisoned padding");
        assert_all_finite(&layer);
        for (int64_t row = 0; row < layer_pixels(&layer, OFFSET_MASK); ++row)
            for (int64_t e = used; e < layer.sizes.offset_mask_row; ++e)
                assert_true(layer_get(&layer, GRAD_OFFSET_MASK, row, e) == 0);
        layer_free(&layer);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets),
        cmocka_unit_test(offset_scales),
        cmocka_unit_test(weights),
        cmocka_unit_test(values),
        cmocka_unit_test(output_gradients),
        cmocka_unit_test(corners_outside),
        cmocka_unit_test(padding),
        cmocka_unit_test(whole_positions),
        cmocka_unit_test(overflow),
        cmocka_unit_test(large_kernels),
        cmocka_unit_test(just_outside),
        cmocka_unit_test(infinite_weights),
        cmocka_unit_test(offsets_too_small_to_tell),
    };
    return HARNESS_RUN(argc, argv, tests);
}
