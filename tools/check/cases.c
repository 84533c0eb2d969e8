#include "cases.h"

#include "../cli/options.h"
#include "../tensors/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PICK(random, list) (list)[dcnv4i_random_below(random, (int64_t)(sizeof(list) / sizeof *(list)))]

/* The most multiply-adds of a case. Most cases are small, so that many run; one in LARGE_EACH suits several threads. */
enum { SMALL = 200000, LARGE = 3000000, LARGE_EACH = 12 };

static bool chance(dcnv4i_random *random, int one_in) {
    return dcnv4i_random_below(random, one_in) == 0;
}

/* ---- The problem ---------------------------------------------------------------------------------------------------- */

/* One axis: size, kernel, stride, dilation and padding that fit each other. */
static void draw_axis(dcnv4i_random *random, int64_t kernel, int64_t *size, int64_t *stride, int64_t *dilation,
                      int64_t *pad) {
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 8, 11, 13, 16, 17, 19, 23, 29, 31, 37, 41};
    static const int64_t steps[] = {1, 1, 1, 2, 3};
    *size = PICK(random, sizes);
    *stride = PICK(random, steps);
    *dilation = PICK(random, steps);
    const int64_t span = *dilation * (kernel - 1) + 1, least = span > *size ? (span - *size + 1) / 2 : 0;
    *pad = chance(random, 2) ? span / 2 : dcnv4i_random_below(random, span + 1);
    if (*pad < least)
        *pad = least;
}

static void draw_problem(dcnv4i_random *random, dcnv4_problem *p) {
    static const int64_t depths[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  12, 15, 16,
                                     16, 17, 24, 31, 32, 32, 33, 48, 64, 65, 100};
    static const double scales[] = {1, 1, 1, 1, 0.5, 2, 1.25, 0.7, -1, 1e-3, 3.3, 0};
    const bool square = chance(random, 2);
    p->kernel_h = square ? 3 : 1 + dcnv4i_random_below(random, 7);
    p->kernel_w = square ? 3 : 1 + dcnv4i_random_below(random, 7);
    draw_axis(random, p->kernel_h, &p->height, &p->stride_h, &p->dilation_h, &p->pad_h);
    draw_axis(random, p->kernel_w, &p->width, &p->stride_w, &p->dilation_w, &p->pad_w);
    p->batch = 1 + dcnv4i_random_below(random, 3);
    p->groups = 1 + dcnv4i_random_below(random, 5);
    p->group_channels = PICK(random, depths);
    p->remove_center = chance(random, 4);
    p->softmax = chance(random, 4);
    p->deterministic = chance(random, 4);
    p->offset_scale = chance(random, 100) ? NAN : PICK(random, scales);
}

/* Rows and pixel strides, some of them wider than they need to be. */
static void draw_strides(dcnv4i_random *random, dcnv4_problem *p, const dcnv4_sizes *sizes) {
    const int64_t needed = 3 * p->groups * sizes->points;
    const int64_t rows[] = {0, needed, needed + 1 + dcnv4i_random_below(random, 9)};
    p->offset_mask_row = PICK(random, rows);
    const int64_t row = p->offset_mask_row ? p->offset_mask_row : sizes->offset_mask_row;
    const struct {
        int64_t *stride, row;
    } strides[] = {
        {&p->value_stride, sizes->channels},      {&p->offset_mask_stride, row},
        {&p->output_stride, sizes->channels},     {&p->grad_output_stride, sizes->channels},
        {&p->grad_value_stride, sizes->channels}, {&p->grad_offset_mask_stride, row},
    };
    const bool wide = chance(random, 3);
    for (size_t i = 0; i < sizeof strides / sizeof *strides; ++i) {
        const int64_t more = dcnv4i_random_below(random, 20);
        *strides[i].stride = wide ? strides[i].row + more : 0;
    }
}

/* Draws until a problem is legal and small enough, and not empty. */
static void draw(dcnv4i_random *random, dcnv4_problem *p, dcnv4_sizes *sizes) {
    const double most = chance(random, LARGE_EACH) ? LARGE : SMALL;
    for (;;) {
        *p = (dcnv4_problem)DCNV4_PROBLEM_INIT;
        *sizes = (dcnv4_sizes)DCNV4_SIZES_INIT;
        draw_problem(random, p);
        if (dcnv4_problem_sizes(p, sizes) != DCNV4_SUCCESS)
            continue;
        const double outputs = (double)(p->batch * sizes->output_height * sizes->output_width);
        const double work = outputs * (double)(4 * sizes->points * sizes->channels);
        if (work <= most && (most == SMALL || work > SMALL) && outputs > 0)
            break;
    }
    draw_strides(random, p, sizes);
}

/* ---- The tensors ---------------------------------------------------------------------------------------------------- */

typedef enum style { NEAR, FAR, BORDERS, TINY, STRANGE, STYLES } style;

static double draw_offset(dcnv4i_random *random, style how, const dcnv4_problem *p) {
    static const double strange[] = {NAN,          INFINITY, -INFINITY, 1e30,   -1e30, 1e300,
                                     2147483648.0, -0.0,     1e-30,     -1e-30, 60000};
    const double number = dcnv4i_random_normal(random);
    switch (how) {
    case FAR: return number * (double)(p->height > p->width ? p->height : p->width);
    case BORDERS: return floor(number * 4) / 2;
    case TINY: return number * 1e-4;
    case STRANGE: return chance(random, 8) ? PICK(random, strange) : number;
    default: return number;
    }
}

static void fill_offset_mask(dcnv4i_random *random, const dcnv4i_case *made, style how, double *row) {
    const int64_t points = made->sizes.points, block = 3 * points;
    for (int64_t i = 0; i < made->sizes.offset_mask_row; ++i)
        if (i >= block * made->problem.groups)
            row[i] = NAN; /* padding is never read */
        else
            row[i] = i % block < 2 * points ? draw_offset(random, how, &made->problem) : dcnv4i_random_normal(random);
}

/* One input, row by row; NaN between the rows. */
static bool fill_input(dcnv4i_random *random, dcnv4i_case *made, dcnv4i_tensor_number tensor, style how) {
    int64_t shape[4];
    dcnv4i_tensor_shape(&made->problem, &made->sizes, tensor, shape);
    const int64_t pixels = shape[0] * shape[1] * shape[2], row = shape[3], stride = made->tensors[tensor].stride;
    const int32_t dtype = dcnv4i_tensor_dtype(&made->problem, tensor);
    const size_t item = dcnv4i_dtype_bytes(dtype);
    char *memory = made->tensors[tensor].memory;
    double *numbers = malloc((size_t)row * sizeof *numbers + 1);
    if (!numbers)
        return false;
    memset(memory, 0xff, made->bytes[tensor]);
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        if (tensor == DCNV4I_OFFSET_MASK_TENSOR)
            fill_offset_mask(random, made, how, numbers);
        for (int64_t i = 0; i < row && tensor != DCNV4I_OFFSET_MASK_TENSOR; ++i)
            numbers[i] = dcnv4i_random_normal(random);
        dcnv4_convert(DCNV4_FLOAT64, numbers, dtype, memory + (size_t)(pixel * stride) * item, (size_t)row);
    }
    free(numbers);
    return true;
}

static bool allocate(dcnv4i_case *made) {
    const dcnv4_problem *p = &made->problem;
    const dcnv4_sizes *sizes = &made->sizes;
    const int64_t strides[DCNV4I_TENSOR_COUNT] = {
        p->value_stride,       p->offset_mask_stride, p->output_stride,
        p->grad_output_stride, p->grad_value_stride,  p->grad_offset_mask_stride,
    };
    const size_t bytes[DCNV4I_TENSOR_COUNT] = {
        sizes->value, sizes->offset_mask, sizes->output, sizes->grad_output, sizes->grad_value, sizes->grad_offset_mask,
    };
    bool ok = true;
    for (int i = 0; i < DCNV4I_TENSOR_COUNT; ++i) {
        int64_t shape[4];
        dcnv4i_tensor_shape(p, sizes, (dcnv4i_tensor_number)i, shape);
        made->bytes[i] = bytes[i];
        made->tensors[i] = (dcnv4i_view){malloc(bytes[i] + 1), strides[i] ? strides[i] : shape[3]};
        ok = ok && made->tensors[i].memory;
        if (made->tensors[i].memory)
            memset(made->tensors[i].memory, DCNV4I_UNTOUCHED, bytes[i]);
    }
    return ok;
}

/* In 16 bits, every fourth offset_mask is float32. The draw depends on the seed alone, not on the dtype asked for. */
static int32_t draw_offset_mask_dtype(uint64_t seed, int32_t dtype) {
    dcnv4i_random random = {~seed};
    const bool narrow = dtype == DCNV4_FLOAT16 || dtype == DCNV4_BFLOAT16;
    return chance(&random, 4) && narrow ? DCNV4_FLOAT32 : DCNV4_SAME_DTYPE;
}

dcnv4i_exit dcnv4i_case_create(uint64_t seed, int64_t dtype, dcnv4i_case *made) {
    static const int32_t dtypes[] = {DCNV4_FLOAT32, DCNV4_FLOAT32, DCNV4_FLOAT16, DCNV4_BFLOAT16, DCNV4_FLOAT64};
    dcnv4i_random random = {seed};
    const int32_t drawn = PICK(&random, dtypes);
    const style how = chance(&random, 2) ? NEAR : (style)dcnv4i_random_below(&random, STYLES);
    *made = (dcnv4i_case){.sizes = DCNV4_SIZES_INIT};
    draw(&random, &made->problem, &made->sizes);
    made->problem.dtype = dtype == DCNV4I_NO_DTYPE ? drawn : (int32_t)dtype;
    made->problem.offset_mask_dtype = draw_offset_mask_dtype(seed, made->problem.dtype);
    const dcnv4_status status = dcnv4_problem_sizes(&made->problem, &made->sizes);
    if (status != DCNV4_SUCCESS)
        return dcnv4i_verdict_library(status, "a random problem");
    if (allocate(made) && fill_input(&random, made, DCNV4I_VALUE_TENSOR, how) &&
        fill_input(&random, made, DCNV4I_OFFSET_MASK_TENSOR, how) &&
        fill_input(&random, made, DCNV4I_GRAD_OUTPUT_TENSOR, how))
        return DCNV4I_DONE;
    dcnv4i_case_free(made);
    return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a random problem");
}

void dcnv4i_case_free(dcnv4i_case *made) {
    for (int i = 0; i < DCNV4I_TENSOR_COUNT; ++i) {
        free(made->tensors[i].memory);
        made->tensors[i].memory = NULL;
    }
}

int64_t dcnv4i_case_touched(const dcnv4i_case *made, dcnv4i_tensor_number tensor, const void *result) {
    int64_t shape[4];
    dcnv4i_tensor_shape(&made->problem, &made->sizes, tensor, shape);
    const size_t item = dcnv4i_dtype_bytes(dcnv4i_tensor_dtype(&made->problem, tensor));
    const size_t row = (size_t)shape[3] * item, stride = (size_t)made->tensors[tensor].stride * item;
    const unsigned char *bytes = result;
    for (size_t i = 0; i < made->bytes[tensor]; ++i)
        if (i % stride >= row && bytes[i] != DCNV4I_UNTOUCHED)
            return (int64_t)i;
    return -1;
}
