#include "scan_axis.h"

#include <unistd.h>

dcnv4i_scan_axis dcnv4i_scan_axis_here(const dcnv4i_scan_axis *axis) {
    dcnv4i_scan_axis here = *axis;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (axis->kind != DCNV4I_SCAN_THREADS)
        return here;
    here.count = 0;
    for (long threads = 1; threads < processors && threads < 1024; threads *= 2)
        here.values[here.count++] = (double)threads;
    here.values[here.count++] = (double)(processors < 1 ? 1 : processors > 1024 ? 1024 : processors);
    return here;
}

const char *dcnv4i_scan_value_words(const dcnv4i_scan_axis *axis, double value, char *text, size_t size) {
    switch (axis->kind) {
    case DCNV4I_SCAN_SQUARE: snprintf(text, size, "%g×%g", value, value); break;
    case DCNV4I_SCAN_SHARE:
        snprintf(text, size, value > 0 && value < 1 ? "1/%g" : "%g", value > 0 ? 1 / value : 0);
        break;
    case DCNV4I_SCAN_DTYPE: snprintf(text, size, "%s", dcnv4i_dtype_word((int32_t)value)); break;
    case DCNV4I_SCAN_NUMBER:
    case DCNV4I_SCAN_THREADS: snprintf(text, size, "%g", value); break;
    }
    return text;
}

void dcnv4i_scan_set_dtype(dcnv4i_scan_problem *problem, double value) {
    problem->task.dtype = (int32_t)value;
}

void dcnv4i_scan_set_spread(dcnv4i_scan_problem *problem, double value) {
    problem->spread = value;
}

void dcnv4i_scan_set_spread_f16(dcnv4i_scan_problem *problem, double value) {
    problem->task.dtype = DCNV4_FLOAT16;
    problem->spread = value;
}

void dcnv4i_scan_set_spread_bf16(dcnv4i_scan_problem *problem, double value) {
    problem->task.dtype = DCNV4_BFLOAT16;
    problem->spread = value;
}

void dcnv4i_scan_set_spread_f64(dcnv4i_scan_problem *problem, double value) {
    problem->task.dtype = DCNV4_FLOAT64;
    problem->spread = value;
}

void dcnv4i_scan_set_threads(dcnv4i_scan_problem *problem, double value) {
    problem->threads = (int64_t)value;
}
