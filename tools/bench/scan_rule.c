#include "scan_rule.h"

#include <math.h>
#include <stdbool.h>

/* A problem that is smaller than its neighbour may take this many times its time as a whole: measurements scatter. */
static const double limit = 1.5, scatter = 1.1;

dcnv4i_scan_mark dcnv4i_scan_judge(const dcnv4i_scan_time *times, int64_t count, int64_t i, double *ratio) {
    const dcnv4i_scan_time *const own = &times[i];
    dcnv4i_scan_mark mark = DCNV4I_SCAN_EVEN;
    *ratio = NAN;
    for (int64_t n = i - 1; n <= i + 1; n += 2) {
        if (n < 0 || n >= count)
            continue;
        const dcnv4i_scan_time *const other = &times[n];
        const double slower = own->ms / own->work / (other->ms / other->work);
        const bool fixed = own->work < other->work && own->ms <= scatter * other->ms;
        *ratio = fmax(slower, *ratio); /* ignores a NAN */
        if (slower > limit && !fixed)
            mark = DCNV4I_SCAN_CLIFF;
        else if (slower > limit && mark == DCNV4I_SCAN_EVEN)
            mark = DCNV4I_SCAN_FIXED;
    }
    return mark;
}

const char *dcnv4i_scan_mark_word(dcnv4i_scan_mark mark) {
    return mark == DCNV4I_SCAN_CLIFF ? "cliff" : mark == DCNV4I_SCAN_FIXED ? "fixed" : "";
}
