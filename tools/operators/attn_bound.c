/* The bounds of the results of multi-scale deformable attention. */
#include "attn_task.h"
#include "point_bound.h"

#include <math.h>

/* One query of one image: its rows of the tensors in float64, and of the bounds; NULL for what is not used. */
typedef struct query {
    int64_t row, image;
    const double *locations, *weights, *references, *grad_output;
    double *by_locations, *by_weights, *by_references;
} query;

/* The largest rounding of a position: none where it is exact, in any order of operations. */
static double rounding_of(const dcnv4i_task *task, const dcnv4i_attn_axis *a, double location, double unit) {
    const double moved = a->size * a->reference, scaled = a->scale * location, box = a->scale / a->size;
    const bool boxes = task->attn.location_unit == DCNV4_MSDA_BOX_OFFSETS;
    const double steps[] = {location,
                            a->reference,
                            a->scale,
                            boxes ? a->part : 0,
                            boxes ? box : 0,
                            boxes ? box / a->part : 0,
                            boxes ? box * location : 0,
                            boxes ? box / a->part * location : 0,
                            boxes ? a->reference + box * location : 0,
                            moved,
                            moved + a->shift,
                            scaled,
                            scaled + a->shift,
                            scaled + moved,
                            scaled + moved + a->shift};
    return dcnv4i_all_exact(steps, sizeof steps / sizeof *steps)
               ? 0
               : 6 * unit * (fabs(scaled) + fabs(moved) + fabs(a->shift));
}

/* A query's row of a tensor; NULL if there is no such tensor. */
static const double *row_of(const double *tensor, const dcnv4i_layout *layout, int64_t row) {
    return tensor && layout->rank > 0 ? tensor + row * layout->row : NULL;
}

/* Adds |size|·bound to the reference's bounds, with what rounds in it. */
static void bound_references(const dcnv4i_task *task, int level, const query *q, const double *location,
                             const dcnv4i_attn_axis *axes, const dcnv4i_bound_gradient *by, const dcnv4i_bound *b) {
    const int numbers = dcnv4i_attn_reference_numbers(task);
    double *const bound = q->by_references + (task->attn.reference_levels == 1 ? 0 : level) * numbers;
    const double each[] = {by->x, by->y}, terms[] = {by->x_terms, by->y_terms};
    const double count = (double)(dcnv4i_attn_points(task) * task->attn.heads);
    for (int i = 0; i < numbers; ++i) {
        const double factor = fabs(axes[i % 2].size) * (i < 2 ? 1 : fabs(axes[i % 2].part * location[i % 2]));
        if (each[i % 2] > 0 || terms[i % 2] > 0)
            bound[i] += factor * (each[i % 2] + (count + 8) * b->unit * terms[i % 2]) + b->least;
    }
}

/* Both axes of the points of a level. */
static void find_axes(const dcnv4i_task *task, int level, const query *q, dcnv4i_attn_axis axes[2]) {
    for (int i = 0; i < 2; ++i)
        axes[i] = dcnv4i_attn_axis_of(task, level, i, q->references);
}

static void set_points(const dcnv4i_task *task, dcnv4i_bound *b, const query *q, const double *locations) {
    dcnv4i_bound_point *at = b->at;
    for (int l = 0; l < task->attn.level_count; ++l) {
        const dcnv4_msda_level *const level = &task->levels[l];
        const int64_t first = q->image * task->attn.value_length + level->start;
        dcnv4i_attn_axis axes[2];
        find_axes(task, l, q, axes);
        for (int64_t k = 0; k < level->points; ++k, locations += 2)
            *at++ = (dcnv4i_bound_point){dcnv4i_attn_position(&axes[0], locations[0]),
                                         dcnv4i_attn_position(&axes[1], locations[1]),
                                         rounding_of(task, &axes[0], locations[0], b->unit),
                                         rounding_of(task, &axes[1], locations[1], b->unit),
                                         level->height,
                                         level->width,
                                         first};
    }
}

/* Turns gradients in places into those of locations and references. */
static void bound_points(const dcnv4i_task *task, const dcnv4i_bound *b, const query *q, const double *locations,
                         double *by_locations) {
    const dcnv4i_bound_gradient *by = b->by;
    for (int l = 0; l < task->attn.level_count; ++l) {
        dcnv4i_attn_axis axes[2];
        find_axes(task, l, q, axes);
        for (int64_t k = 0; k < task->levels[l].points; ++k, ++by, locations += 2) {
            const double sums[] = {by->x, by->y}, terms[] = {by->x_terms, by->y_terms};
            for (int i = 0; i < 2; ++i) /* the factor rounds too */
                *by_locations++ = sums[i] == 0 && terms[i] == 0
                                      ? 0
                                      : fabs(axes[i].scale) * (sums[i] + 4 * b->unit * terms[i]) + b->least;
            if (q->by_references)
                bound_references(task, l, q, locations, axes, by, b);
        }
    }
}

/* One head of a query. */
static bool bound_head(const dcnv4i_task *task, dcnv4i_bound *b, const query *q, int64_t head) {
    const bool packed = task->attn.packed;
    const int64_t block = (packed ? 3 : 2) * b->points;
    const double *const locations = q->locations + head * block;
    const double *const raw = packed ? locations + 2 * b->points : q->weights + head * b->points;
    double *const by_locations = q->by_locations ? q->by_locations + head * block : NULL;
    double *const by_weights = !by_locations ? NULL
                               : packed      ? by_locations + 2 * b->points
                                             : q->by_weights + head * b->points;
    set_points(task, b, q, locations);
    if (!dcnv4i_bound_group(b, q->row, head, raw, q->grad_output, by_weights))
        return false;
    if (by_locations)
        bound_points(task, b, q, locations, by_locations);
    return true;
}

dcnv4i_exit dcnv4i_attn_bound(const dcnv4i_task *task, int32_t dtype, const double *const *tensors,
                              double *const *bounds) {
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    dcnv4i_exit verdict = dcnv4i_task_lay_out(task, "bound", layouts);
    if (verdict != DCNV4I_DONE)
        return verdict;
    const dcnv4_msda_problem *const p = &task->attn;
    dcnv4i_bound b = {.rows = p->batch * p->value_length,
                      .groups = p->heads,
                      .channels = p->heads * p->head_channels,
                      .points = dcnv4i_attn_points(task),
                      .softmax = p->softmax,
                      .value = tensors[DCNV4I_ATTN_VALUE],
                      .output = bounds[DCNV4I_ATTN_OUTPUT],
                      .grad_value = bounds[DCNV4I_ATTN_GRAD_VALUE]};
    verdict = dcnv4i_bound_open(dtype, &b);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int64_t row = 0; row < p->batch * p->queries && verdict == DCNV4I_DONE; ++row) {
#define ROW(tensor) row_of(tensors[DCNV4I_ATTN_##tensor], &layouts[DCNV4I_ATTN_##tensor], row)
#define BOUND(tensor) (double *)row_of(bounds[DCNV4I_ATTN_##tensor], &layouts[DCNV4I_ATTN_##tensor], row)
        const query q = {row,
                         row / p->queries,
                         ROW(LOCATIONS),
                         ROW(WEIGHTS),
                         ROW(REFERENCES),
                         ROW(GRAD_OUTPUT),
                         BOUND(GRAD_LOCATIONS),
                         BOUND(GRAD_WEIGHTS),
                         BOUND(GRAD_REFERENCES)};
        for (int64_t head = 0; head < p->heads && verdict == DCNV4I_DONE; ++head)
            if (!bound_head(task, &b, &q, head))
                verdict = dcnv4i_bound_refuse(task->levels[0].height, task->levels[0].width);
    }
    dcnv4i_bound_finish(&b);
    dcnv4i_bound_close(&b);
    return verdict;
}
