#include "scan_axis.h"

#include <string.h>

/* The processors that this process may use, as the cpu device has them. */
static int64_t count_processors(void) {
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) == DCNV4_SUCCESS && strcmp(info.backend, "cpu") == 0 && info.units > 0)
            return info.units;
    }
    return 1;
}

dcnv4i_scan_axis dcnv4i_scan_axis_here(const dcnv4i_scan_axis *axis) {
    dcnv4i_scan_axis here = *axis;
    if (axis->kind != DCNV4I_SCAN_THREADS)
        return here;
    const int64_t all = count_processors(), most = all < 1024 ? all : 1024;
    here.count = 0;
    for (int64_t threads = 1; threads < most; threads *= 2)
        here.values[here.count++] = (double)threads;
    here.values[here.count++] = (double)most;
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
