/* Which problems of an axis are slow for what they are. */
#ifndef DCNV4I_SCAN_RULE_H
#define DCNV4I_SCAN_RULE_H

#include <stdint.h>

typedef struct dcnv4i_scan_time {
    double ms, work; /* work: points · channels */
} dcnv4i_scan_time;

typedef enum dcnv4i_scan_mark {
    DCNV4I_SCAN_EVEN,
    DCNV4I_SCAN_FIXED, /* over the limit per point and channel, but no slower as a whole than a neighbour with more work */
    DCNV4I_SCAN_CLIFF /* over the limit */
} dcnv4i_scan_mark;

/* Judges times[i] against the one before and the one after it. *ratio: its time per point and channel over that of the
 * faster of these; NAN without any. */
dcnv4i_scan_mark dcnv4i_scan_judge(const dcnv4i_scan_time *times, int64_t count, int64_t i, double *ratio);

/* "cliff", "fixed", or "". */
const char *dcnv4i_scan_mark_word(dcnv4i_scan_mark mark);

#endif
