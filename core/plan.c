#include "plan.h"

#include <stdlib.h>

static dcnv4_status allocate(dcnv4_plan **made) {
    *made = malloc(sizeof **made);
    return *made ? DCNV4_SUCCESS : dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a plan of %zu bytes", sizeof **made);
}

/* Hands over a plan whose program was made with this status, or frees it. */
static dcnv4_status hand_over(dcnv4_plan *made, dcnv4_status status, dcnv4_context *context, dcnv4_plan **plan) {
    if (status != DCNV4_SUCCESS) {
        free(made);
        return status;
    }
    made->context = context;
    dcnv4i_context_hold(context);
    *plan = made;
    return DCNV4_SUCCESS;
}

/* An image of no pixels has no rows and columns, and a batch of such images none: the sizes beside one of 0 may be as large as
 * they like, and neither work must come of them nor a product that overflows. */
static void forget_sizes(dcnv4i_problem *problem) {
    const bool has_value = problem->tensors[DCNV4I_VALUE].pixels > 0;
    const bool has_output = problem->tensors[DCNV4I_OUTPUT].pixels > 0;
    if (!has_value)
        problem->asked.height = problem->asked.width = 0;
    if (!has_output)
        problem->output_height = problem->output_width = 0;
    if (!has_value && !has_output)
        problem->asked.batch = 0;
}

dcnv4_status dcnv4i_plan_open(dcnv4_context *context, const dcnv4_problem *asked, dcnv4_plan **plan) {
    dcnv4_plan *made;
    dcnv4_status status = allocate(&made);
    if (status != DCNV4_SUCCESS)
        return status;
    made->candidate = -1;
    status = dcnv4i_problem_check(asked, &made->problem);
    if (status == DCNV4_SUCCESS) {
        forget_sizes(&made->problem);
        status = context->backend->program_create(context->device, &made->problem, &made->program);
    }
    return hand_over(made, status, context, plan);
}

dcnv4_status dcnv4i_plan_open_candidate(const dcnv4_plan *plan, dcnv4_part part, int64_t index,
                                        dcnv4_plan **candidate) {
    dcnv4_plan *made;
    const dcnv4_status status = allocate(&made);
    if (status != DCNV4_SUCCESS)
        return status;
    made->problem = plan->problem;
    made->candidate = (int)part;
    return hand_over(made, plan->context->backend->candidate_create(plan->program, part, index, &made->program),
                     plan->context, candidate);
}

void dcnv4i_plan_close(dcnv4_plan *plan) {
    plan->context->backend->program_destroy(plan->program);
    dcnv4i_context_release(plan->context);
    free(plan);
}
