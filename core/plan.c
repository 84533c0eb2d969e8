#include "buffers.h"
#include "environment.h"

#include <stdlib.h>
#include <string.h>

static void drop(dcnv4_plan *plan) {
    free(plan->problem);
    free(plan);
}

/* NULL, with a message, if there is no memory. */
static dcnv4_plan *allocate(const dcnv4i_operator *op) {
    dcnv4_plan *const made = calloc(1, sizeof *made);
    if (made && (made->problem = malloc(op->problem_size)) != NULL)
        return made;
    free(made);
    dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a plan of %zu bytes", sizeof *made + op->problem_size);
    return NULL;
}

/* If the program was made (status), completes and hands over the plan; otherwise frees the plan. */
static dcnv4_status hand_over(dcnv4_plan *made, dcnv4_status status, dcnv4_context *context, dcnv4_plan **plan) {
    if (status != DCNV4_SUCCESS) {
        drop(made);
        return status;
    }
    made->context = context;
    dcnv4i_context_hold(context);
    *plan = made;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_plan_open(dcnv4_context *context, const dcnv4i_operator *op, const void *params,
                              dcnv4_plan **plan) {
    dcnv4_plan *const made = allocate(op);
    if (!made)
        return DCNV4_OUT_OF_MEMORY;
    made->part = -1;
    dcnv4_status status = op->check(params, made->problem);
    if (status == DCNV4_SUCCESS) {
        op->drop_empty_sizes(made->problem);
        status = context->backend->program_create(context->device, made->problem, &made->program);
    }
    return hand_over(made, status, context, plan);
}

dcnv4_status dcnv4i_plan_open_tactic(const dcnv4_plan *plan, int part, int64_t index, dcnv4_plan **tactic) {
    const dcnv4i_operator *const op = plan->problem->op;
    dcnv4_plan *const made = allocate(op);
    if (!made)
        return DCNV4_OUT_OF_MEMORY;
    memcpy(made->problem, plan->problem, op->problem_size);
    made->part = part;
    return hand_over(made,
                     plan->context->backend->tactic_create(plan->program, made->problem, part, index, &made->program),
                     plan->context, tactic);
}

void dcnv4i_plan_close(dcnv4_plan *plan) {
    plan->context->backend->program_destroy(plan->program);
    dcnv4i_context_release(plan->context);
    drop(plan);
}

bool dcnv4i_plan_has_pass(const dcnv4_plan *plan, dcnv4_pass pass) {
    const bool forward = pass == DCNV4_PASS_FORWARD, backward = pass == DCNV4_PASS_BACKWARD;
    if (plan->part >= 0)
        return plan->problem->op->part_pass[plan->part] == pass;
    return forward || (backward && !plan->problem->forward_only);
}

dcnv4_status dcnv4i_plan_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4i_buffers *buffers, void *stream) {
    dcnv4_status status = dcnv4i_buffers_check(plan, pass, buffers);
    if (status == DCNV4_SUCCESS)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = plan->context->backend->run(plan->program, pass, buffers, stream));
    return status;
}

dcnv4_status dcnv4i_plan_run_roofline(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                      dcnv4i_buffers *buffers, void *stream) {
    const dcnv4i_backend *backend = plan->context->backend;
    if (!dcnv4i_plan_has_pass(plan, pass))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_roofline_run: the plan has no pass %d", (int)pass);
    if (roofline != DCNV4_ROOFLINE_MEMORY && roofline != DCNV4_ROOFLINE_LOADS)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_roofline_run: there is no roofline %d", (int)roofline);
    if (!backend->roofline_run)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "%s has no roofline kernels", backend->name);
    dcnv4_status status = dcnv4i_buffers_check(plan, pass, buffers);
    if (status == DCNV4_SUCCESS)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = backend->roofline_run(plan->program, pass, roofline, buffers, stream));
    return status;
}
