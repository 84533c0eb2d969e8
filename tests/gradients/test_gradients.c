/* Backward against forward, with no reference: central differences and the adjoint identity. */
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Problems that between them have every flag, uneven strides and dilations, an even kernel and a stretched grid. */
static dcnv4_problem gradient_problem(int number) {
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.dtype = DCNV4_FLOAT64;
    p.batch = 1, p.height = 4, p.width = 5, p.groups = 2, p.group_channels = 2;
    switch (number) {
    case 1: p.softmax = 1; break;
    case 2: p.remove_center = 1, p.offset_scale = 2; break;
    case 3: p.kernel_h = 2, p.kernel_w = 4, p.stride_h = 2, p.stride_w = 1, p.offset_scale = 0.5; break;
    case 4: p.kernel_h = 1, p.kernel_w = 3, p.dilation_w = 2, p.pad_h = 0, p.pad_w = 3, p.offset_scale = -1; break;
    case 5: p.softmax = p.remove_center = 1, p.dilation_h = 2, p.pad_h = 2, p.group_channels = 1; break;
    }
    return p;
}
enum { PROBLEMS = 6 };

/* Moves the positions into the cells: fractions within [0.1, 0.4] or [0.6, 0.9]. */
static void keep_inside_cells(test_layer *layer) {
    uint64_t seed = 3;
    const int64_t points = layer->sizes.points, block = 3 * points;
    for (int64_t pixel = 0; pixel < layer_pixels(layer, OFFSET_MASK); ++pixel)
        for (int64_t e = 0; e < layer->problem.groups * block; ++e)
            if (e % block < 2 * points) {
                const double whole = (double)draw_integer(&seed, -2, 1);
                const double offset = whole + draw_between(&seed, 0.1, 0.4) / layer->problem.offset_scale;
                layer_set(layer, OFFSET_MASK, pixel, e, offset);
            }
}

static double dot(const double *a, const double *b, int64_t count, double *magnitude) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
        sum += a[i] * b[i];
        *magnitude += fabs(a[i] * b[i]);
    }
    return sum;
}

/* ⟨grad_output, output⟩ after a forward run. */
static double loss(const test_layer *layer, const host_run *run) {
    double magnitude = 0;
    ASSERT_SUCCESS(dcnv4_forward(run->plan, &run->buffers, NULL));
    return dot(layer->tensors[OUTPUT], layer->tensors[GRAD_OUTPUT],
               layer_pixels(layer, OUTPUT) * layer_row(layer, OUTPUT), &magnitude);
}

/* d loss / d *number. The loss is linear in each value, weight and, inside its cell, position, so that a large step is
 * exact; through softmax it is not, and differences at two steps together leave an error of the fourth order. */
static double difference(const test_layer *layer, const host_run *run, double *number, bool linear) {
    const double here = *number, step = linear ? 0x1p-6 : 0x1p-9;
    double by_step[2];
    for (int i = 0; i < 2; ++i) {
        *number = here + (i + 1) * step;
        const double above = loss(layer, run);
        *number = here - (i + 1) * step;
        by_step[i] = (above - loss(layer, run)) / (2 * (i + 1) * step);
        *number = here;
        if (linear)
            return by_step[0];
    }
    return (4 * by_step[0] - by_step[1]) / 3;
}

static void differences(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int n = 0; n < PROBLEMS && on_host(*device); ++n) {
            const dcnv4_problem problem = gradient_problem(n);
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 17, 2);
            keep_inside_cells(&layer);
            host_run run = host_run_make(&layer, *device);
            ASSERT_SUCCESS(dcnv4_backward(run.plan, &run.buffers, NULL));
            static const int pairs[2][2] = {{VALUE, GRAD_VALUE}, {OFFSET_MASK, GRAD_OFFSET_MASK}};
            for (int i = 0; i < 2; ++i) {
                const int64_t count = layer_pixels(&layer, pairs[i][0]) * layer_row(&layer, pairs[i][0]);
                double *numbers = layer.tensors[pairs[i][0]], *expected = allocate((size_t)count * sizeof *expected);
                for (int64_t e = 0; e < count; ++e)
                    expected[e] = difference(&layer, &run, &numbers[e], !problem.softmax || i == 0);
                char what[128];
                snprintf(what, sizeof what, "%s, problem %d, %s", *device, n, tensor_names[pairs[i][1]]);
                assert_close(layer.tensors[pairs[i][1]], expected, count, problem.softmax ? 1e-9 : 1e-11, what);
                free(expected);
            }
            host_run_free(&run);
            layer_free(&layer);
        }
}

/* ⟨g, F(v)⟩ = ⟨Fᵀg, v⟩ for the values and, without softmax, for the weights too: output is linear in both. */
static void check_adjoint(test_layer *layer, const char *device, double bound) {
    layer_both(layer, device);
    double *numbers[TENSORS], magnitude = 0;
    for (int i = 0; i < TENSORS; ++i)
        numbers[i] = layer_read(layer, i);
    const int64_t points = layer->sizes.points, row = layer->sizes.offset_mask_row;
    const double forward = dot(numbers[OUTPUT], numbers[GRAD_OUTPUT],
                               layer_pixels(layer, OUTPUT) * layer_row(layer, OUTPUT), &magnitude);
    const double by_value = dot(numbers[VALUE], numbers[GRAD_VALUE],
                                layer_pixels(layer, VALUE) * layer_row(layer, VALUE), &magnitude);
    double by_weight = 0;
    for (int64_t pixel = 0; pixel < layer_pixels(layer, OFFSET_MASK); ++pixel)
        for (int64_t g = 0; g < layer->problem.groups; ++g) {
            const int64_t weights = pixel * row + 3 * points * g + 2 * points;
            by_weight += dot(numbers[OFFSET_MASK] + weights, numbers[GRAD_OFFSET_MASK] + weights, points, &magnitude);
        }
    if (!(magnitude > 1) || !(fabs(forward - by_value) <= bound * magnitude))
        fail_msg("%s: ⟨g, F(v)⟩ is %.17g, ⟨Fᵀg, v⟩ %.17g, the terms' sum %g", device, forward, by_value, magnitude);
    if (!layer->problem.softmax && !(fabs(forward - by_weight) <= bound * magnitude))
        fail_msg("%s: ⟨g, F(m)⟩ is %.17g, ⟨Fᵀg, m⟩ %.17g, the terms' sum %g", device, forward, by_weight, magnitude);
    count_case();
    for (int i = 0; i < TENSORS; ++i)
        free(numbers[i]);
}

static void adjoint(void **state) {
    (void)state;
    static const int32_t dtypes[] = {DCNV4_FLOAT64, DCNV4_FLOAT32};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int n = 0; n < PROBLEMS; ++n)
            for (int d = 0; d < 2; ++d) {
                if (!takes_dtype(*device, dtypes[d]))
                    continue;
                dcnv4_problem problem = gradient_problem(n);
                problem.dtype = dtypes[d];
                problem.batch = 2, problem.height = 13, problem.width = 17, problem.groups = 3,
                problem.group_channels = 7;
                test_layer layer = layer_make(&problem);
                layer_fill(&layer, 19, 4);
                check_adjoint(&layer, *device, dtypes[d] == DCNV4_FLOAT64 ? 1e-13 : 1e-6);
                layer_free(&layer);
            }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(differences), cmocka_unit_test(adjoint)};
    return HARNESS_RUN(argc, argv, tests);
}
