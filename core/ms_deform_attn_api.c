/* The public functions of ms_deform_attn.h. */
#include "api.h"
#include "ms_deform_attn_problem.h"

dcnv4_status dcnv4_msda_sizes_get(const dcnv4_msda_problem *problem, dcnv4_msda_sizes *sizes) {
    REQUIRE(problem);
    REQUIRE(sizes);
    dcnv4i_ms_deform_attn checked;
    dcnv4_status status = dcnv4i_check_size("dcnv4_msda_sizes", sizes->size, sizeof *sizes);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_ms_deform_attn_check(problem, &checked);
    if (status != DCNV4_SUCCESS)
        return status;
    sizes->points = checked.points;
    sizes->value = checked.base.tensors[DCNV4I_MSDA_VALUE].bytes;
    sizes->locations = checked.base.tensors[DCNV4I_MSDA_LOCATIONS].bytes;
    sizes->weights = checked.base.tensors[DCNV4I_MSDA_WEIGHTS].bytes;
    sizes->references = checked.base.tensors[DCNV4I_MSDA_REFERENCES].bytes;
    sizes->level_shapes = checked.base.tensors[DCNV4I_MSDA_LEVEL_SHAPES].bytes;
    sizes->level_starts = checked.base.tensors[DCNV4I_MSDA_LEVEL_STARTS].bytes;
    sizes->output = checked.base.tensors[DCNV4I_MSDA_OUTPUT].bytes;
    sizes->grad_output = checked.base.tensors[DCNV4I_MSDA_GRAD_OUTPUT].bytes;
    sizes->grad_value = checked.base.tensors[DCNV4I_MSDA_GRAD_VALUE].bytes;
    sizes->grad_locations = checked.base.tensors[DCNV4I_MSDA_GRAD_LOCATIONS].bytes;
    sizes->grad_weights = checked.base.tensors[DCNV4I_MSDA_GRAD_WEIGHTS].bytes;
    sizes->grad_references = checked.base.tensors[DCNV4I_MSDA_GRAD_REFERENCES].bytes;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4_msda_plan_create(dcnv4_context *context, const dcnv4_msda_problem *problem, dcnv4_plan **plan) {
    REQUIRE(plan);
    *plan = NULL;
    REQUIRE(context);
    REQUIRE(problem);
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_plan_open(context, &dcnv4i_operator_ms_deform_attn, problem, plan));
    return status;
}

/* The caller's buffers of a plan that must be of this operator and have this pass. */
static dcnv4_status take_buffers(const char *function, const dcnv4_plan *plan, dcnv4_pass pass,
                                 const dcnv4_msda_buffers *given, dcnv4i_buffers *buffers) {
    dcnv4_msda_buffers b = DCNV4_MSDA_BUFFERS_INIT;
    if (plan->problem->op != &dcnv4i_operator_ms_deform_attn)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the plan is of the operator %s", function,
                           plan->problem->op->name);
    if (!dcnv4i_plan_has_pass(plan, pass))
        return plan->part >= 0
                   ? dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the plan is a tactic for part %d", function, plan->part)
                   : dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the plan was made with forward_only 1", function);
    const dcnv4_status status = dcnv4i_versioned_copy("dcnv4_msda_buffers", &b, sizeof b, sizeof b, given);
    *buffers = (dcnv4i_buffers){
        .tensors =
            {
                [DCNV4I_MSDA_VALUE] = b.value,
                [DCNV4I_MSDA_LOCATIONS] = b.locations,
                [DCNV4I_MSDA_WEIGHTS] = b.weights,
                [DCNV4I_MSDA_REFERENCES] = b.references,
                [DCNV4I_MSDA_LEVEL_SHAPES] = b.level_shapes,
                [DCNV4I_MSDA_LEVEL_STARTS] = b.level_starts,
                [DCNV4I_MSDA_OUTPUT] = b.output,
                [DCNV4I_MSDA_GRAD_OUTPUT] = b.grad_output,
                [DCNV4I_MSDA_GRAD_VALUE] = b.grad_value,
                [DCNV4I_MSDA_GRAD_LOCATIONS] = b.grad_locations,
                [DCNV4I_MSDA_GRAD_WEIGHTS] = b.grad_weights,
                [DCNV4I_MSDA_GRAD_REFERENCES] = b.grad_references,
            },
        .workspace = b.workspace,
    };
    return status;
}

static dcnv4_status run(const char *function, const dcnv4_plan *plan, dcnv4_pass pass, const dcnv4_msda_buffers *given,
                        void *stream) {
    dcnv4i_buffers buffers;
    const dcnv4_status status = take_buffers(function, plan, pass, given, &buffers);
    return status == DCNV4_SUCCESS ? dcnv4i_plan_run(plan, pass, &buffers, stream) : status;
}

dcnv4_status dcnv4_msda_forward(const dcnv4_plan *plan, const dcnv4_msda_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    return run(__func__, plan, DCNV4_PASS_FORWARD, buffers, stream);
}

dcnv4_status dcnv4_msda_backward(const dcnv4_plan *plan, const dcnv4_msda_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    return run(__func__, plan, DCNV4_PASS_BACKWARD, buffers, stream);
}

dcnv4_status dcnv4_msda_roofline_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                     const dcnv4_msda_buffers *buffers, void *stream) {
    REQUIRE(plan);
    REQUIRE(buffers);
    dcnv4i_buffers checked;
    const dcnv4_status status = take_buffers(__func__, plan, pass, buffers, &checked);
    return status == DCNV4_SUCCESS ? dcnv4i_plan_run_roofline(plan, pass, roofline, &checked, stream) : status;
}
