#include "layer.h"

#include "npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An input that is open. */
typedef struct source {
    const char *path;
    FILE *file;
    dcnv4i_npy npy;
} source;

enum { VALUE, OFFSET_MASK, GRAD_OUTPUT, SOURCES };

dcnv4_problem dcnv4i_layer_problem(const dcnv4i_settings *settings) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.offset_mask_dtype = (int32_t)settings->offset_mask_dtype;
    problem.remove_center = settings->remove_center;
    problem.softmax = settings->softmax;
    problem.offset_scale = settings->offset_scale;
    problem.groups = settings->groups;
    problem.kernel_h = settings->kernel[0], problem.kernel_w = settings->kernel[1];
    problem.stride_h = settings->stride[0], problem.stride_w = settings->stride[1];
    problem.pad_h = settings->pad[0], problem.pad_w = settings->pad[1];
    problem.dilation_h = settings->dilation[0], problem.dilation_w = settings->dilation[1];
    return problem;
}

int32_t dcnv4i_offset_mask_dtype(const dcnv4_problem *problem) {
    return problem->offset_mask_dtype == DCNV4_SAME_DTYPE ? problem->dtype : problem->offset_mask_dtype;
}

/* ---- Do the files fit? --------------------------------------------------------------------------------------------- */

static dcnv4i_exit check_rank(const source *from, const char *axes) {
    char shape[256];
    if (from->npy.rank == 4)
        return DCNV4I_DONE;
    dcnv4i_npy_shape(from->npy.rank, from->npy.shape, shape, sizeof shape);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s, with %d dimensions; 4 are needed: %s", from->path, shape,
                          from->npy.rank, axes);
}

static dcnv4i_exit check_value(const source *value, dcnv4i_layer *layer) {
    dcnv4_problem *p = &layer->problem;
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
    const dcnv4_status status = dcnv4_problem_sizes(p, &layer->sizes);
    return dcnv4i_verdict_library(status, value->path);
}

/* Checks that a tensor is [N, Ho, Wo, last]; with `more` the last dimension may be larger. */
static dcnv4i_exit check_pixels(const source *from, const dcnv4i_layer *layer, int64_t last, bool more) {
    dcnv4i_exit verdict = check_rank(from, more ? "[N, Ho, Wo, P]" : "[N, Ho, Wo, C]");
    if (verdict != DCNV4I_DONE)
        return verdict;
    const int64_t *shape = from->npy.shape;
    if (shape[0] == layer->problem.batch && shape[1] == layer->sizes.output_height &&
        shape[2] == layer->sizes.output_width && (more ? shape[3] >= last : shape[3] == last))
        return DCNV4I_DONE;
    char has[256];
    dcnv4i_npy_shape(4, shape, has, sizeof has);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; [%" PRId64 ", %" PRId64 ", %" PRId64 ", %s%" PRId64 "] is needed",
                          from->path, has, layer->problem.batch, layer->sizes.output_height, layer->sizes.output_width,
                          more ? "≥" : "", last);
}

static dcnv4i_exit check_offset_mask(const source *offset_mask, dcnv4i_layer *layer) {
    const int64_t needed = 3 * layer->problem.groups * layer->sizes.points;
    const dcnv4i_exit verdict = check_pixels(offset_mask, layer, needed, true);
    if (verdict != DCNV4I_DONE)
        return verdict;
    layer->problem.offset_mask_row = offset_mask->npy.shape[3];
    return dcnv4i_verdict_library(dcnv4_problem_sizes(&layer->problem, &layer->sizes), offset_mask->path);
}

/* Whether the files' dtypes can be used together as they are: all alike, or offset_mask float32 beside 16 bits. */
static bool belong_together(const source *sources, int i) {
    const int32_t dtype = sources[VALUE].npy.dtype, other = sources[i].npy.dtype;
    return other == dtype || (i == OFFSET_MASK && other == DCNV4_FLOAT32 && dtype == DCNV4_FLOAT16);
}

static dcnv4i_exit choose_dtype(const dcnv4i_settings *settings, const source *sources, dcnv4i_layer *layer) {
    layer->problem.dtype = (int32_t)settings->dtype;
    if (settings->dtype != DCNV4I_NO_DTYPE)
        return DCNV4I_DONE;
    layer->problem.dtype = sources[VALUE].npy.dtype;
    for (int i = OFFSET_MASK; i < SOURCES; ++i)
        if (sources[i].file && !belong_together(sources, i))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s and %s is %s; --dtype says what to convert them to",
                                  sources[VALUE].path, dcnv4i_dtype_name(layer->problem.dtype), sources[i].path,
                                  dcnv4i_dtype_name(sources[i].npy.dtype));
    if (sources[OFFSET_MASK].npy.dtype != layer->problem.dtype)
        layer->problem.offset_mask_dtype = sources[OFFSET_MASK].npy.dtype;
    return DCNV4I_DONE;
}

static dcnv4i_exit check_sources(const dcnv4i_settings *settings, const source *sources, dcnv4i_layer *layer) {
    dcnv4i_exit verdict = choose_dtype(settings, sources, layer);
    if (verdict == DCNV4I_DONE)
        verdict = check_value(&sources[VALUE], layer);
    if (verdict == DCNV4I_DONE)
        verdict = check_offset_mask(&sources[OFFSET_MASK], layer);
    if (verdict == DCNV4I_DONE && sources[GRAD_OUTPUT].file)
        verdict = check_pixels(&sources[GRAD_OUTPUT], layer, layer->sizes.channels, false);
    return verdict;
}

/* ---- Data ---------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit load(const source *from, int32_t dtype, void **data) {
    const size_t bytes = from->npy.elements * dcnv4i_dtype_bytes(dtype);
    if (bytes == 0)
        return DCNV4I_DONE;
    if (from->npy.elements > PTRDIFF_MAX / sizeof(double))
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu elements", from->path, from->npy.elements);
    void *raw = malloc(from->npy.bytes);
    if (!raw)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", from->path, from->npy.bytes);
    dcnv4i_exit verdict = dcnv4i_npy_read(from->path, from->file, &from->npy, raw);
    if (verdict == DCNV4I_DONE && dtype == from->npy.dtype) {
        *data = raw;
        return DCNV4I_DONE;
    }
    void *converted = NULL;
    if (verdict == DCNV4I_DONE && !(converted = malloc(bytes)))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", from->path, bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict_library(dcnv4_convert(from->npy.dtype, raw, dtype, converted, from->npy.elements),
                                         from->path);
    free(raw);
    if (verdict == DCNV4I_DONE)
        *data = converted;
    else
        free(converted);
    return verdict;
}

dcnv4i_exit dcnv4i_layer_open(const dcnv4i_settings *settings, dcnv4i_layer *layer) {
    *layer = (dcnv4i_layer){.problem = dcnv4i_layer_problem(settings), .sizes = DCNV4_SIZES_INIT};
    source sources[SOURCES] = {
        {.path = settings->value}, {.path = settings->offset_mask}, {.path = settings->grad_output}};
    void **const data[SOURCES] = {&layer->value, &layer->offset_mask, &layer->grad_output};
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < SOURCES && verdict == DCNV4I_DONE; ++i)
        if (sources[i].path)
            verdict = dcnv4i_npy_open(sources[i].path, &sources[i].npy, &sources[i].file);
    if (verdict == DCNV4I_DONE)
        verdict = check_sources(settings, sources, layer);
    for (int i = 0; i < SOURCES && verdict == DCNV4I_DONE; ++i)
        if (sources[i].file)
            verdict = load(&sources[i],
                           i == OFFSET_MASK ? dcnv4i_offset_mask_dtype(&layer->problem) : layer->problem.dtype,
                           data[i]);
    for (int i = 0; i < SOURCES; ++i)
        if (sources[i].file)
            fclose(sources[i].file);
    if (verdict != DCNV4I_DONE)
        dcnv4i_layer_free(layer);
    return verdict;
}

void dcnv4i_layer_free(dcnv4i_layer *layer) {
    free(layer->value);
    free(layer->offset_mask);
    free(layer->grad_output);
    *layer = (dcnv4i_layer){.problem = DCNV4_PROBLEM_INIT, .sizes = DCNV4_SIZES_INIT};
}
