/* Random problems of DCNv4 for check. */
#include "conv_task.h"

#include <math.h>

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

void dcnv4i_conv_draw(dcnv4i_random *random, dcnv4i_task *task) {
    dcnv4_sizes sizes;
    draw(random, &task->conv, &sizes);
    task->deterministic = task->conv.deterministic;
}

/* In 16 bits, every fourth offset_mask is float32. The draw depends on the seed alone, not on the dtype asked for. */
void dcnv4i_conv_draw_dtypes(uint64_t seed, dcnv4i_task *task) {
    dcnv4i_random random = {~seed};
    const bool narrow = task->dtype == DCNV4_FLOAT16 || task->dtype == DCNV4_BFLOAT16;
    task->conv.offset_mask_dtype = chance(&random, 4) && narrow ? DCNV4_FLOAT32 : DCNV4_SAME_DTYPE;
}

/* ---- The tensors ---------------------------------------------------------------------------------------------------- */

static double draw_offset(dcnv4i_random *random, dcnv4i_style how, const dcnv4_problem *p) {
    static const double strange[] = {NAN,          INFINITY, -INFINITY, 1e30,   -1e30, 1e300,
                                     2147483648.0, -0.0,     1e-30,     -1e-30, 60000};
    const double number = dcnv4i_random_normal(random);
    switch (how) {
    case DCNV4I_FAR: return number * (double)(p->height > p->width ? p->height : p->width);
    case DCNV4I_BORDERS: return floor(number * 4) / 2;
    case DCNV4I_TINY: return number * 1e-4;
    case DCNV4I_STRANGE: return chance(random, 8) ? PICK(random, strange) : number;
    default: return number;
    }
}

void dcnv4i_conv_draw_row(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task,
                          const dcnv4i_layout *layouts, int tensor, double *row) {
    const dcnv4_problem *const p = &task->conv;
    const int64_t points = p->kernel_h * p->kernel_w - p->remove_center, block = 3 * points;
    for (int64_t i = 0; i < layouts[tensor].row; ++i)
        if (tensor != DCNV4I_CONV_OFFSET_MASK)
            row[i] = dcnv4i_random_normal(random);
        else if (i >= block * p->groups)
            row[i] = NAN; /* padding is never read */
        else
            row[i] = i % block < 2 * points ? draw_offset(random, how, p) : dcnv4i_random_normal(random);
}
