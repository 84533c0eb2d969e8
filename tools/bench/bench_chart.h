/* The results of bench as bars against the floor. */
#ifndef DCNV4I_BENCH_CHART_H
#define DCNV4I_BENCH_CHART_H

#include "bench_run.h"

/* DCNV4I_DONE if a chart can be written to a file of this name. */
dcnv4i_exit dcnv4i_chart_check(const char *path);

/* Opens path as an output, to be committed by the caller, and draws. */
dcnv4i_exit dcnv4i_chart_write(const char *path, const dcnv4i_records *records);

#endif
