/* Random problems salted with NaN and infinities, on every device and with every number of threads, against the
 * reference.
 *
 *     test_salted BACKEND [PROBLEMS [SEED]]
 *
 * Problem number i is drawn from SEED + i alone; each failure prints a command line that runs it again.
 *
 * NaN and infinities must be where the reference has them, whatever order a device adds in and however it rounds. So
 * finite numbers are small multiples of 1/4: their sums and products are exact in any order, also in float32, and
 * finite results must be equal. With softmax and with tiny numbers that is impossible, and they must be close. Beside
 * tiny numbers, weights without softmax are finite or NaN, since an infinite one would multiply something that may be 0
 * or nearly 0. Only one kind of number is tiny, since a product of two may underflow to 0. */
#include "../support/test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_SHOWN = 10, MOST_THREADS = 8 };

static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT}, results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
static const char *backend;
static int64_t problems, failures;
static uint64_t first_seed;

enum { VALUES, WEIGHTS, GRADIENTS, OFFSETS, NOWHERE };

/* A problem, and how its numbers are drawn. */
typedef struct salted {
    uint64_t seed, random;
    test_layer layer;
    int tiny;         /* which kind of number may be tiny */
    bool large;       /* enough for several threads */
    int salt[3];      /* one in salt[i] numbers of input i is NaN or infinite; 0 for none */
    int kinds;        /* how many of grains are used */
    double grains[3]; /* the salt: NaN or an infinity each, drawn */
    int places;       /* how points are placed, see draw_offset */
} salted;

#define PICK(seed, list) (list)[draw_integer(seed, 0, (int64_t)(sizeof(list) / sizeof *(list)) - 1)]

static bool one_in(uint64_t *seed, int64_t count) {
    return draw_integer(seed, 1, count) == 1;
}

/* ---- Problems ---------------------------------------------------------------------------------------------------- */

static void draw_axis(uint64_t *seed, bool large, int64_t kernel, int64_t *size, int64_t *stride, int64_t *dilation,
                      int64_t *pad) {
    *size = large ? draw_integer(seed, 8, 48) : one_in(seed, 4) ? draw_integer(seed, 4, 20) : draw_integer(seed, 0, 3);
    *stride = one_in(seed, 4) ? 2 : 1;
    *dilation = one_in(seed, 4) ? 2 : 1;
    *pad = one_in(seed, 2) ? *dilation * (kernel - 1) / 2 : draw_integer(seed, 0, *dilation * (kernel - 1) + 1);
}

static void draw_sizes(uint64_t *seed, bool large, dcnv4_problem *p) {
    p->batch = large ? 1 : one_in(seed, 30) ? 0 : draw_integer(seed, 1, 2);
    draw_axis(seed, large, p->kernel_h, &p->height, &p->stride_h, &p->dilation_h, &p->pad_h);
    draw_axis(seed, large, p->kernel_w, &p->width, &p->stride_w, &p->dilation_w, &p->pad_w);
}

static void draw_layer(uint64_t *seed, bool large, dcnv4_problem *p) {
    static const int64_t kernels[] = {1, 1, 2, 3, 3, 4},
                         depths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20, 32, 33, 40, 65};
    p->dtype = (int32_t)draw_integer(seed, DCNV4_FLOAT32, DCNV4_FLOAT64);
    p->kernel_h = PICK(seed, kernels), p->kernel_w = PICK(seed, kernels);
    p->groups = draw_integer(seed, 1, 4), p->group_channels = PICK(seed, depths);
    if (!large && one_in(seed, 40)) /* more points than the cpu processes at a time */
        p->kernel_h = 17, p->kernel_w = 16, p->groups = 1;
    if (!large && one_in(seed, 40)) /* rows so long that it copies one at a time */
        p->group_channels = 3000, p->kernel_h = p->kernel_w = p->groups = 1;
    p->remove_center = one_in(seed, 5);
    p->softmax = one_in(seed, 4);
    p->deterministic = one_in(seed, 4);
    draw_sizes(seed, large, p);
}

/* Layers for devices that compile each layer. */
static void draw_compiled_layer(uint64_t *seed, dcnv4_problem *p) {
    static const struct {
        int32_t dtype;
        int64_t groups, depth, kernel_h, kernel_w, stride, dilation;
        int32_t remove_center, softmax, deterministic;
    } layers[] = {
        {DCNV4_FLOAT32, 2, 16, 3, 3, 1, 1, 0, 0, 0},  {DCNV4_FLOAT32, 3, 5, 3, 2, 2, 1, 1, 0, 1},
        {DCNV4_FLOAT32, 1, 3, 1, 1, 1, 1, 0, 0, 0},   {DCNV4_FLOAT32, 2, 8, 3, 3, 1, 2, 0, 1, 0},
        {DCNV4_FLOAT32, 1, 40, 5, 4, 1, 1, 1, 0, 0},  {DCNV4_FLOAT16, 2, 16, 3, 3, 1, 1, 0, 0, 0},
        {DCNV4_BFLOAT16, 1, 12, 3, 3, 1, 1, 0, 1, 1},
    };
    const int64_t number = draw_integer(seed, 0, sizeof layers / sizeof *layers - 1);
    p->dtype = layers[number].dtype;
    p->groups = layers[number].groups, p->group_channels = layers[number].depth;
    p->kernel_h = layers[number].kernel_h, p->kernel_w = layers[number].kernel_w;
    p->remove_center = layers[number].remove_center, p->softmax = layers[number].softmax;
    p->deterministic = layers[number].deterministic;
    draw_sizes(seed, false, p);
    p->stride_h = p->stride_w = layers[number].stride, p->dilation_h = p->dilation_w = layers[number].dilation;
    p->pad_h = p->kernel_h / 2, p->pad_w = p->kernel_w / 2;
}

/* The row of offset_mask and the pixel strides, some wider than necessary. */
static void draw_strides(uint64_t *seed, dcnv4_problem *p, const dcnv4_sizes *sizes) {
    const int64_t used = 3 * p->groups * sizes->points;
    p->offset_mask_row = one_in(seed, 2) ? 0 : used + draw_integer(seed, 0, 5);
    const int64_t row = p->offset_mask_row ? p->offset_mask_row : sizes->offset_mask_row;
    int64_t *const strides[] = {&p->value_stride,      &p->output_stride,      &p->grad_output_stride,
                                &p->grad_value_stride, &p->offset_mask_stride, &p->grad_offset_mask_stride};
    for (int i = 0; i < 6; ++i)
        *strides[i] = (i < 4 ? sizes->channels : row) + draw_integer(seed, 0, 9);
}

static double multiply_adds(const dcnv4_problem *p, const dcnv4_sizes *sizes) {
    const double outputs = (double)(p->batch * sizes->output_height * sizes->output_width);
    return outputs * (double)(4 * sizes->points * sizes->channels);
}

static dcnv4_problem draw_problem(uint64_t *seed, bool large, bool tiny) {
    static const double scales[] = {1, 1, 1, 1, 1, 0.5, 2, -1, 0, -0.0, 0x1p100, NAN, INFINITY};
    const bool compiled = !on_host(backend);
    dcnv4_problem p;
    dcnv4_sizes sizes;
    double work;
    do {
        p = (dcnv4_problem)DCNV4_PROBLEM_INIT, sizes = (dcnv4_sizes)DCNV4_SIZES_INIT;
        if (compiled)
            draw_compiled_layer(seed, &p);
        else
            draw_layer(seed, large, &p);
        const bool legal = dcnv4_problem_sizes(&p, &sizes) == DCNV4_SUCCESS;
        work = legal ? multiply_adds(&p, &sizes) : INFINITY;
    } while (!(work <= (large ? 5e6 : 4e5)) || (large && work < 1.6e6));
    if (compiled)
        return p;
    p.offset_scale = tiny ? 1 : PICK(seed, scales);
    if (one_in(seed, 3))
        draw_strides(seed, &p, &sizes);
    return p;
}

/* ---- Numbers ----------------------------------------------------------------------------------------------------- */

/* A tiny number, subnormal in the dtype. 0 for a float16 offset, which would be lost when added to the grid. */
static double tiny_number(int32_t dtype, bool offset) {
    switch (dtype) {
    case DCNV4_FLOAT64: return 0x1p-1060;
    case DCNV4_FLOAT32: return 0x1p-140;
    case DCNV4_BFLOAT16: return 0x1p-130;
    default: return offset ? 0 : 0x1p-20;
    }
}

/* A small multiple of 1/2, or salt. */
static double draw_number(salted *s, int input) {
    uint64_t *const random = &s->random;
    const double tiny = tiny_number(s->layer.problem.dtype, false);
    if (s->salt[input] && one_in(random, s->salt[input])) {
        if (s->tiny == input && one_in(random, 2))
            return one_in(random, 2) ? tiny : -tiny;
        const double grain = s->grains[draw_integer(random, 0, s->kinds - 1)];
        const bool exact = s->tiny == NOWHERE || s->layer.problem.softmax;
        return input == WEIGHTS && isinf(grain) && !exact ? NAN : grain;
    }
    const double number = (double)draw_integer(random, -4, 4) / 2;
    return number == 0 && one_in(random, 2) ? -0.0 : number;
}

enum { AS_IS, WHOLE, QUARTERS, BORDERS, ANYWHERE, PLACES };

/* Along an axis, a point without an offset lies at base + scale·grid. */
static double draw_offset(salted *s, int axis, int64_t base, int64_t grid) {
    uint64_t *const random = &s->random;
    const dcnv4_problem *p = &s->layer.problem;
    const double largest = p->dtype == DCNV4_FLOAT16 ? 60000 : p->dtype == DCNV4_FLOAT64 ? 1e300 : 0x1p120;
    const double strange[] = {NAN, INFINITY, -INFINITY, largest, -largest, -0.0};
    const int64_t size = axis == 0 ? p->width : p->height, borders[] = {-1, 0, size - 1, size};
    const bool scaled = fabs(p->offset_scale) >= 0.5 && fabs(p->offset_scale) <= 2;
    const double scale = scaled ? p->offset_scale : 1;
    const double step = one_in(random, 4) ? 0.25 * (double)draw_integer(random, -3, 3) : 0;
    const int how = s->places == ANYWHERE ? (int)draw_integer(random, AS_IS, BORDERS) : s->places;
    if (s->salt[WEIGHTS] && one_in(random, 4 * s->salt[WEIGHTS])) {
        const double tiny = tiny_number(p->dtype, true); /* to the right of a column, or to the left or above */
        return s->tiny != OFFSETS ? PICK(random, strange) : axis == 0 && one_in(random, 2) ? tiny : -tiny;
    }
    switch (how) {
    case WHOLE: return (double)draw_integer(random, -3, 3);
    case QUARTERS: return (double)draw_integer(random, -10, 10) / 4;
    case BORDERS: return (double)(PICK(random, borders) - base) / scale - (double)grid + step;
    default: return 0;
    }
}

/* Point k's position relative to the kernel's centre, and the centre's position for an output pixel: x, then y. */
typedef struct place {
    int64_t grid[2], base[2];
} place;

static place place_of(const dcnv4_problem *p, int64_t oy, int64_t ox, int64_t k) {
    const int64_t half_w = p->dilation_w * (p->kernel_w - 1) / 2, half_h = p->dilation_h * (p->kernel_h - 1) / 2;
    const int64_t number = k + (p->remove_center && k >= p->kernel_w / 2 * p->kernel_h + p->kernel_h / 2);
    return (place){
        {number / p->kernel_h * p->dilation_w - half_w, number % p->kernel_h * p->dilation_h - half_h},
        {ox * p->stride_w - p->pad_w + half_w, oy * p->stride_h - p->pad_h + half_h},
    };
}

/* Row `pixel` of offset_mask; its padding is NaN. */
static void draw_row(salted *s, int64_t pixel, double *row) {
    const dcnv4_problem *p = &s->layer.problem;
    const int64_t points = s->layer.sizes.points, width = s->layer.sizes.output_width;
    for (int64_t e = 0; e < s->layer.sizes.offset_mask_row; ++e) {
        const int64_t group = e / (3 * points + !points), at = e - group * 3 * points;
        const place look = place_of(p, pixel / width % s->layer.sizes.output_height, pixel % width, at / 2);
        if (group >= p->groups || points == 0)
            row[e] = NAN;
        else if (at >= 2 * points)
            row[e] = draw_number(s, WEIGHTS);
        else
            row[e] = draw_offset(s, at % 2, look.base[at % 2], look.grid[at % 2]);
    }
}

static void fill(salted *s) {
    for (int i = 0; i < 3; ++i) {
        const int64_t pixels = layer_pixels(&s->layer, inputs[i]), row = layer_row(&s->layer, inputs[i]);
        double *numbers = allocate((size_t)(pixels * row) * sizeof *numbers);
        for (int64_t pixel = 0; pixel < pixels; ++pixel)
            if (inputs[i] == OFFSET_MASK)
                draw_row(s, pixel, numbers + pixel * row);
            else
                for (int64_t e = 0; e < row; ++e)
                    numbers[pixel * row + e] = draw_number(s, i);
        memset(s->layer.tensors[inputs[i]], 0xff, s->layer.bytes[inputs[i]]); /* NaN between the rows */
        layer_write(&s->layer, inputs[i], numbers);
        free(numbers);
    }
}

static salted draw(uint64_t seed) {
    static const double grains[] = {NAN, INFINITY, -INFINITY};
    static const int amounts[] = {0, 3, 20, 20, 100, 500};
    salted s = {.seed = seed, .random = seed};
    s.large = on_host(backend) && one_in(&s.random, 16);
    s.tiny = one_in(&s.random, 3) ? (int)draw_integer(&s.random, VALUES, OFFSETS) : NOWHERE;
    const dcnv4_problem problem = draw_problem(&s.random, s.large, s.tiny != NOWHERE);
    s.layer = layer_make(&problem);
    s.places = (int)draw_integer(&s.random, 0, PLACES - 1);
    s.kinds = (int)draw_integer(&s.random, 1, 3);
    for (int i = 0; i < 3; ++i) {
        s.salt[i] = PICK(&s.random, amounts);
        s.grains[i] = PICK(&s.random, grains);
    }
    fill(&s);
    return s;
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

static void report(const salted *s, const char *device, int threads, const char *what) {
    const dcnv4_problem *p = &s->layer.problem;
    if (failures++ >= FAILURES_SHOWN)
        return;
    printf("failed: test_salted %s 1 %llu  # %s, %d threads, %s, N %d, H %d, W %d, G %d, D %d: %s\n", backend,
           (unsigned long long)s->seed, device, threads, dtype_name(p->dtype), (int)p->batch, (int)p->height,
           (int)p->width, (int)p->groups, (int)p->group_channels, what);
    fflush(stdout);
}

static bool same_kind(double a, double b) {
    return isnan(a) || isnan(b) ? isnan(a) && isnan(b) : isinf(a) || isinf(b) ? a == b : true;
}

/* The largest permitted error of a finite result. */
static double tolerance(const salted *s, const double *expected, int64_t count) {
    const dcnv4_problem *p = &s->layer.problem;
    double largest = 0;
    for (int64_t i = 0; i < count; ++i)
        largest = isfinite(expected[i]) ? fmax(largest, fabs(expected[i])) : largest;
    return p->softmax || s->tiny != NOWHERE ? dtype_bound(p->dtype) * (largest + 1 + (double)p->group_channels) : 0;
}

/* Compares with the reference's result. */
static bool compare(const salted *s, const test_layer *expected, int tensor, char *what, size_t size) {
    const int64_t count = layer_pixels(&s->layer, tensor) * layer_row(&s->layer, tensor);
    double *numbers = layer_read(&s->layer, tensor), *wanted = layer_read(expected, tensor);
    const double bound = tolerance(s, wanted, count);
    bool ok = true;
    for (int64_t e = 0; e < count && ok; ++e)
        if (!same_kind(numbers[e], wanted[e]) || fabs(numbers[e] - wanted[e]) > bound) {
            snprintf(what, size, "element %lld of %s is %g, the reference has %g", (long long)e, tensor_names[tensor],
                     numbers[e], wanted[e]);
            ok = false;
        }
    free(numbers);
    free(wanted);
    return ok;
}

/* Whether the bytes between a result's rows are unchanged. */
static bool untouched(const salted *s, int tensor, char *what, size_t size) {
    const size_t item = item_size(s->layer.problem.dtype), row = (size_t)layer_row(&s->layer, tensor) * item;
    const size_t stride = (size_t)layer_stride(&s->layer, tensor) * item;
    const unsigned char *bytes = s->layer.tensors[tensor];
    for (size_t i = 0; i < s->layer.bytes[tensor]; ++i)
        if (i % stride >= row && bytes[i] != UNTOUCHED) {
            snprintf(what, size, "byte %zu of %s, between two rows, was written", i, tensor_names[tensor]);
            return false;
        }
    return true;
}

static bool counts(const salted *s, int64_t pixel, int64_t group, int64_t k) {
    const dcnv4_problem *p = &s->layer.problem;
    const int64_t width = s->layer.sizes.output_width, size[] = {p->width, p->height};
    const place look = place_of(p, pixel / width % s->layer.sizes.output_height, pixel % width, k);
    for (int axis = 0; axis < 2; ++axis) {
        const int64_t element = 3 * s->layer.sizes.points * group + 2 * k + axis;
        const double offset = layer_get(&s->layer, OFFSET_MASK, pixel, element);
        const double at = (double)look.base[axis] + p->offset_scale * ((double)look.grid[axis] + offset);
        if (!(at > -1 && at < (double)size[axis]) || p->width == 0 || p->height == 0)
            return false;
    }
    return true;
}

/* Whether points that do not count have gradients of 0; with softmax, except for their weights. */
static bool others_are_zero(const salted *s, char *what, size_t size) {
    const int64_t points = s->layer.sizes.points;
    for (int64_t pixel = 0; pixel < layer_pixels(&s->layer, OFFSET_MASK); ++pixel)
        for (int64_t block = 0; block < s->layer.problem.groups * points; ++block) {
            const int64_t group = block / points, k = block % points, first = 3 * points * group;
            const int64_t elements[] = {first + 2 * k, first + 2 * k + 1, first + 2 * points + k};
            if (counts(s, pixel, group, k))
                continue;
            for (int i = 0; i < 3 - s->layer.problem.softmax; ++i) {
                const double number = layer_get(&s->layer, GRAD_OFFSET_MASK, pixel, elements[i]);
                if (number == 0)
                    continue;
                snprintf(what, size, "a point that does not count has %g in grad_offset_mask", number);
                return false;
            }
        }
    return true;
}

static bool judge(const salted *s, const test_layer *expected, char *what, size_t size) {
    for (int i = 0; i < 3; ++i)
        if (!compare(s, expected, results[i], what, size) || !untouched(s, results[i], what, size))
            return false;
    count_case();
    return s->large || others_are_zero(s, what, size);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static void run(salted *s, dcnv4_context *context) {
    layer_clear(&s->layer);
    for (EACH_PASS(pass))
        ASSERT_SUCCESS(layer_run(&s->layer, context, pass));
}

/* Whether results are those of one thread: the same bits, or both NaN with any sign. */
static bool same_bits(const salted *s, const test_layer *first, char *what, size_t size) {
    bool ok = true;
    for (int i = 0; i < 3 && ok; ++i) {
        const int64_t count = layer_pixels(first, results[i]) * layer_row(first, results[i]);
        double *numbers = layer_read(&s->layer, results[i]), *wanted = layer_read(first, results[i]);
        for (int64_t e = 0; e < count && ok; ++e)
            if (!(isnan(numbers[e]) && isnan(wanted[e])) && memcmp(numbers + e, wanted + e, sizeof *wanted) != 0) {
                snprintf(what, size, "element %lld of %s is %.17g, with one thread %.17g", (long long)e,
                         tensor_names[results[i]], numbers[e], wanted[e]);
                ok = false;
            }
        ok = ok && untouched(s, results[i], what, size);
        free(numbers);
        free(wanted);
    }
    return ok;
}

static void try_threads(salted *s, const char *device, dcnv4_context *context) {
    char what[160];
    test_layer first = layer_make(&s->layer.problem);
    for (int i = 0; i < 3; ++i)
        memcpy(first.tensors[results[i]], s->layer.tensors[results[i]], s->layer.bytes[results[i]]);
    bool ok = true;
    for (int threads = 2; ok && threads <= MOST_THREADS; ++threads) {
        ASSERT_SUCCESS(dcnv4_context_set_threads(context, threads));
        run(s, context);
        ok = same_bits(s, &first, what, sizeof what);
        if (!ok)
            report(s, device, threads, what);
        count_case();
    }
    ASSERT_SUCCESS(dcnv4_context_set_threads(context, 1));
    layer_free(&first);
}

static void try_device(salted *s, const test_layer *expected, const char *device, dcnv4_context *context) {
    char what[160];
    run(s, context);
    if (!judge(s, expected, what, sizeof what))
        report(s, device, 1, what);
    else if (s->large && strncmp(device, "cpu", 3) == 0)
        try_threads(s, device, context);
}

/* "cpu" without an instruction set runs the same code as one of the devices "cpu:ISA". */
static bool is_double(const char *device) {
    return strcmp(device, "cpu") == 0 && devices_to_try()[1] && strncmp(devices_to_try()[1], "cpu:", 4) == 0;
}

static void salted_problems(void **state) {
    (void)state;
    enum { MOST_DEVICES = 32 };
    dcnv4_context *contexts[MOST_DEVICES] = {NULL};
    const char *const *devices = devices_to_try();
    for (int i = 0; devices[i]; ++i) {
        ASSERT_SUCCESS(dcnv4_context_create(devices[i], &contexts[i]));
        if (strncmp(devices[i], "cpu", 3) == 0)
            ASSERT_SUCCESS(dcnv4_context_set_threads(contexts[i], 1));
    }
    for (int64_t number = 0; number < problems; ++number) {
        salted s = draw(first_seed + (uint64_t)number);
        test_layer expected = layer_as(&s.layer, s.layer.problem.dtype);
        layer_both(&expected, "reference");
        for (int i = 0; devices[i]; ++i)
            if (!is_double(devices[i]))
                try_device(&s, &expected, devices[i], contexts[i]);
        layer_free(&expected);
        layer_free(&s.layer);
    }
    for (int i = 0; devices[i]; ++i)
        dcnv4_context_destroy(contexts[i]);
    if (failures)
        fail_msg("%lld of %lld problems failed", (long long)failures, (long long)problems);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(salted_problems)};
    backend = argc > 1 ? argv[1] : "reference";
    problems = argc > 2 ? strtoll(argv[2], NULL, 10) : 200;
    first_seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    return HARNESS_RUN(argc, argv, tests);
}
