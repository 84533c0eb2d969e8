/* What bench --scan varies of DCNv4. */
#include "conv_task.h"
#include "scan_axis.h"

#include <math.h>

static void begin(dcnv4i_scan_problem *problem) {
    dcnv4_problem *const p = &problem->task.conv;
    p->batch = 1, p->height = p->width = 48;
    p->groups = 4, p->group_channels = 16;
    p->kernel_h = p->kernel_w = 3, p->pad_h = p->pad_w = 1;
    p->stride_h = p->stride_w = p->dilation_h = p->dilation_w = 1;
    problem->spread = 1;
}

static void set_channels(dcnv4i_scan_problem *problem, double value) {
    problem->task.conv.group_channels = (int64_t)value;
}

static void set_square(dcnv4i_scan_problem *problem, double value) {
    problem->task.conv.height = problem->task.conv.width = (int64_t)value;
}

/* Groups at a smaller size, so that many of them are no large problem. */
static void set_groups_of(dcnv4i_scan_problem *problem, double value, int64_t channels) {
    set_square(problem, 24);
    problem->task.conv.groups = (int64_t)value;
    problem->task.conv.group_channels = channels;
}

static void set_groups(dcnv4i_scan_problem *problem, double value) {
    set_groups_of(problem, value, 16);
}

static void set_groups_of_4(dcnv4i_scan_problem *problem, double value) {
    set_groups_of(problem, value, 4);
}

static void set_groups_of_1(dcnv4i_scan_problem *problem, double value) {
    set_groups_of(problem, value, 1);
}

static void set_kernel(dcnv4i_scan_problem *problem, double value) {
    dcnv4_problem *const p = &problem->task.conv;
    set_groups_of(problem, 1, 16);
    p->kernel_h = p->kernel_w = (int64_t)value;
    p->pad_h = p->pad_w = p->kernel_h / 2;
}

static void set_kernel_softmax(dcnv4i_scan_problem *problem, double value) {
    set_kernel(problem, value);
    problem->task.conv.softmax = 1;
}

static void set_softmax(dcnv4i_scan_problem *problem, double value) {
    problem->task.conv.softmax = value > 0;
}

/* The output keeps its size. */
static void set_stride(dcnv4i_scan_problem *problem, double value) {
    set_square(problem, 24 * value);
    problem->task.conv.stride_h = problem->task.conv.stride_w = (int64_t)value;
}

static void set_dilation(dcnv4i_scan_problem *problem, double value) {
    dcnv4_problem *const p = &problem->task.conv;
    p->dilation_h = p->dilation_w = p->pad_h = p->pad_w = (int64_t)value;
}

/* Images of as many pixels as 48×48. */
static void set_height(dcnv4i_scan_problem *problem, double value) {
    problem->task.conv.height = (int64_t)value, problem->task.conv.width = (int64_t)(48 * 48 / value);
}

static void set_width(dcnv4i_scan_problem *problem, double value) {
    problem->task.conv.height = (int64_t)(48 * 48 / value), problem->task.conv.width = (int64_t)value;
}

static void set_batch(dcnv4i_scan_problem *problem, double value) {
    set_square(problem, 7);
    problem->task.conv.batch = (int64_t)value;
}

static void set_infinite(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_CONV_VALUE, INFINITY, value};
}

static void set_infinite_gradient(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_CONV_GRAD_OUTPUT, INFINITY, value};
}

static void set_nan(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_CONV_OFFSET_MASK, NAN, value};
}

#define NUMBERS(...) DCNV4I_SCAN_VALUES(NUMBER, __VA_ARGS__)
#define SQUARES(...) DCNV4I_SCAN_VALUES(SQUARE, __VA_ARGS__)
#define GROUPS NUMBERS(1, 2, 3, 4, 5, 8, 16, 32, 33, 64)
#define KERNELS SQUARES(1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 16, 17, 19)
#define LENGTHS NUMBERS(1, 2, 3, 4, 6, 8, 16, 48)
#define SPREADS NUMBERS(0, .5, 1, 2, 4, 8, 16, 48)
#define SHARES DCNV4I_SCAN_VALUES(SHARE, 0, 1. / 4096, 1. / 1024, 1. / 256, 1. / 64, 1. / 8, 1)

static const dcnv4i_scan_axis axes[] = {
    {"channels", "channels of a group", .set = set_channels,
     NUMBERS(1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 130)},
    {"groups", "groups of 16 channels, 24×24", .set = set_groups, GROUPS},
    {"groups_of_4", "groups of 4 channels, 24×24", .set = set_groups_of_4, GROUPS},
    {"groups_of_1", "groups of 1 channel, 24×24", .set = set_groups_of_1, GROUPS},
    {"kernel", "kernel size, 24×24, 1 group", .set = set_kernel, KERNELS},
    {"kernel_softmax", "with softmax, 24×24, 1 group", .set = set_kernel_softmax, KERNELS},
    {"softmax", "without and with softmax", .set = set_softmax, NUMBERS(0, 1)},
    {"stride", "stride, output 24×24", .set = set_stride, NUMBERS(1, 2, 3, 4)},
    {"dilation", "dilation", .set = set_dilation, NUMBERS(1, 2, 3, 4, 8, 16, 32)},
    {"size", "height and width", .set = set_square,
     NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96)},
    {"height", "height of an image of 2304 pixels", .set = set_height, LENGTHS},
    {"width", "width of an image of 2304 pixels", .set = set_width, LENGTHS},
    {"batch", "batch of 7×7", .set = set_batch, NUMBERS(1, 2, 3, 4, 6, 8, 16, 32, 64)},
    {"spread", "deviation of the offsets", .set = dcnv4i_scan_set_spread, SPREADS},
    {"spread_f16", "deviation of the offsets, float16", .set = dcnv4i_scan_set_spread_f16, SPREADS},
    {"spread_bf16", "deviation of the offsets, bfloat16", .set = dcnv4i_scan_set_spread_bf16, SPREADS},
    {"spread_f64", "deviation of the offsets, float64", .set = dcnv4i_scan_set_spread_f64, SPREADS},
    {"dtype", "dtype", .set = dcnv4i_scan_set_dtype,
     DCNV4I_SCAN_VALUES(DTYPE, DCNV4_FLOAT16, DCNV4_BFLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64)},
    {"infinite", "infinite share of value", .set = set_infinite, SHARES},
    {"infinite_gradient", "infinite share of grad_output", .set = set_infinite_gradient, SHARES},
    {"nan", "NaN share of offset_mask", .set = set_nan, SHARES},
    {"threads", "threads, in processor time", .kind = DCNV4I_SCAN_THREADS, .set = dcnv4i_scan_set_threads},
};

const dcnv4i_scan dcnv4i_conv_scan = {
    .begin = begin,
    .base = "48×48, 4 groups of 16 channels, 3×3, offsets of 1 pixel",
    .axes = axes,
    .count = sizeof axes / sizeof *axes,
};
