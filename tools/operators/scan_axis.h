/* What bench --scan varies: an axis is one property of a problem, with values that are neighbours of each other. */
#ifndef DCNV4I_SCAN_AXIS_H
#define DCNV4I_SCAN_AXIS_H

#include "layer.h"

enum { DCNV4I_SCAN_MOST = 32 };

/* A problem with all that its time may depend on. */
typedef struct dcnv4i_scan_problem {
    dcnv4i_task task;
    double spread;      /* as for the task's fill */
    int64_t threads;    /* of the cpu */
    dcnv4i_spoil spoil; /* non-finite numbers among the inputs */
} dcnv4i_scan_problem;

typedef enum dcnv4i_scan_kind {
    DCNV4I_SCAN_NUMBER,
    DCNV4I_SCAN_SQUARE, /* 3: "3×3" */
    DCNV4I_SCAN_SHARE,  /* 0.125: "1/8" */
    DCNV4I_SCAN_DTYPE,  /* a dcnv4_dtype: "f16" */
    DCNV4I_SCAN_THREADS /* the values are 1, 2, 4, … up to the number of processors */
} dcnv4i_scan_kind;

typedef struct dcnv4i_scan_axis {
    const char *name, *help;
    dcnv4i_scan_kind kind;
    void (*set)(dcnv4i_scan_problem *problem, double value);
    double values[DCNV4I_SCAN_MOST];
    int count;
} dcnv4i_scan_axis;

/* The members kind, values and count of an axis. */
#define DCNV4I_SCAN_VALUES(kind_, ...) \
    .kind = DCNV4I_SCAN_##kind_, .values = {__VA_ARGS__}, .count = sizeof(double[]){__VA_ARGS__} / sizeof(double)

/* The axes of an operator, and the problem of which each varies one property. */
typedef struct dcnv4i_scan {
    void (*begin)(dcnv4i_scan_problem *problem);
    const char *base; /* that problem in words */
    const dcnv4i_scan_axis *axes;
    int count;
} dcnv4i_scan;

/* An axis with the values that it has on this machine. */
dcnv4i_scan_axis dcnv4i_scan_axis_here(const dcnv4i_scan_axis *axis);

/* A value in words, into text, which is returned. */
const char *dcnv4i_scan_value_words(const dcnv4i_scan_axis *axis, double value, char *text, size_t size);

/* Setters that the operators share; spread_… set the dtype too. */
void dcnv4i_scan_set_dtype(dcnv4i_scan_problem *problem, double value);
void dcnv4i_scan_set_spread(dcnv4i_scan_problem *problem, double value);
void dcnv4i_scan_set_spread_f16(dcnv4i_scan_problem *problem, double value);
void dcnv4i_scan_set_spread_bf16(dcnv4i_scan_problem *problem, double value);
void dcnv4i_scan_set_spread_f64(dcnv4i_scan_problem *problem, double value);
void dcnv4i_scan_set_threads(dcnv4i_scan_problem *problem, double value);

#endif
