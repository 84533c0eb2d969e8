/* Plans: a checked problem and the backend's program for it. */
#ifndef DCNV4I_PLAN_H
#define DCNV4I_PLAN_H

#include "context.h"

struct dcnv4_plan {
    dcnv4_context *context;
    void *program;
    int part;                /* the only part of the operator that it does; −1 for all */
    dcnv4i_problem *problem; /* owned by the plan; sizes of images without pixels are 0 */
};

/* params are the operator's parameters, as the caller gives them. */
dcnv4_status dcnv4i_plan_open(dcnv4_context *context, const dcnv4i_operator *op, const void *params, dcnv4_plan **plan);
dcnv4_status dcnv4i_plan_open_tactic(const dcnv4_plan *plan, int part, int64_t index, dcnv4_plan **tactic);
void dcnv4i_plan_close(dcnv4_plan *plan);

bool dcnv4i_plan_has_pass(const dcnv4_plan *plan, dcnv4_pass pass);

/* Checks the buffers of a pass that the plan has, and runs it. The buffers of tensors without elements are made
 * empty. */
dcnv4_status dcnv4i_plan_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4i_buffers *buffers, void *stream);

/* Likewise, but runs a roofline kernel of the pass. DCNV4_INVALID_ARGUMENT if the plan lacks the pass or floor is
 * unknown. */
dcnv4_status dcnv4i_plan_run_roofline(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                      dcnv4i_buffers *buffers, void *stream);

#endif
