/* A toy operator, to show what a second one takes: bilinear resize of [N, H, W, C] to [N, Ho, Wo, C], in float32. Output pixel
 * (oy, ox) has one point, of weight 1, at x = (ox + 0.5)·W/Wo − 0.5 and y likewise; beyond the border value is 0. */
#ifndef RESIZE_H
#define RESIZE_H

#include "../../core/operator.h"

typedef struct resize_params {
    int64_t batch, height, width, channels, output_height, output_width; /* each at least 1 */
} resize_params;

typedef enum resize_tensor {
    RESIZE_VALUE,
    RESIZE_OUTPUT,
    RESIZE_GRAD_OUTPUT,
    RESIZE_GRAD_VALUE,
    RESIZE_TENSORS
} resize_tensor;

typedef struct resize_problem {
    dcnv4i_problem base;
    resize_params params;
} resize_problem;

/* Along one axis: where the point of output number `at` is. */
static inline double resize_position(int64_t at, int64_t output, int64_t input) {
    return ((double)at + 0.5) * (double)input / (double)output - 0.5;
}

/* On the cpu and on devices that compile. */
struct dcnv4i_gpu_operator;
extern const dcnv4i_operator dcnv4i_operator_resize;
extern const struct dcnv4i_gpu_operator dcnv4i_gpu_resize;

#endif
