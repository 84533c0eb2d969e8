#include "deform_conv_problem.h"
#include "checked_math.h"
#include "problem_checks.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

static dcnv4_status check_ranges(const dcnv4_problem *p) {
    const dcnv4i_range fields[] = {
        {"batch", p->batch, 0},
        {"height", p->height, 0},
        {"width", p->width, 0},
        {"groups", p->groups, 1},
        {"group_channels", p->group_channels, 1},
        {"kernel_h", p->kernel_h, 1},
        {"kernel_w", p->kernel_w, 1},
        {"stride_h", p->stride_h, 1},
        {"stride_w", p->stride_w, 1},
        {"pad_h", p->pad_h, 0},
        {"pad_w", p->pad_w, 0},
        {"dilation_h", p->dilation_h, 1},
        {"dilation_w", p->dilation_w, 1},
        {"offset_mask_row", p->offset_mask_row, 0},
        {"value_stride", p->value_stride, 0},
        {"offset_mask_stride", p->offset_mask_stride, 0},
        {"output_stride", p->output_stride, 0},
        {"grad_output_stride", p->grad_output_stride, 0},
        {"grad_value_stride", p->grad_value_stride, 0},
        {"grad_offset_mask_stride", p->grad_offset_mask_stride, 0},
    };
    const dcnv4i_flag flags[] = {
        {"remove_center", p->remove_center},
        {"softmax", p->softmax},
        {"deterministic", p->deterministic},
        {"forward_only", p->forward_only},
    };
    dcnv4_status status = dcnv4i_check_ranges(fields, sizeof fields / sizeof *fields);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_check_flags(flags, sizeof flags / sizeof *flags);
    if (status != DCNV4_SUCCESS)
        return status;
    if (p->reserved != 0 || p->reserved_2 != 0)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s is %" PRId32 ", it must be 0",
                           p->reserved != 0 ? "reserved" : "reserved_2",
                           p->reserved != 0 ? p->reserved : p->reserved_2);
    return dcnv4i_check_dtype(p->dtype);
}

/* Computes the output size along one axis. For messages, `lines` is "rows" or "columns", `axis` is "h" or "w". */
static dcnv4_status check_axis(const char *lines, const char *axis, int64_t input, int64_t pad, int64_t kernel,
                               int64_t dilation, int64_t stride, int64_t *output) {
    int64_t span, padded;
    if (!dcnv4i_multiply64(dilation, kernel - 1, &span) || !dcnv4i_add64(span, 1, &span))
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                           "kernel_%s %" PRId64 " with dilation_%s %" PRId64 " spans too many %s", axis, kernel, axis,
                           dilation, lines);
    if (!dcnv4i_multiply64(pad, 2, &padded) || !dcnv4i_add64(padded, input, &padded))
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "pad_%s is %" PRId64 ", which with %" PRId64 " %s of input overflows",
                           axis, pad, input, lines);
    if (span <= padded)
        *output = (padded - span) / stride + 1;
    else if (input == 0)
        *output = 0;
    else
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "the kernel spans %" PRId64 " %s, the padded input has %" PRId64,
                           span, lines, padded);
    return DCNV4_SUCCESS;
}

/* Fills in tensor id of batch·height·width pixels with `row` elements each; a *stride of 0, dense, is replaced by
 * `row`. */
static dcnv4_status check_tensor(dcnv4i_deform_conv *problem, dcnv4i_deform_conv_tensor id, int64_t height,
                                 int64_t width, int64_t row, int64_t *stride) {
    const char *name = dcnv4i_operator_deform_conv.tensor_names[id];
    dcnv4i_tensor *tensor = &problem->base.tensors[id];
    if (*stride == 0)
        *stride = row;
    if (*stride < row)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s_stride is %" PRId64 ", a pixel's row has %" PRId64 " elements",
                           name, *stride, row);
    const bool positions = id == DCNV4I_OFFSET_MASK || id == DCNV4I_GRAD_OFFSET_MASK;
    tensor->item = positions ? dcnv4i_dtype_size(problem->params.offset_mask_dtype) : problem->item;
    tensor->row = row;
    tensor->stride = *stride;
    int64_t image;
    if (!dcnv4i_multiply64(height, width, &image))
        return dcnv4i_too_large("an image", height, width);
    return dcnv4i_check_products(name, image, problem->params.batch, tensor);
}

static dcnv4_status check_rows(dcnv4i_deform_conv *problem) {
    dcnv4_problem *p = &problem->params;
    int64_t needed;
    if (!dcnv4i_multiply64(p->groups, p->group_channels, &problem->channels))
        return dcnv4i_too_large("groups·group_channels", p->groups, p->group_channels);
    if (!dcnv4i_multiply64(p->kernel_h, p->kernel_w, &problem->points))
        return dcnv4i_too_large("the kernel", p->kernel_h, p->kernel_w);
    problem->points -= p->remove_center;
    if (!dcnv4i_multiply64(problem->points, 3, &needed) || !dcnv4i_multiply64(needed, p->groups, &needed) ||
        needed > INT64_MAX - 7)
        return dcnv4i_too_large("3·groups·K", p->groups, problem->points);
    if (p->offset_mask_row == 0)
        p->offset_mask_row = (needed + 7) / 8 * 8;
    if (p->offset_mask_row < needed)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                           "offset_mask row has %" PRId64 " elements, 3·groups·K = %" PRId64 " are needed",
                           p->offset_mask_row, needed);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_deform_conv_check(const dcnv4_problem *params, dcnv4i_deform_conv *problem) {
    *problem = (dcnv4i_deform_conv){.base = {.op = &dcnv4i_operator_deform_conv}, .params = DCNV4_PROBLEM_INIT};
    dcnv4_problem *p = &problem->params;
    dcnv4_status status = dcnv4i_versioned_copy("dcnv4_problem", p, sizeof *p,
                                                offsetof(dcnv4_problem, offset_mask_dtype), params);
    if (status == DCNV4_SUCCESS)
        status = check_ranges(p);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_check_other_dtype("offset_mask_dtype", p->dtype, &p->offset_mask_dtype);
    if (status != DCNV4_SUCCESS)
        return status;
    problem->base.forward_only = p->forward_only;
    problem->item = dcnv4i_dtype_size(p->dtype);
    int64_t *const out_h = &problem->output_height, *const out_w = &problem->output_width;
    const struct {
        dcnv4i_deform_conv_tensor id;
        int64_t *stride;
    } tensors[] = {
        {DCNV4I_VALUE, &p->value_stride},           {DCNV4I_OFFSET_MASK, &p->offset_mask_stride},
        {DCNV4I_OUTPUT, &p->output_stride},         {DCNV4I_GRAD_OUTPUT, &p->grad_output_stride},
        {DCNV4I_GRAD_VALUE, &p->grad_value_stride}, {DCNV4I_GRAD_OFFSET_MASK, &p->grad_offset_mask_stride},
    };
    status = check_rows(problem);
    if (status == DCNV4_SUCCESS)
        status = check_axis("rows", "h", p->height, p->pad_h, p->kernel_h, p->dilation_h, p->stride_h, out_h);
    if (status == DCNV4_SUCCESS)
        status = check_axis("columns", "w", p->width, p->pad_w, p->kernel_w, p->dilation_w, p->stride_w, out_w);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors && status == DCNV4_SUCCESS; ++i) {
        const dcnv4i_deform_conv_tensor id = tensors[i].id;
        const bool input_side = id == DCNV4I_VALUE || id == DCNV4I_GRAD_VALUE;
        const bool positions = id == DCNV4I_OFFSET_MASK || id == DCNV4I_GRAD_OFFSET_MASK;
        status = check_tensor(problem, id, input_side ? p->height : *out_h, input_side ? p->width : *out_w,
                              positions ? p->offset_mask_row : problem->channels, tensors[i].stride);
    }
    return status;
}

static dcnv4_status check(const void *params, dcnv4i_problem *problem) {
    return dcnv4i_deform_conv_check(params, (dcnv4i_deform_conv *)problem);
}

static void drop_empty_sizes(dcnv4i_problem *problem) {
    dcnv4i_deform_conv *const conv = (dcnv4i_deform_conv *)problem;
    const bool has_value = problem->tensors[DCNV4I_VALUE].pixels > 0;
    const bool has_output = problem->tensors[DCNV4I_OUTPUT].pixels > 0;
    if (!has_value)
        conv->params.height = conv->params.width = 0;
    if (!has_output)
        conv->output_height = conv->output_width = 0;
    if (!has_value && !has_output)
        conv->params.batch = 0;
}

#define BIT(id) (1u << DCNV4I_##id)

const dcnv4i_operator dcnv4i_operator_deform_conv = {
    .name = "deform_conv",
    .problem_size = sizeof(dcnv4i_deform_conv),
    .tensor_count = DCNV4I_DEFORM_CONV_TENSORS,
    .tensor_names =
        {
            [DCNV4I_VALUE] = "value",
            [DCNV4I_OFFSET_MASK] = "offset_mask",
            [DCNV4I_OUTPUT] = "output",
            [DCNV4I_GRAD_OUTPUT] = "grad_output",
            [DCNV4I_GRAD_VALUE] = "grad_value",
            [DCNV4I_GRAD_OFFSET_MASK] = "grad_offset_mask",
        },
    .reads = {BIT(VALUE) | BIT(OFFSET_MASK), BIT(VALUE) | BIT(OFFSET_MASK) | BIT(GRAD_OUTPUT)},
    .writes = {BIT(OUTPUT), BIT(GRAD_VALUE) | BIT(GRAD_OFFSET_MASK)},
    .part_count = 3,
    .part_pass =
        {
            [DCNV4_PART_OUTPUT] = DCNV4_PASS_FORWARD,
            [DCNV4_PART_GRAD_OFFSET_MASK] = DCNV4_PASS_BACKWARD,
            [DCNV4_PART_GRAD_VALUE] = DCNV4_PASS_BACKWARD,
        },
    .check = check,
    .drop_empty_sizes = drop_empty_sizes,
};
