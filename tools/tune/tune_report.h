/* The results of tune, as a table and as JSON. */
#ifndef DCNV4I_TUNE_REPORT_H
#define DCNV4I_TUNE_REPORT_H

#include "tune_run.h"

/* The choice for a part of a layer. */
typedef struct dcnv4i_choice_made {
    int64_t fastest; /* by more than the noise; 0: the default */
    bool kept;       /* saved: plans created from now on use it */
    double ratio;    /* its time divided by the default's, over all sizes */
    const char *why; /* it is not saved */
} dcnv4i_choice_made;

/* What was printed so far. Initialise with the format alone. */
typedef struct dcnv4i_tune_report {
    int64_t format; /* a dcnv4i_format */
    const char *device;
    int64_t rows;
} dcnv4i_tune_report;

/* Prints the races of one part at all sizes of a layer, and the choice. */
void dcnv4i_tune_print(dcnv4i_tune_report *report, const char *device, const dcnv4i_race *races, int64_t count,
                       const dcnv4i_choice_made *choice);

/* Prints what comes after them, if there were any. */
void dcnv4i_tune_end(const dcnv4i_tune_report *report);

#endif
