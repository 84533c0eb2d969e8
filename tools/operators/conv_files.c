/* DCNv4's problems, from options and files. */
#include "conv_task.h"

#include <inttypes.h>

dcnv4i_exit dcnv4i_conv_describe(const dcnv4i_settings *settings, dcnv4i_task *task) {
    dcnv4_problem *const p = &task->conv;
    p->offset_mask_dtype = (int32_t)settings->offset_mask_dtype;
    p->remove_center = settings->remove_center;
    p->softmax = settings->softmax;
    p->offset_scale = settings->offset_scale;
    p->groups = settings->groups;
    p->group_channels = settings->group_channels;
    p->kernel_h = settings->kernel[0], p->kernel_w = settings->kernel[1];
    p->stride_h = settings->stride[0], p->stride_w = settings->stride[1];
    p->pad_h = settings->pad[0], p->pad_w = settings->pad[1];
    p->dilation_h = settings->dilation[0], p->dilation_w = settings->dilation[1];
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_conv_sized(const dcnv4i_settings *settings, dcnv4i_task *task, bool *described) {
    *described = settings->size[0] > 0;
    if (!*described && (settings->groups > 0 || settings->group_channels > 0))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s goes with --size, which is not given",
                              settings->groups > 0 ? "--groups" : "--group-channels");
    if (*described && (settings->groups == 0 || settings->group_channels == 0))
        return dcnv4i_verdict(DCNV4I_REFUSED, "--size needs --groups and --group-channels; %s is missing",
                              settings->groups == 0 ? "--groups" : "--group-channels");
    task->conv.batch = settings->size[0];
    task->conv.height = settings->size[1], task->conv.width = settings->size[2];
    return DCNV4I_DONE;
}

const char *dcnv4i_conv_check_lacks(const dcnv4i_settings *settings) {
    return !settings->value         ? "--value"
           : !settings->offset_mask ? "--offset-mask"
           : settings->groups == 0  ? "--groups"
                                    : NULL;
}

/* ---- Do the files fit? --------------------------------------------------------------------------------------------- */

static dcnv4i_exit check_rank(const dcnv4i_source *from, const char *axes) {
    char shape[256];
    if (from->npy.rank == 4)
        return DCNV4I_DONE;
    dcnv4i_npy_shape(from->npy.rank, from->npy.shape, shape, sizeof shape);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s, with %d dimensions; 4 are needed: %s", from->path, shape,
                          from->npy.rank, axes);
}

static dcnv4i_exit check_value(const dcnv4i_source *value, dcnv4_problem *p, dcnv4_sizes *sizes) {
    dcnv4i_exit verdict = check_rank(value, "[N, H, W, C]");
    if (verdict != DCNV4I_DONE)
        return verdict;
    p->batch = value->npy.shape[0], p->height = value->npy.shape[1], p->width = value->npy.shape[2];
    const int64_t channels = value->npy.shape[3];
    if (channels < 1 || channels % p->groups != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "%s has %" PRId64 " channels; a multiple of --groups %" PRId64 " is needed", value->path,
                              channels, p->groups);
    p->group_channels = channels / p->groups;
    const dcnv4_status status = dcnv4_problem_sizes(p, sizes);
    return dcnv4i_verdict_library(status, value->path);
}

/* Checks that a tensor is [N, Ho, Wo, last]; with `more` the last dimension may be larger. */
static dcnv4i_exit check_pixels(const dcnv4i_source *from, const dcnv4_problem *p, const dcnv4_sizes *sizes,
                                int64_t last, bool more) {
    dcnv4i_exit verdict = check_rank(from, more ? "[N, Ho, Wo, P]" : "[N, Ho, Wo, C]");
    if (verdict != DCNV4I_DONE)
        return verdict;
    const int64_t *shape = from->npy.shape;
    if (shape[0] == p->batch && shape[1] == sizes->output_height && shape[2] == sizes->output_width &&
        (more ? shape[3] >= last : shape[3] == last))
        return DCNV4I_DONE;
    char has[256];
    dcnv4i_npy_shape(4, shape, has, sizeof has);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; [%" PRId64 ", %" PRId64 ", %" PRId64 ", %s%" PRId64 "] is needed",
                          from->path, has, p->batch, sizes->output_height, sizes->output_width, more ? "≥" : "", last);
}

static dcnv4i_exit check_offset_mask(const dcnv4i_source *offset_mask, dcnv4_problem *p, dcnv4_sizes *sizes) {
    const int64_t needed = 3 * p->groups * sizes->points;
    const dcnv4i_exit verdict = check_pixels(offset_mask, p, sizes, needed, true);
    if (verdict != DCNV4I_DONE)
        return verdict;
    p->offset_mask_row = offset_mask->npy.shape[3];
    return dcnv4i_verdict_library(dcnv4_problem_sizes(p, sizes), offset_mask->path);
}

/* Whether the files' dtypes can be used together as they are: all alike, or offset_mask float32 beside 16 bits. */
static bool belong_together(const dcnv4i_source *sources, int i) {
    const int32_t dtype = sources[DCNV4I_CONV_VALUE].npy.dtype, other = sources[i].npy.dtype;
    return other == dtype || (i == DCNV4I_CONV_OFFSET_MASK && other == DCNV4_FLOAT32 && dtype == DCNV4_FLOAT16);
}

static dcnv4i_exit choose_dtype(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task) {
    const dcnv4i_source *const value = &sources[DCNV4I_CONV_VALUE], *const other = &sources[DCNV4I_CONV_OFFSET_MASK];
    task->dtype = (int32_t)settings->dtype;
    if (settings->dtype != DCNV4I_NO_DTYPE)
        return DCNV4I_DONE;
    task->dtype = value->npy.dtype;
    for (int i = DCNV4I_CONV_OFFSET_MASK; i < DCNV4I_CONV_TENSORS; ++i)
        if (sources[i].file && !belong_together(sources, i))
            return dcnv4i_source_dtypes(value, &sources[i]);
    if (other->npy.dtype != task->dtype)
        task->conv.offset_mask_dtype = other->npy.dtype;
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_conv_fit(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task) {
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4i_exit verdict = choose_dtype(settings, sources, task);
    dcnv4_problem *const p = &task->conv;
    p->dtype = task->dtype;
    if (verdict == DCNV4I_DONE)
        verdict = check_value(&sources[DCNV4I_CONV_VALUE], p, &sizes);
    if (verdict == DCNV4I_DONE)
        verdict = check_offset_mask(&sources[DCNV4I_CONV_OFFSET_MASK], p, &sizes);
    if (verdict == DCNV4I_DONE && sources[DCNV4I_CONV_GRAD_OUTPUT].file)
        verdict = check_pixels(&sources[DCNV4I_CONV_GRAD_OUTPUT], p, &sizes, sizes.channels, false);
    return verdict;
}
