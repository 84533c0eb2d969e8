/* DCNv4: value [N, H, W, C], offset_mask [N, Ho, Wo, P] → output [N, Ho, Wo, C]. */
#include "operators.h"

#define F32 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
#define F16 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
#define BF16 ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
#define F64 ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE

static const unsigned char signatures[][MOST_INPUTS] = {
    {F32, F32}, {F16, F16}, {F16, F32}, {BF16, BF16}, {BF16, F32}, {F64, F64},
};

/* Those of ONNX's DeformConv, of DCNv3's exporters and of the authors' function. */
static const char *const foreign[] = {
    "kernel_shape", "strides",    "pads",     "dilations", "offset_group", "groups", "deform_groups",
    "kernel_h",     "kernel_w",   "stride_h", "stride_w",  "pad_h",        "pad_w",  "pad",
    "dilation_h",   "dilation_w", NULL};

static OrtStatus *read(node_kernel *kernel, const OrtKernelInfo *info) {
    dcnv4_problem *const layer = &kernel->layer.conv;
    *layer = (dcnv4_problem)DCNV4_PROBLEM_INIT;
    layer->groups = 0;
    int64_t pairs[4][2] = {{3, 3}, {1, 1}, {1, 1}, {1, 1}};
    static const char *const names[4] = {"kernel_size", "stride", "padding", "dilation"};
    for (int k = 0; k < 4; ++k) {
        OrtStatus *const status = read_ints(kernel, info, names[k], pairs[k], 2, k == 2 ? 0 : 1);
        if (status)
            return status;
    }
    layer->kernel_h = pairs[0][0], layer->kernel_w = pairs[0][1];
    layer->stride_h = pairs[1][0], layer->stride_w = pairs[1][1];
    layer->pad_h = pairs[2][0], layer->pad_w = pairs[2][1];
    layer->dilation_h = pairs[3][0], layer->dilation_w = pairs[3][1];
    OrtStatus *status = read_ints(kernel, info, "group", &layer->groups, 1, 1);
    if (!status && layer->groups == 0)
        status = refuse(kernel->op->api, ORT_INVALID_ARGUMENT, "dcnv4: DCNv4 node '%s' lacks the attribute group",
                        kernel->node);
    if (!status)
        status = read_float(kernel, info, "offset_scale", &layer->offset_scale);
    if (!status)
        status = read_flag(kernel, info, "remove_center", &layer->remove_center);
    if (!status)
        status = read_flag(kernel, info, "softmax", &layer->softmax);
    return status;
}

static dcnv4_status shape_of(const node_kernel *kernel, plan_tensor *tensors, int64_t *shape, char *message) {
    return plan_conv_output(&kernel->layer.conv, tensors, shape, message);
}

static dcnv4_status find(const node_kernel *kernel, plan_tensor *tensors, plan_call *call) {
    return plan_conv_find(kernel->op->cache, &kernel->layer.conv, tensors, call);
}

static void infer(int64_t shapes[][MOST_RANK], const char *symbols[][MOST_RANK], const size_t *ranks, int64_t *shape,
                  const char **names) {
    for (int axis = 0; axis < 4; ++axis) {
        const int input = axis < 3; /* all but C as in offset_mask, whose sizes follow from value's */
        if (ranks[input] == 4)
            shape[axis] = shapes[input][axis], names[axis] = symbols[input][axis];
    }
}

const operator_kind deform_conv_kind = {
    .name = "DCNv4",
    .inputs = 2,
    .required = 2,
    .places = {PLAN_CONV_VALUE, PLAN_CONV_OFFSET_MASK},
    .output = PLAN_CONV_OUTPUT,
    .output_rank = 4,
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .foreign = foreign,
    .read = read,
    .shape = shape_of,
    .find = find,
    .infer = infer,
};
