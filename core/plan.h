/* How it will be done: a checked problem and the backend's program for it. */
#ifndef DCNV4I_PLAN_H
#define DCNV4I_PLAN_H

#include "context.h"

struct dcnv4_plan {
    dcnv4_context *context;
    dcnv4i_problem problem; /* sizes of what has no pixels are 0 */
    void *program;
    int candidate; /* the one dcnv4_part that it has; −1 for all */
};

dcnv4_status dcnv4i_plan_open(dcnv4_context *context, const dcnv4_problem *asked, dcnv4_plan **plan);
dcnv4_status dcnv4i_plan_open_candidate(const dcnv4_plan *plan, dcnv4_part part, int64_t index, dcnv4_plan **candidate);
void dcnv4i_plan_close(dcnv4_plan *plan);

#endif
