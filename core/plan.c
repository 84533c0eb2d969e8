#include "plan.h"

#include <stdlib.h>

dcnv4_status dcnv4i_plan_open(dcnv4_context *context, const dcnv4_problem *asked, dcnv4_plan **plan) {
    dcnv4_plan *made = malloc(sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a plan of %zu bytes", sizeof *made);
    dcnv4_status status = dcnv4i_problem_check(asked, &made->problem);
    if (status == DCNV4_SUCCESS)
        status = context->backend->program_create(context->device, &made->problem, &made->program);
    if (status != DCNV4_SUCCESS) {
        free(made);
        return status;
    }
    made->context = context;
    dcnv4i_context_hold(context);
    *plan = made;
    return DCNV4_SUCCESS;
}

void dcnv4i_plan_close(dcnv4_plan *plan) {
    plan->context->backend->program_destroy(plan->program);
    dcnv4i_context_release(plan->context);
    free(plan);
}
