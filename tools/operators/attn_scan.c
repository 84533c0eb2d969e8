/* What bench --scan varies of multi-scale deformable attention. */
#include "attn_task.h"
#include "scan_axis.h"

#include <math.h>

/* Levels one after the other; each but the first has half the height and width of the one before it, if it is to shrink. */
static void set_levels(dcnv4i_scan_problem *problem, int count, int64_t height, int64_t width, int64_t points,
                       bool shrink) {
    dcnv4i_task *const task = &problem->task;
    task->attn.level_count = count;
    task->attn.value_length = 0;
    for (int l = 0; l < count; ++l) {
        task->levels[l] = (dcnv4_msda_level){height, width, task->attn.value_length, points};
        task->attn.value_length += height * width;
        height = shrink ? (height + 1) / 2 : height;
        width = shrink ? (width + 1) / 2 : width;
    }
}

/* As an encoder: each query looks around its own place. */
static void encode(dcnv4i_scan_problem *problem) {
    problem->task.attn.queries = problem->task.attn.value_length;
}

static void begin(dcnv4i_scan_problem *problem) {
    dcnv4_msda_problem *const p = &problem->task.attn;
    p->batch = 1;
    p->heads = 4, p->head_channels = 16;
    p->reference_levels = 1;
    problem->spread = 2;
    set_levels(problem, 2, 40, 40, 4, true);
    encode(problem);
}

static void set_channels(dcnv4i_scan_problem *problem, double value) {
    problem->task.attn.head_channels = (int64_t)value;
}

/* Heads with smaller levels, so that many of them are no large problem. */
static void set_heads_of(dcnv4i_scan_problem *problem, double value, int64_t channels) {
    set_levels(problem, 2, 20, 20, 4, true);
    encode(problem);
    problem->task.attn.heads = (int64_t)value;
    problem->task.attn.head_channels = channels;
}

static void set_heads(dcnv4i_scan_problem *problem, double value) {
    set_heads_of(problem, value, 16);
}

static void set_heads_of_4(dcnv4i_scan_problem *problem, double value) {
    set_heads_of(problem, value, 4);
}

static void set_heads_of_1(dcnv4i_scan_problem *problem, double value) {
    set_heads_of(problem, value, 1);
}

static void set_points(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, 2, 20, 20, (int64_t)value, true);
    encode(problem);
}

static void set_softmax(dcnv4i_scan_problem *problem, double value) {
    problem->task.attn.softmax = value > 0;
}

static void set_points_softmax(dcnv4i_scan_problem *problem, double value) {
    set_points(problem, value);
    set_softmax(problem, 1);
}

/* Queries look anywhere, as in a decoder, where there are not as many as places. */
static void set_level_count(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, (int)value, 20, 20, 4, false);
    problem->task.attn.queries = 1000;
}

static void set_queries(dcnv4i_scan_problem *problem, double value) {
    problem->task.attn.queries = (int64_t)value;
}

static void set_size(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, 2, (int64_t)value, (int64_t)value, 4, false);
    problem->task.attn.queries = 1000;
}

/* Levels of 1600 places. */
static void set_height(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, 2, (int64_t)value, (int64_t)(1600 / value), 4, false);
    encode(problem);
}

static void set_width(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, 2, (int64_t)(1600 / value), (int64_t)value, 4, false);
    encode(problem);
}

static void set_batch(dcnv4i_scan_problem *problem, double value) {
    set_levels(problem, 2, 8, 8, 4, true);
    encode(problem);
    problem->task.attn.batch = (int64_t)value;
}

static void set_infinite(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_ATTN_VALUE, INFINITY, value};
}

static void set_infinite_gradient(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_ATTN_GRAD_OUTPUT, INFINITY, value};
}

static void set_nan(dcnv4i_scan_problem *problem, double value) {
    problem->spoil = (dcnv4i_spoil){DCNV4I_ATTN_LOCATIONS, NAN, value};
}

#define NUMBERS(...) DCNV4I_SCAN_VALUES(NUMBER, __VA_ARGS__)
#define HEADS NUMBERS(1, 2, 3, 4, 5, 8, 16, 32, 33, 64)
#define POINTS NUMBERS(1, 2, 3, 4, 5, 8, 16, 31, 32, 33, 64, 127, 128, 129, 160)
#define LENGTHS NUMBERS(1, 2, 4, 5, 8, 16, 40)
#define SPREADS NUMBERS(0, .5, 1, 2, 4, 8, 16, 40)
#define SHARES DCNV4I_SCAN_VALUES(SHARE, 0, 1. / 4096, 1. / 1024, 1. / 256, 1. / 64, 1. / 8, 1)

static const dcnv4i_scan_axis axes[] = {
    {"channels", "channels of a head", .set = set_channels,
     NUMBERS(1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 130)},
    {"heads", "heads of 16 channels, 20×20 and 10×10", .set = set_heads, HEADS},
    {"heads_of_4", "heads of 4 channels, 20×20 and 10×10", .set = set_heads_of_4, HEADS},
    {"heads_of_1", "heads of 1 channel, 20×20 and 10×10", .set = set_heads_of_1, HEADS},
    {"levels", "levels of 20×20, 1000 queries anywhere", .set = set_level_count, NUMBERS(1, 2, 3, 4, 5, 8, 16, 32, 64)},
    {"points", "points of a level, 20×20 and 10×10", .set = set_points, POINTS},
    {"points_softmax", "with softmax, 20×20 and 10×10", .set = set_points_softmax, POINTS},
    {"softmax", "without and with softmax", .set = set_softmax, NUMBERS(0, 1)},
    {"queries", "queries anywhere", .set = set_queries,
     NUMBERS(1, 2, 3, 4, 8, 16, 32, 64, 100, 200, 300, 600, 900, 1500, 2500)},
    {"size", "height and width of both levels, 1000 queries", .set = set_size, NUMBERS(1, 2, 3, 4, 5, 8, 16, 32, 64)},
    {"height", "height of levels of 1600 places", .set = set_height, LENGTHS},
    {"width", "width of levels of 1600 places", .set = set_width, LENGTHS},
    {"batch", "batch of levels of 8×8 and 4×4", .set = set_batch, NUMBERS(1, 2, 3, 4, 6, 8, 16, 32, 64)},
    {"spread", "deviation of a point's distance", .set = dcnv4i_scan_set_spread, SPREADS},
    {"spread_f16", "deviation of a point's distance, float16", .set = dcnv4i_scan_set_spread_f16, SPREADS},
    {"spread_bf16", "deviation of a point's distance, bfloat16", .set = dcnv4i_scan_set_spread_bf16, SPREADS},
    {"spread_f64", "deviation of a point's distance, float64", .set = dcnv4i_scan_set_spread_f64, SPREADS},
    {"dtype", "dtype", .set = dcnv4i_scan_set_dtype,
     DCNV4I_SCAN_VALUES(DTYPE, DCNV4_FLOAT16, DCNV4_BFLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64)},
    {"infinite", "infinite share of value", .set = set_infinite, SHARES},
    {"infinite_gradient", "infinite share of grad_output", .set = set_infinite_gradient, SHARES},
    {"nan", "NaN share of locations", .set = set_nan, SHARES},
    {"threads", "threads, in processor time", .kind = DCNV4I_SCAN_THREADS, .set = dcnv4i_scan_set_threads},
};

const dcnv4i_scan dcnv4i_attn_scan = {
    .begin = begin,
    .base = "levels of 40×40 and 20×20 with 4 points each, a query at each place, 4 heads of 16 channels, points 2 "
            "places "
            "away",
    .axes = axes,
    .count = sizeof axes / sizeof *axes,
};
