/* Every golden case on every device: float64 against the golden numbers, the other dtypes against the reference in float64
 * on the same rounded inputs. */
#include "../support/golden.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const folders[] = {GOLDEN_FOLDERS};
enum { FOLDERS = sizeof folders / sizeof *folders };

static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};

static void against_the_numbers(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int f = 0; f < FOLDERS && takes_dtype(*device, DCNV4_FLOAT64); ++f) {
            test_layer layer = golden_layer(folders[f], DCNV4_FLOAT64);
            layer_both(&layer, *device);
            for (int i = 0; i < 3; ++i) {
                const int64_t count = layer_pixels(&layer, results[i]) * layer_row(&layer, results[i]);
                double *expected = golden_read(folders[f], tensor_names[results[i]], count);
                double *numbers = layer_read(&layer, results[i]);
                char what[512];
                snprintf(what, sizeof what, "%s, %s, %s", *device, folders[f], tensor_names[results[i]]);
                assert_close(numbers, expected, count, 1e-12, what);
                free(numbers);
                free(expected);
            }
            layer_free(&layer);
        }
}

/* Runs a layer on every device that takes its dtype, against the reference in float64. */
static void compare_devices(test_layer *layer, const char *name) {
    test_layer expected = layer_as(layer, DCNV4_FLOAT64);
    layer_both(&expected, "reference");
    for (const char *const *device = devices_to_try(); *device; ++device) {
        if (!takes_dtype(*device, layer->problem.dtype))
            continue;
        char what[512];
        snprintf(what, sizeof what, "%s, %s, %s", *device, dtype_name(layer->problem.dtype), name);
        layer_clear(layer);
        layer_both(layer, *device);
        for (int i = 0; i < 3; ++i)
            assert_tensor_close(layer, &expected, results[i], dtype_bound(layer->problem.dtype), what);
    }
    layer_free(&expected);
}

static void against_the_reference(void **state) {
    (void)state;
    for (EACH_DTYPE(dtype))
        for (int f = 0; f < FOLDERS; ++f) {
            /* Where each problem takes seconds to compile, 16-bit dtypes are tried on some problems alone. */
            if (!on_host(devices_to_try()[0]) && !tries_all() && dtype != DCNV4_FLOAT32 && f % 4 != 0)
                continue;
            test_layer layer = golden_layer(folders[f], dtype);
            compare_devices(&layer, folders[f]);
            layer_free(&layer);
        }
}

/* Random problems have sizes that the golden ones lack. They are compared with the reference, which the golden cases
 * verify. */
static dcnv4_problem draw_problem(uint64_t *seed, int32_t dtype) {
    static const int64_t sizes[] = {1, 2, 3, 5, 8, 11, 13, 17};
    static const double scales[] = {0.5, 1, 1, 2};
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.dtype = dtype;
    p.batch = draw_integer(seed, 1, 3);
    p.height = sizes[draw_integer(seed, 0, 7)], p.width = sizes[draw_integer(seed, 0, 7)];
    p.groups = draw_integer(seed, 1, 5), p.group_channels = draw_integer(seed, 1, 37);
    p.kernel_h = draw_integer(seed, 1, 7), p.kernel_w = draw_integer(seed, 1, 7);
    p.stride_h = draw_integer(seed, 1, 3), p.stride_w = draw_integer(seed, 1, 3);
    p.dilation_h = draw_integer(seed, 1, 3), p.dilation_w = draw_integer(seed, 1, 3);
    p.pad_h = draw_integer(seed, 0, 3) + (p.dilation_h * (p.kernel_h - 1) + 1) / 2;
    p.pad_w = draw_integer(seed, 0, 3) + (p.dilation_w * (p.kernel_w - 1) + 1) / 2;
    p.remove_center = p.kernel_h * p.kernel_w > 1 && draw_integer(seed, 0, 1);
    p.softmax = (int32_t)draw_integer(seed, 0, 1);
    p.offset_scale = scales[draw_integer(seed, 0, 3)];
    dcnv4_sizes s = DCNV4_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&p, &s));
    const int64_t tight = 3 * p.groups * s.points;
    p.offset_mask_row = draw_integer(seed, 0, 1) ? 0 : tight + draw_integer(seed, 0, 5);
    ASSERT_SUCCESS(dcnv4_problem_sizes(&p, &s));
    if (draw_integer(seed, 0, 1)) {
        p.value_stride = s.channels + draw_integer(seed, 0, 9), p.output_stride = s.channels + draw_integer(seed, 0, 9);
        p.offset_mask_stride = s.offset_mask_row + draw_integer(seed, 0, 9);
        p.grad_output_stride = s.channels + draw_integer(seed, 0, 9);
        p.grad_value_stride = s.channels + draw_integer(seed, 0, 9);
        p.grad_offset_mask_stride = s.offset_mask_row + draw_integer(seed, 0, 9);
    }
    return p;
}

static void random_problems(void **state) {
    (void)state;
    const uint64_t count = on_host(devices_to_try()[0]) ? 60 : 4;
    for (uint64_t number = 0; number < count; ++number) {
        uint64_t seed = number;
        const int32_t dtype = (int32_t)(number % 4);
        const dcnv4_problem problem = draw_problem(&seed, dtype);
        test_layer layer = layer_make(&problem);
        char name[64];
        snprintf(name, sizeof name, "random problem %d", (int)number);
        layer_fill(&layer, seed, 3);
        compare_devices(&layer, name);
        layer_free(&layer);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_numbers),
        cmocka_unit_test(against_the_reference),
        cmocka_unit_test(random_problems),
    };
    return HARNESS_RUN(argc, argv, tests);
}
