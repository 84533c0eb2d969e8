#include "conv_points.h"

void dcnv4i_sampling_point(const dcnv4_problem *problem, int64_t oy, int64_t ox, const double *block, int64_t k,
                           dcnv4i_coordinate *x, dcnv4i_coordinate *y) {
    const dcnv4_problem *p = problem;
    const int64_t center = p->kernel_w / 2 * p->kernel_h + p->kernel_h / 2;
    const int64_t number = p->remove_center && k >= center ? k + 1 : k;
    const int64_t i = number / p->kernel_h, j = number % p->kernel_h;
    const int64_t half_w = p->dilation_w * (p->kernel_w - 1) >> 1, half_h = p->dilation_h * (p->kernel_h - 1) >> 1;
    *x = (dcnv4i_coordinate){(double)(ox * p->stride_w - p->pad_w + half_w), (double)(i * p->dilation_w - half_w),
                             block[2 * k]};
    *y = (dcnv4i_coordinate){(double)(oy * p->stride_h - p->pad_h + half_h), (double)(j * p->dilation_h - half_h),
                             block[2 * k + 1]};
}
