/* Multi-scale deformable attention on devices that compile. */
#include "../../../core/ms_deform_attn_problem.h"
#include "../program.h"

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4i_gpu_program **program) {
    (void)gpu, (void)program;
    return dcnv4i_fail(DCNV4_UNSUPPORTED, "%s has no kernels for this device yet", problem->op->name);
}

extern const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn;
const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .create = create,
};
