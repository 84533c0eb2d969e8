/* Problems of multi-scale deformable attention, from options and files. */
#include "attn_task.h"

#include <inttypes.h>

dcnv4i_exit dcnv4i_attn_describe(const dcnv4i_settings *settings, dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    p->location_unit = (int32_t)settings->location_unit;
    p->location_dtype = (int32_t)settings->location_dtype;
    p->weight_dtype = (int32_t)settings->weight_dtype;
    p->reference_dtype = (int32_t)settings->reference_dtype;
    p->softmax = settings->softmax;
    p->packed = settings->packed;
    p->levels_in_buffers = settings->levels_in_buffers;
    p->box_scale = settings->box_scale;
    p->reference_levels = settings->reference_levels;
    if (p->packed) /* one tensor */
        p->weight_dtype = p->location_dtype;
    if (settings->heads > 0)
        p->heads = settings->heads;
    p->head_channels = settings->head_channels;
    return dcnv4i_attn_levels(settings, task);
}

const char *dcnv4i_attn_check_lacks(const dcnv4i_settings *settings) {
    return !settings->value                                           ? "--value"
           : !settings->locations                                     ? "--locations"
           : !settings->weights && !settings->packed                  ? "--weights"
           : settings->levels.count == 0 && !settings->spatial_shapes ? "--levels"
                                                                      : NULL;
}

const char *dcnv4i_attn_layer_lacks(const dcnv4i_settings *settings) {
    return settings->heads == 0           ? "--heads"
           : settings->head_channels == 0 ? "--head-channels"
           : settings->points.count == 0  ? "--points"
                                          : NULL;
}

/* ---- Which files and options go together ---------------------------------------------------------------------------- */

static dcnv4i_exit need(bool needed, const char *path, const char *option, const char *with, const char *without) {
    if (needed && !path)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is missing; it is needed %s", option, with);
    if (!needed && path)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s %s is not used %s", option, path, without);
    return DCNV4I_DONE;
}

static dcnv4i_exit check_options(const dcnv4i_settings *s, const dcnv4i_task *task) {
    const bool apart = !task->attn.packed, refers = dcnv4i_attn_reference_numbers(task) > 0;
    const bool backward = s->command == DCNV4I_BACKWARD;
    static const char with_references[] = "with --unit offsets and box_offsets",
                      without_references[] = "without --unit offsets or box_offsets";
    dcnv4i_exit verdict = need(apart, s->weights, "--weights", "without --packed", "with --packed");
    if (verdict == DCNV4I_DONE)
        verdict = need(refers, s->references, "--references", with_references, without_references);
    if (verdict == DCNV4I_DONE && backward)
        verdict = need(apart, s->grad_weights, "--grad-weights", "without --packed", "with --packed");
    if (verdict == DCNV4I_DONE && backward)
        verdict = need(refers, s->grad_references, "--grad-references", with_references, without_references);
    if (verdict == DCNV4I_DONE && task->attn.level_count == 0)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--levels HxW,… or --spatial-shapes SS.npy is missing: the height and "
                                                 "width of each level");
    return verdict;
}

/* ---- dtypes --------------------------------------------------------------------------------------------------------- */

/* Value's dtype is everyone's; locations, weights and references may be float32 beside 16 bits. */
static dcnv4i_exit choose_dtypes(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    const dcnv4i_source *const value = &sources[DCNV4I_ATTN_VALUE];
    int32_t *const others[DCNV4I_ATTN_TENSORS] = {[DCNV4I_ATTN_LOCATIONS] = &p->location_dtype,
                                                  [DCNV4I_ATTN_WEIGHTS] = &p->weight_dtype,
                                                  [DCNV4I_ATTN_REFERENCES] = &p->reference_dtype};
    task->dtype = (int32_t)settings->dtype;
    if (settings->dtype != DCNV4I_NO_DTYPE)
        return DCNV4I_DONE;
    task->dtype = value->npy.dtype;
    for (int i = 0; i < DCNV4I_ATTN_TENSORS; ++i) {
        const int32_t dtype = sources[i].npy.dtype;
        if (!sources[i].file)
            continue;
        if (dtype != task->dtype && !(others[i] && dtype == DCNV4_FLOAT32 && task->dtype == DCNV4_FLOAT16))
            return dcnv4i_source_dtypes(value, &sources[i]);
        if (others[i] && *others[i] == DCNV4_SAME_DTYPE)
            *others[i] = dtype;
    }
    if (p->packed)
        p->weight_dtype = p->location_dtype;
    if (p->location_dtype == DCNV4_FLOAT32) /* references are no narrower than what they move */
        p->reference_dtype = DCNV4_FLOAT32;
    return DCNV4I_DONE;
}

/* ---- Shapes --------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit refuse_shape(const dcnv4i_source *from, const char *needed) {
    char has[256];
    dcnv4i_npy_shape(from->npy.rank, from->npy.shape, has, sizeof has);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; %s is needed", from->path, has, needed);
}

static dcnv4i_exit fit_value(const dcnv4i_settings *settings, const dcnv4i_source *value, dcnv4_msda_problem *p) {
    const int64_t *const shape = value->npy.shape, heads = settings->heads;
    if (value->npy.rank == 3 && heads == 0)
        return refuse_shape(value, "[N, S, M, D], or [N, S, M·D] with --heads M,");
    if (value->npy.rank != 3 && value->npy.rank != 4)
        return refuse_shape(value, "[N, S, M, D]");
    p->batch = shape[0], p->value_length = shape[1];
    if (value->npy.rank == 4) {
        p->heads = shape[2], p->head_channels = shape[3];
        return heads == 0 || heads == p->heads
                   ? DCNV4I_DONE
                   : dcnv4i_verdict(DCNV4I_REFUSED, "%s has %" PRId64 " heads; --heads is %" PRId64, value->path,
                                    p->heads, heads);
    }
    p->heads = heads, p->head_channels = shape[2] / heads;
    return shape[2] % heads == 0
               ? DCNV4I_DONE
               : dcnv4i_verdict(DCNV4I_REFUSED,
                                "%s has %" PRId64 " channels; a multiple of --heads %" PRId64 " is needed", value->path,
                                shape[2], heads);
}

/* Sets the points of each level, which a file has `count` of, unless the options did; which must then agree. */
static dcnv4i_exit fit_points(const dcnv4i_settings *settings, const dcnv4i_source *from, int64_t count,
                              dcnv4i_task *task) {
    const int64_t levels = task->attn.level_count;
    if (settings->points.count == 0 && count % levels != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "%s has %" PRId64 " points for %" PRId64 " levels; --points says how many each has",
                              from->path, count, levels);
    for (int l = 0; settings->points.count == 0 && l < levels; ++l)
        task->levels[l].points = count / levels;
    double sum = 0; /* the points of the options may not fit 64 bits */
    for (int l = 0; l < levels; ++l)
        sum += (double)task->levels[l].points;
    return sum == (double)count
               ? DCNV4I_DONE
               : dcnv4i_verdict(DCNV4I_REFUSED,
                                "%s has %" PRId64 " points of a head; --points of %" PRId64 " levels are %.0f",
                                from->path, count, levels, sum);
}

/* Whether all levels have as many points, so that P is L·K. */
static bool is_even(const dcnv4i_task *task) {
    for (int l = 1; l < task->attn.level_count; ++l)
        if (task->levels[l].points != task->levels[0].points)
            return false;
    return true;
}

static dcnv4i_exit fit_locations(const dcnv4i_settings *settings, const dcnv4i_source *from, dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    const int64_t *const shape = from->npy.shape;
    const int rank = from->npy.rank;
    if (p->packed && (rank != 4 || shape[3] % 3 != 0))
        return refuse_shape(from, "[N, Q, M, 3·P]");
    if (!p->packed && ((rank != 5 && rank != 6) || shape[rank - 1] != 2))
        return refuse_shape(from, "[N, Q, M, P, 2] or [N, Q, M, L, K, 2]");
    const int64_t count = p->packed ? shape[3] / 3 : rank == 5 ? shape[3] : shape[3] * shape[4];
    p->queries = shape[1];
    dcnv4i_exit verdict = fit_points(settings, from, count, task);
    if (verdict == DCNV4I_DONE && rank == 6 && !p->packed && !is_even(task))
        verdict = refuse_shape(from, "[N, Q, M, P, 2] with --points that differ by level,");
    if (verdict != DCNV4I_DONE)
        return verdict;
    const int64_t levels = p->level_count, each = count / levels;
    const int64_t packed[] = {p->batch, p->queries, p->heads, 3 * count},
                  flat[] = {p->batch, p->queries, p->heads, count, 2},
                  deep[] = {p->batch, p->queries, p->heads, levels, each, 2};
    return dcnv4i_source_shape(from, rank, p->packed ? packed : rank == 5 ? flat : deep);
}

/* A tensor of [N, Q, …] in one of two shapes, the second of which has one dimension more, or is NULL. */
static dcnv4i_exit fit_either(const dcnv4i_source *from, int rank, const int64_t *shape, const int64_t *longer) {
    const bool is_longer = longer && from->npy.rank == rank + 1;
    return dcnv4i_source_shape(from, is_longer ? rank + 1 : rank, is_longer ? longer : shape);
}

static dcnv4i_exit fit_references(const dcnv4i_source *from, const dcnv4i_task *task, int64_t *reference_levels) {
    const dcnv4_msda_problem *const p = &task->attn;
    const int64_t numbers = dcnv4i_attn_reference_numbers(task);
    *reference_levels = from->npy.rank == 4 ? from->npy.shape[2] : 1;
    const int64_t one[] = {p->batch, p->queries, numbers};
    const int64_t each[] = {p->batch, p->queries, *reference_levels == 1 ? 1 : p->level_count, numbers};
    return fit_either(from, 3, one, each);
}

dcnv4i_exit dcnv4i_attn_fit(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    dcnv4i_exit verdict = check_options(settings, task);
    if (verdict == DCNV4I_DONE)
        verdict = choose_dtypes(settings, sources, task);
    if (verdict == DCNV4I_DONE)
        verdict = fit_value(settings, &sources[DCNV4I_ATTN_VALUE], p);
    if (verdict == DCNV4I_DONE)
        verdict = fit_locations(settings, &sources[DCNV4I_ATTN_LOCATIONS], task);
    if (verdict != DCNV4I_DONE)
        return verdict;
    const int64_t points = dcnv4i_attn_points(task), levels = p->level_count;
    const int64_t weights[] = {p->batch, p->queries, p->heads, points};
    const int64_t deep[] = {p->batch, p->queries, p->heads, levels, points / levels};
    const int64_t heads[] = {p->batch, p->queries, p->heads, p->head_channels};
    if (sources[DCNV4I_ATTN_WEIGHTS].file)
        verdict = fit_either(&sources[DCNV4I_ATTN_WEIGHTS], 4, weights, is_even(task) ? deep : NULL);
    if (verdict == DCNV4I_DONE && sources[DCNV4I_ATTN_REFERENCES].file)
        verdict = fit_references(&sources[DCNV4I_ATTN_REFERENCES], task, &p->reference_levels);
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST]; /* after which M·D is known not to overflow */
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_task_lay_out(task, settings->value, layouts);
    const dcnv4i_layout *const output = &layouts[DCNV4I_ATTN_OUTPUT];
    if (verdict == DCNV4I_DONE && sources[DCNV4I_ATTN_GRAD_OUTPUT].file)
        verdict = fit_either(&sources[DCNV4I_ATTN_GRAD_OUTPUT], 3, output->shape, heads);
    return verdict;
}
