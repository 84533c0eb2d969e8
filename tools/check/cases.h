/* Random problems with random tensors, for check. */
#ifndef DCNV4I_CASES_H
#define DCNV4I_CASES_H

#include "oracle.h"

/* A problem and its tensors in memory, with their strides. The gaps between the rows of an input are NaN; results and the
 * gaps between their rows are DCNV4I_UNTOUCHED bytes. */
typedef struct dcnv4i_case {
    dcnv4i_task task;
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    dcnv4i_view tensors[DCNV4I_TENSORS_MOST];
} dcnv4i_case;

enum { DCNV4I_UNTOUCHED = 0xa5 };

/* The case of this seed of the settings' operator, with their dtype or, for DCNV4I_NO_DTYPE, a random one. */
dcnv4i_exit dcnv4i_case_create(const dcnv4i_settings *settings, uint64_t seed, dcnv4i_case *made);

void dcnv4i_case_free(dcnv4i_case *made);

/* The first byte between the rows of a result that is not DCNV4I_UNTOUCHED, or -1. */
int64_t dcnv4i_case_touched(const dcnv4i_case *made, int tensor, const void *result);

#endif
