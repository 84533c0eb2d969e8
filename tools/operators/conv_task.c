#include "conv_task.h"

#include <inttypes.h>
#include <string.h>

#define FILE_OF(option_, field_) .option = option_, .path = offsetof(dcnv4i_settings, field_)

static const dcnv4i_tensor tensors[DCNV4I_CONV_TENSORS] = {
    [DCNV4I_CONV_VALUE] = {"value", FILE_OF("--value", value), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_CONV_OFFSET_MASK] = {"offset_mask", FILE_OF("--offset-mask", offset_mask), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_CONV_OUTPUT] = {"output", FILE_OF("--output", output), DCNV4I_OUTPUT, DCNV4I_NONE},
    [DCNV4I_CONV_GRAD_OUTPUT] = {"grad_output", FILE_OF("--grad-output", grad_output), DCNV4I_GRAD_INPUT, DCNV4I_NONE},
    [DCNV4I_CONV_GRAD_VALUE] = {"grad_value", FILE_OF("--grad-value", grad_value), DCNV4I_GRADIENT, DCNV4I_CONV_VALUE},
    [DCNV4I_CONV_GRAD_OFFSET_MASK] = {"grad_offset_mask", FILE_OF("--grad-offset-mask", grad_offset_mask),
                                      DCNV4I_GRADIENT, DCNV4I_CONV_OFFSET_MASK},
};

static const dcnv4i_part parts[] = {
    [DCNV4_PART_OUTPUT] = {"output", DCNV4_PASS_FORWARD, {DCNV4I_CONV_OUTPUT, DCNV4I_NONE}},
    [DCNV4_PART_GRAD_OFFSET_MASK] = {"grad_offset_mask",
                                     DCNV4_PASS_BACKWARD,
                                     {DCNV4I_CONV_GRAD_OFFSET_MASK, DCNV4I_NONE}},
    [DCNV4_PART_GRAD_VALUE] = {"grad_value", DCNV4_PASS_BACKWARD, {DCNV4I_CONV_GRAD_VALUE, DCNV4I_NONE}},
};

dcnv4_problem dcnv4i_conv_of(const dcnv4i_task *task) {
    dcnv4_problem problem = task->conv;
    problem.dtype = task->dtype;
    problem.forward_only = task->forward_only;
    problem.deterministic = task->deterministic;
    return problem;
}

/* ---- The library ---------------------------------------------------------------------------------------------------- */

static dcnv4_status lay_out(const dcnv4i_task *task, dcnv4i_layout *layouts) {
    const dcnv4_problem p = dcnv4i_conv_of(task);
    dcnv4_sizes s = DCNV4_SIZES_INIT;
    const dcnv4_status status = dcnv4_problem_sizes(&p, &s);
    if (status != DCNV4_SUCCESS)
        return status;
    const int32_t other = p.offset_mask_dtype == DCNV4_SAME_DTYPE ? p.dtype : p.offset_mask_dtype;
    const int64_t n = p.batch, h = p.height, w = p.width, oh = s.output_height, ow = s.output_width, c = s.channels;
    const int64_t inputs = n * h * w, outputs = n * oh * ow, row = s.offset_mask_row;
#define LAYOUT(rows_, row_, stride_, dtype_, bytes_, ...) \
    {4, {__VA_ARGS__}, rows_, row_, (stride_) ? (stride_) : (row_), dtype_, bytes_}
    const dcnv4i_layout made[DCNV4I_CONV_TENSORS] = {
        LAYOUT(inputs, c, p.value_stride, p.dtype, s.value, n, h, w, c),
        LAYOUT(outputs, row, p.offset_mask_stride, other, s.offset_mask, n, oh, ow, row),
        LAYOUT(outputs, c, p.output_stride, p.dtype, s.output, n, oh, ow, c),
        LAYOUT(outputs, c, p.grad_output_stride, p.dtype, s.grad_output, n, oh, ow, c),
        LAYOUT(inputs, c, p.grad_value_stride, p.dtype, s.grad_value, n, h, w, c),
        LAYOUT(outputs, row, p.grad_offset_mask_stride, other, s.grad_offset_mask, n, oh, ow, row),
    };
#undef LAYOUT
    memcpy(layouts, made, sizeof made);
    return DCNV4_SUCCESS;
}

static dcnv4_status plan(dcnv4_context *context, const dcnv4i_task *task, dcnv4_plan **made) {
    const dcnv4_problem problem = dcnv4i_conv_of(task);
    return dcnv4_plan_create(context, &problem, made);
}

static dcnv4_buffers buffers_of(const dcnv4_buffer *t, dcnv4_buffer workspace) {
    return (dcnv4_buffers){sizeof(dcnv4_buffers), t[0], t[1], t[2], t[3], t[4], t[5], workspace};
}

static dcnv4_status run(const dcnv4_plan *planned, dcnv4_pass pass, const dcnv4_buffer *t, dcnv4_buffer workspace) {
    const dcnv4_buffers buffers = buffers_of(t, workspace);
    return (pass == DCNV4_PASS_FORWARD ? dcnv4_forward : dcnv4_backward)(planned, &buffers, NULL);
}

static dcnv4_status roofline(const dcnv4_plan *planned, dcnv4_pass pass, dcnv4_roofline which, const dcnv4_buffer *t,
                             dcnv4_buffer workspace) {
    const dcnv4_buffers buffers = buffers_of(t, workspace);
    return dcnv4_roofline_run(planned, pass, which, &buffers, NULL);
}

static void widen(dcnv4i_task *task) {
    dcnv4_problem *const p = &task->conv;
    task->dtype = p->offset_mask_dtype = DCNV4_FLOAT64;
    p->value_stride = p->offset_mask_stride = p->output_stride = 0;
    p->grad_output_stride = p->grad_value_stride = p->grad_offset_mask_stride = 0;
}

static bool same_layer(const dcnv4i_task *one, const dcnv4i_task *other) {
    dcnv4_problem a = dcnv4i_conv_of(one), b = dcnv4i_conv_of(other);
    a.batch = b.batch, a.height = b.height, a.width = b.width;
    return memcmp(&a, &b, sizeof a) == 0;
}

/* The table of options needs what a layer needs. */
static const char *layer_lacks(const dcnv4i_settings *settings) {
    (void)settings;
    return NULL;
}

/* ---- Reports -------------------------------------------------------------------------------------------------------- */

static void words(const dcnv4i_task *task, char *text, size_t size) {
    const dcnv4_problem *p = &task->conv;
    snprintf(text, size, "%" PRId64 "×%" PRId64 "×%" PRId64 " · %" PRId64 "×%" PRId64, p->batch, p->height, p->width,
             p->groups, p->group_channels);
}

static void about(const dcnv4i_task *task, char *text, size_t size) {
    const dcnv4_problem *p = &task->conv;
    snprintf(text, size, "%" PRId64 "x%" PRId64 "x%" PRId64, p->batch, p->height, p->width);
}

static void json(FILE *file, const dcnv4i_task *task) {
    const dcnv4_problem *p = &task->conv;
    fprintf(file,
            ", \"size\": [%" PRId64 ", %" PRId64 ", %" PRId64 "], \"groups\": %" PRId64 ", \"group_channels\": %" PRId64
            ", \"kernel\": [%" PRId64 ", %" PRId64 "]",
            p->batch, p->height, p->width, p->groups, p->group_channels, p->kernel_h, p->kernel_w);
}

static void csv(FILE *file, const dcnv4i_task *task) {
    const dcnv4_problem *p = &task->conv;
    fprintf(file, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, p->batch,
            p->height, p->width, p->groups, p->group_channels, p->kernel_h, p->kernel_w);
}

const dcnv4i_task_operator dcnv4i_task_deform_conv = {
    .number = DCNV4I_DEFORM_CONV,
    .tensor_count = DCNV4I_CONV_TENSORS,
    .tensors = tensors,
    .part_count = sizeof parts / sizeof *parts,
    .parts = parts,
    .lay_out = lay_out,
    .plan = plan,
    .run = run,
    .roofline = roofline,
    .describe = dcnv4i_conv_describe,
    .fit = dcnv4i_conv_fit,
    .check_needs = "--value, --offset-mask and --groups",
    .check_lacks = dcnv4i_conv_check_lacks,
    .layer_needs = "--groups and --group-channels",
    .layer_lacks = layer_lacks,
    .draw = dcnv4i_conv_draw,
    .draw_dtypes = dcnv4i_conv_draw_dtypes,
    .draw_row = dcnv4i_conv_draw_row,
    .widen = widen,
    .bound = dcnv4i_conv_bound,
    .preset = dcnv4i_conv_preset,
    .standard_preset = "small",
    .sized = dcnv4i_conv_sized,
    .idle = dcnv4i_conv_idle,
    .fill = dcnv4i_conv_fill,
    .count_parts = dcnv4i_conv_count_parts,
    .cut = dcnv4i_conv_cut,
    .first_of = dcnv4i_conv_first_of,
    .gathered = dcnv4i_conv_gathered,
    .same_layer = same_layer,
    .scan = &dcnv4i_conv_scan,
    .legend = "problems are N×H×W · groups×channels of each",
    .words_width = 24,
    .words = words,
    .about = about,
    .json = json,
    .csv_head = "batch,height,width,groups,group_channels,kernel_h,kernel_w",
    .csv = csv,
};
