/* Sizes at the limits of what is legal: tensors without elements take no time, however large their other sizes are, and
 * nothing overflows (the sanitizers' builds check that). A pass that loops over sizes, not elements, would not end. */
#include "../support/legal_problem.h"
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 14 /* bytes of a tensor that is run */ };

/* Huge, infinite and NaN offsets and weights among ordinary ones. */
static void fill_far(test_layer *layer, uint64_t seed) {
    static const double far[] = {3.9e18,   -3.9e18, 4.7e18, -4.7e18, 9.2e18, -9.2e18, 0x1p63, -0x1p63, 1e30, -1e30,
                                 INFINITY, NAN,     0,      -1,      0x1p62, -0x1p62, 0x1p31, -0x1p31, 1e9,  -1e9};
    layer_fill(layer, seed, 2);
    for (int64_t pixel = 0; pixel < layer_pixels(layer, OFFSET_MASK); ++pixel)
        for (int64_t e = 0; e < layer_row(layer, OFFSET_MASK); ++e)
            if (draw_integer(&seed, 0, 2) == 0)
                layer_set(layer, OFFSET_MASK, pixel, e, far[draw_integer(&seed, 0, sizeof far / sizeof *far - 1)]);
}

static bool is_small(const dcnv4_sizes *sizes) {
    return sizes->value <= SMALL && sizes->offset_mask <= SMALL && sizes->output <= SMALL &&
           sizes->grad_output <= SMALL && sizes->grad_value <= SMALL && sizes->grad_offset_mask <= SMALL;
}

/* Gives tensors without elements no address, or an invalid one. */
static void empty_out(test_layer *layer, dcnv4_buffers *buffers, int round) {
    for (int i = 0; i < TENSORS; ++i)
        if (layer->bytes[i] == 0)
            *buffer_of(buffers, i) = round % 2 ? (dcnv4_buffer){(void *)(uintptr_t)3, SIZE_MAX, SIZE_MAX}
                                               : (dcnv4_buffer){NULL, 0, 0};
}

/* Runs both passes in host memory. False if the device refuses the plan as too large for it. */
static bool run_on_host(test_layer *layer, dcnv4_context *context, const char *what) {
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = layer_buffers(layer);
    const dcnv4_status made = dcnv4_plan_create(context, &layer->problem, &plan);
    if (made == DCNV4_UNSUPPORTED || made == DCNV4_OUT_OF_MEMORY)
        return false;
    assert_status(made, DCNV4_SUCCESS, what);
    for (EACH_PASS(pass)) {
        const size_t bytes = dcnv4_plan_workspace_size(plan, pass);
        assert_true(bytes < (size_t)1 << 24);
        empty_out(layer, &buffers, (int)pass);
        buffers.workspace = dcnv4_host_buffer(allocate(bytes), bytes);
        assert_status(run_pass(plan, pass, &buffers), DCNV4_SUCCESS, what);
        free(buffers.workspace.handle);
    }
    for (int part = DCNV4_PART_OUTPUT; part <= DCNV4_PART_GRAD_VALUE; ++part)
        assert_int_equal(dcnv4_tactic_count(plan, (dcnv4_part)part), 0);
    dcnv4_plan_destroy(plan);
    count_case();
    return true;
}

/* ---- A walk over the grid -------------------------------------------------------------------------------------------- */

static const int64_t grid[] = {0,
                               1,
                               2,
                               3,
                               INT32_MAX,
                               (int64_t)INT32_MAX + 1,
                               (int64_t)1 << 53,
                               INT64_MAX / 8,
                               INT64_MAX / 4,
                               INT64_MAX / 3,
                               INT64_MAX / 2 - 1,
                               INT64_MAX / 2,
                               INT64_MAX / 2 + 1,
                               INT64_MAX - 1,
                               INT64_MAX};

/* A step's base: a small image, one of a single pixel, or one that is empty along an axis. */
static dcnv4_problem base(uint64_t *seed) {
    dcnv4_problem problem = small_problem((int32_t)draw_integer(seed, DCNV4_FLOAT32, DCNV4_FLOAT64));
    problem.softmax = (int32_t)draw_integer(seed, 0, 1);
    problem.groups = draw_integer(seed, 1, 2), problem.group_channels = draw_integer(seed, 1, 17);
    problem.offset_scale = draw_integer(seed, 0, 3) ? 1 : draw_between(seed, -3e18, 3e18);
    const int64_t kind = draw_integer(seed, 0, 5);
    if (kind == 0)
        problem.batch = 0;
    else if (kind == 1)
        problem.height = 0;
    else if (kind == 2)
        problem.width = 0;
    else if (kind == 3)
        problem.batch = problem.height = problem.width = 1;
    if (draw_integer(seed, 0, 1)) {
        problem.kernel_h = problem.kernel_w = 1;
        problem.remove_center = (int32_t)draw_integer(seed, 0, 1);
    }
    return problem;
}

/* Sets some fields to numbers of the grid. */
static dcnv4_problem step(uint64_t *seed) {
    dcnv4_problem problem = base(seed);
    int64_t *const fields = &problem.batch;
    const int64_t last = &problem.grad_offset_mask_stride - fields;
    for (int64_t i = draw_integer(seed, 1, 4); i > 0; --i)
        fields[draw_integer(seed, 0, last)] = grid[draw_integer(seed, 0, sizeof grid / sizeof *grid - 1)];
    return problem;
}

static void walk(void **state) {
    (void)state;
    enum { STEPS = 60000 };
    for (const char *const *device = devices_to_try(); *device && on_host(*device); ++device) {
        uint64_t seed = 101;
        size_t runs = 0;
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        for (int i = 0; i < STEPS; ++i) {
            const dcnv4_problem problem = step(&seed);
            dcnv4_sizes sizes = DCNV4_SIZES_INIT;
            dcnv4_plan *plan = NULL;
            if (i % 500 == 0)
                ASSERT_SUCCESS(dcnv4_context_set_threads(context, 1 + i / 500 % 3));
            if (!legal_problem(&problem, &sizes))
                continue;
            if (!is_small(&sizes)) { /* a plan of the cpu has a table of the kernel's points */
                if (sizes.points > SMALL && sizes.output > 0)
                    continue;
                const dcnv4_status status = dcnv4_plan_create(context, &problem, &plan);
                assert_true(status == DCNV4_SUCCESS || status == DCNV4_UNSUPPORTED || status == DCNV4_OUT_OF_MEMORY);
                dcnv4_plan_destroy(plan);
                continue;
            }
            test_layer layer = layer_make(&problem);
            fill_far(&layer, seed);
            runs += run_on_host(&layer, context, *device);
            layer_free(&layer);
        }
        assert_true(runs > STEPS / 20);
        dcnv4_context_destroy(context);
    }
}

/* ---- Cases that are known to be hard, on every device ------------------------------------------------------------ */

enum { MANY = 1000000000 };

static const struct {
    const char *name;
    int64_t batch, height, width, kernel, stride_h, stride_w, pad_h, pad_w;
    int64_t pixel_stride; /* of all tensors; 0 for dense ones */
} hard[] = {
    {"rows of no pixels", 1, MANY, 0, 1, 1, 1, 0, 0, 0},
    {"more rows of no pixels", 1, (int64_t)MANY *MANY, 0, 1, 1, 1, 0, 0, 0},
    {"columns of no pixels", 1, 0, (int64_t)MANY *MANY, 1, 1, 1, 0, 0, 0},
    {"images of no pixels", (int64_t)MANY *MANY, 0, 0, 3, 1, 1, 0, 0, 0},
    {"no images", 0, MANY, MANY / 16, 3, 1, 1, 1, 1, 0},
    {"images of rows of no pixels", INT64_MAX, MANY, 0, 1, 1, 1, 0, 0, 0},
    {"images of columns of no pixels", INT64_MAX, 0, MANY, 1, 1, 1, 0, 0, 0},
    {"outputs of rows of no pixels", 2, (int64_t)MANY *MANY, 0, 1, (int64_t)MANY *MANY / 2, 1, 0, 1, 0},
    {"outputs of columns of no pixels", 2, 0, (int64_t)MANY *MANY, 3, 1, (int64_t)MANY *MANY / 3, 2, 0, 0},
    {"outputs of no pixels", 2, 0, 0, 3, 1, 1, 2, 2, 0},
    {"a stride that has no next pixel", 1, INT64_MAX - 1, 0, 1, INT64_MAX - 2, 1, 0, 1, 0},
    {"far padding", 1, 1, 1, 1, INT64_MAX / 4 + 1, 1, INT64_MAX / 4 + 1, 0, 0},
    {"far padding of more pixels", 1, 2, 2, 1, INT64_MAX / 2, 1, INT64_MAX / 4 + 1, 0, 0},
    {"the farthest padding", 1, 1, 1, 1, INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2, 0},
    {"pixels that are far apart", 1, 1, 1, 1, 1, 1, 0, 0, INT64_MAX / 8},
};

/* Compares tensors that may be empty or all zeros. */
static void assert_alike(const test_layer *layer, const test_layer *expected, int tensor, const char *what) {
    const int64_t count = layer_pixels(layer, tensor) * layer_row(layer, tensor);
    double *const numbers = layer_read(layer, tensor), *const wanted = layer_read(expected, tensor);
    double largest = 0;
    for (int64_t i = 0; i < count; ++i)
        largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < count; ++i)
        if (!(fabs(numbers[i] - wanted[i]) <= dtype_bound(layer->problem.dtype) * largest))
            fail_msg("%s, %s: number %lld is %g, not %g", what, tensor_names[tensor], (long long)i, numbers[i],
                     wanted[i]);
    free(numbers);
    free(wanted);
}

static void hard_sizes(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (size_t i = 0; i < sizeof hard / sizeof *hard; ++i)
            for (EACH_DTYPE(dtype))
                for (int none = 0; none < 2; ++none) { /* with remove_center a kernel of one point has none */
                    dcnv4_problem problem = small_problem(dtype);
                    problem.batch = hard[i].batch, problem.height = hard[i].height, problem.width = hard[i].width;
                    problem.kernel_h = problem.kernel_w = hard[i].kernel, problem.dilation_h = 1;
                    problem.stride_h = hard[i].stride_h, problem.stride_w = hard[i].stride_w;
                    problem.pad_h = hard[i].pad_h, problem.pad_w = hard[i].pad_w;
                    problem.remove_center = none;
                    for (int64_t *stride = &problem.value_stride; stride <= &problem.grad_offset_mask_stride; ++stride)
                        *stride = hard[i].pixel_stride;
                    if (!tries_dtype(*device, dtype) || (none && (hard[i].kernel > 1 || !on_host(*device))))
                        continue;
                    char what[128];
                    snprintf(what, sizeof what, "%s, %s", *device, hard[i].name);
                    test_layer layer = layer_make(&problem), expected = layer_make(&problem);
                    layer_fill(&layer, 5, 2);
                    layer_fill(&expected, 5, 2);
                    layer_both(&expected, "reference");
                    layer_both(&layer, *device);
                    for (int tensor = OUTPUT; tensor < TENSORS; ++tensor)
                        if (tensor != GRAD_OUTPUT)
                            assert_alike(&layer, &expected, tensor, what);
                    count_case();
                    layer_free(&layer);
                    layer_free(&expected);
                }
}

/* Offsets of up to 2³⁰ pixels, which have 32-bit rows and columns, on images that are sampled point by point: the index of a
 * pixel that far out has more. The stand-ins' kernels trap where an index overflows. */
static void far_offsets(void **state) {
    (void)state;
    static const double far[] = {1e9, -1e9, 6e8, -6e8, 0x1p29};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int64_t group_channels = 4; group_channels <= 16;
             group_channels *= 4) { /* a block of one lane; of several */
            dcnv4_problem problem = DCNV4_PROBLEM_INIT;
            problem.batch = 2, problem.height = 1, problem.width = 9, problem.group_channels = group_channels;
            test_layer layer = layer_make(&problem), expected = layer_make(&problem);
            layer_fill(&layer, 7, 2);
            for (int64_t pixel = 0; pixel < layer_pixels(&layer, OFFSET_MASK); ++pixel)
                for (int64_t e = pixel % 3; e < 2 * layer.sizes.points; e += 3)
                    layer_set(&layer, OFFSET_MASK, pixel, e, far[(pixel + e) % 5]);
            for (int i = 0; i < TENSORS; ++i)
                memcpy(expected.tensors[i], layer.tensors[i], layer.bytes[i]);
            layer_both(&expected, "reference");
            layer_both(&layer, *device);
            for (int tensor = OUTPUT; tensor < TENSORS; ++tensor)
                if (tensor != GRAD_OUTPUT)
                    assert_alike(&layer, &expected, tensor, *device);
            count_case();
            layer_free(&layer);
            layer_free(&expected);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hard_sizes), cmocka_unit_test(far_offsets),
                                       cmocka_unit_test(walk)};
    return HARNESS_RUN(argc, argv, tests);
}
