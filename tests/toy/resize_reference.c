/* The formula, as the reference has it. */
#include "../../backends/reference/reference.h"
#include "resize.h"

#include <math.h>

static dcnv4_status check(const dcnv4i_problem *problem) {
    (void)problem;
    return DCNV4_SUCCESS;
}

/* Sums in float64 of grad_value, and room to align them. */
static size_t workspace_size(const dcnv4i_problem *problem, dcnv4_pass pass) {
    return pass == DCNV4_PASS_FORWARD ? 0 : (problem->tensors[RESIZE_GRAD_VALUE].bytes / 4 + 1) * sizeof(double);
}

/* The four corners of output pixel (n, oy, ox): elements of value where their channels begin, and weights. */
static void find_corners(const resize_params *p, int64_t n, int64_t oy, int64_t ox, int64_t at[4], double weight[4]) {
    const double x = resize_position(ox, p->output_width, p->width),
                 y = resize_position(oy, p->output_height, p->height);
    const int64_t left = (int64_t)floor(x), top = (int64_t)floor(y);
    for (int c = 0; c < 4; ++c) {
        const int64_t column = left + (c & 1), row = top + (c >> 1);
        const bool inside = column >= 0 && column < p->width && row >= 0 && row < p->height;
        at[c] = inside ? ((n * p->height + row) * p->width + column) * p->channels : 0;
        weight[c] = inside ? (1 - fabs(x - (double)column)) * (1 - fabs(y - (double)row)) : 0;
    }
}

static dcnv4_status run(const dcnv4i_problem *problem, dcnv4_pass pass, void *const tensors[DCNV4I_MAX_TENSORS],
                        void *workspace) {
    const resize_params *p = &((const resize_problem *)problem)->params;
    const float *const value = tensors[RESIZE_VALUE], *const grad_output = tensors[RESIZE_GRAD_OUTPUT];
    float *const output = tensors[RESIZE_OUTPUT], *const grad_value = tensors[RESIZE_GRAD_VALUE];
    double *const sums = (double *)(((uintptr_t)workspace + 7) & ~(uintptr_t)7);
    const int64_t count = problem->tensors[RESIZE_VALUE].pixels * p->channels;
    for (int64_t i = 0; pass == DCNV4_PASS_BACKWARD && i < count; ++i)
        sums[i] = 0;
    for (int64_t pixel = 0; pixel < problem->tensors[RESIZE_OUTPUT].pixels; ++pixel) {
        const int64_t ox = pixel % p->output_width, oy = pixel / p->output_width % p->output_height;
        int64_t at[4];
        double weight[4];
        find_corners(p, pixel / p->output_width / p->output_height, oy, ox, at, weight);
        for (int64_t c = 0; c < p->channels; ++c) {
            double sum = 0;
            for (int corner = 0; corner < 4; ++corner)
                if (pass == DCNV4_PASS_FORWARD)
                    sum += weight[corner] * (double)value[at[corner] + c];
                else
                    sums[at[corner] + c] += weight[corner] * (double)grad_output[pixel * p->channels + c];
            if (pass == DCNV4_PASS_FORWARD)
                output[pixel * p->channels + c] = (float)sum;
        }
    }
    for (int64_t i = 0; pass == DCNV4_PASS_BACKWARD && i < count; ++i)
        grad_value[i] = (float)sums[i];
    return DCNV4_SUCCESS;
}

const dcnv4i_reference_operator dcnv4i_reference_resize = {
    .op = &dcnv4i_operator_resize,
    .check = check,
    .workspace_size = workspace_size,
    .run = run,
};
