/* The public functions of deform_conv.h. */
#include "api.h"
#include "deform_conv_problem.h"

dcnv4_status dcnv4_problem_sizes(const dcnv4_problem *problem, dcnv4_sizes *sizes) {
    REQUIRE(problem);
    REQUIRE(sizes);
    dcnv4i_deform_conv checked;
    dcnv4_status status = dcnv4i_check_size("dcnv4_sizes", sizes->size, sizeof *sizes);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_deform_conv_check(problem, &checked);
    if (status != DCNV4_SUCCESS)
        return status;
    sizes->points = checked.points;
    sizes->channels = checked.channels;
    sizes->output_height = checked.output_height;
    sizes->output_width = checked.output_width;
    sizes->offset_mask_row = checked.params.offset_mask_row;
    sizes->value = checked.base.tensors[DCNV4I_VALUE].bytes;
    sizes->offset_mask = checked.base.tensors[DCNV4I_OFFSET_MASK].bytes;
    sizes->output = checked.base.tensors[DCNV4I_OUTPUT].bytes;
    sizes->grad_output = checked.base.tensors[DCNV4I_GRAD_OUTPUT].bytes;
    sizes->grad_value = checked.base.tensors[DCNV4I_GRAD_VALUE].bytes;
    sizes->grad_offset_mask = checked.base.tensors[DCNV4I_GRAD_OFFSET_MASK].bytes;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4_plan_create(dcnv4_context *context, const dcnv4_problem *problem, dcnv4_plan **plan) {
    REQUIRE(plan);
    *plan = NULL;
    REQUIRE(context);
    REQUIRE(problem);
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_plan_open(context, &dcnv4i_operator_deform_conv, problem, plan));
    return status;
}

/* Copies the caller's buffers to *buffers; the plan must be of this operator. */
static dcnv4_status take_buffers(const char *function, const dcnv4_plan *plan, const dcnv4_buffers *given,
                                 dcnv4i_buffers *buffers) {
    dcnv4_buffers b = DCNV4_BUFFERS_INIT;
    if (plan->problem->op != &dcnv4i_operator_deform_conv)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the plan is of the operator %s", function,
                           plan->problem->op->name);
    const dcnv4_status status = dcnv4i_versioned_copy("dcnv4_buffers", &b, sizeof b, sizeof b, given);
    *buffers = (dcnv4i_buffers){
        .tensors =
            {
                [DCNV4I_VALUE] = b.value,
                [DCNV4I_OFFSET_MASK] = b.offset_mask,
                [DCNV4I_OUTPUT] = b.output,
                [DCNV4I_GRAD_OUTPUT] = b.grad_output,
                [DCNV4I_GRAD_VALUE] = b.grad_value,
                [DCNV4I_GRAD_OFFSET_MASK] = b.grad_offset_mask,
            },
        .workspace = b.workspace,
    };
    return status;
}

dcnv4_status dcnv4_forward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    dcnv4i_buffers checked;
    if (!dcnv4i_plan_has_pass(plan, DCNV4_PASS_FORWARD))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_forward: the plan is a tactic for part %d, of backward",
                           plan->part);
    const dcnv4_status status = take_buffers(__func__, plan, buffers, &checked);
    return status == DCNV4_SUCCESS ? dcnv4i_plan_run(plan, DCNV4_PASS_FORWARD, &checked, stream) : status;
}

dcnv4_status dcnv4_backward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    dcnv4i_buffers checked;
    if (plan->part == DCNV4_PART_OUTPUT)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_backward: the plan is a tactic for part 0, of forward");
    if (!dcnv4i_plan_has_pass(plan, DCNV4_PASS_BACKWARD))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_backward: the plan was made with forward_only 1");
    const dcnv4_status status = take_buffers(__func__, plan, buffers, &checked);
    return status == DCNV4_SUCCESS ? dcnv4i_plan_run(plan, DCNV4_PASS_BACKWARD, &checked, stream) : status;
}

dcnv4_status dcnv4_roofline_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                const dcnv4_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    dcnv4i_buffers checked;
    const dcnv4_status status = take_buffers(__func__, plan, buffers, &checked);
    return status == DCNV4_SUCCESS ? dcnv4i_plan_run_roofline(plan, pass, roofline, &checked, stream) : status;
}
