/* Multi-scale deformable attention as an operator of the command: its functions, by file. */
#ifndef DCNV4I_ATTN_TASK_H
#define DCNV4I_ATTN_TASK_H

#include "task.h"

/* In the order of the dcnv4_msda_buffers' members. */
enum {
    DCNV4I_ATTN_VALUE,
    DCNV4I_ATTN_LOCATIONS,
    DCNV4I_ATTN_WEIGHTS,
    DCNV4I_ATTN_REFERENCES,
    DCNV4I_ATTN_LEVEL_SHAPES,
    DCNV4I_ATTN_LEVEL_STARTS,
    DCNV4I_ATTN_OUTPUT,
    DCNV4I_ATTN_GRAD_OUTPUT,
    DCNV4I_ATTN_GRAD_VALUE,
    DCNV4I_ATTN_GRAD_LOCATIONS,
    DCNV4I_ATTN_GRAD_WEIGHTS,
    DCNV4I_ATTN_GRAD_REFERENCES,
    DCNV4I_ATTN_TENSORS
};

/* The problem as the library takes it; its levels are the task's, or with levels_in_buffers, of which the library is to
 * know the points alone, those in room. */
dcnv4_msda_problem dcnv4i_attn_of(const dcnv4i_task *task, dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS]);

/* P. */
int64_t dcnv4i_attn_points(const dcnv4i_task *task);

/* How many numbers a reference has: 2, 4, or 0 where the unit has none. */
int dcnv4i_attn_reference_numbers(const dcnv4i_task *task);

/* A coordinate of a point, in places: origin + scale·location, with origin = size·reference + shift. A reference box's size
 * has the factor `part`. */
typedef struct dcnv4i_attn_axis {
    double size, shift, reference, scale, part;
} dcnv4i_attn_axis;

/* Of points in this level; axis: 0 for columns, 1 for rows; references: those of the query, in float64, or NULL. */
dcnv4i_attn_axis dcnv4i_attn_axis_of(const dcnv4i_task *task, int level, int axis, const double *references);
double dcnv4i_attn_position(const dcnv4i_attn_axis *axis, double location);

/* attn_files.c */
dcnv4i_exit dcnv4i_attn_describe(const dcnv4i_settings *settings, dcnv4i_task *task);
dcnv4i_exit dcnv4i_attn_fit(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task);
const char *dcnv4i_attn_check_lacks(const dcnv4i_settings *settings);
const char *dcnv4i_attn_layer_lacks(const dcnv4i_settings *settings);
/* attn_levels.c: the levels of the options, or of their files. */
dcnv4i_exit dcnv4i_attn_levels(const dcnv4i_settings *settings, dcnv4i_task *task);

/* attn_random.c */
void dcnv4i_attn_draw(dcnv4i_random *random, dcnv4i_task *task);
void dcnv4i_attn_draw_dtypes(uint64_t seed, dcnv4i_task *task);
void dcnv4i_attn_draw_row(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task,
                          const dcnv4i_layout *layouts, int tensor, double *row);

/* attn_bench.c */
const char *dcnv4i_attn_preset(int index, dcnv4i_task *task);
dcnv4i_exit dcnv4i_attn_sized(const dcnv4i_settings *settings, dcnv4i_task *task, bool *described);
bool dcnv4i_attn_fill(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                      int tensor, void *memory);
void dcnv4i_attn_count_parts(const dcnv4i_task *task, int64_t *images, int64_t *groups);
void dcnv4i_attn_cut(const dcnv4i_task *task, dcnv4i_task *part);
int64_t dcnv4i_attn_first_of(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor, int64_t image,
                             int64_t group);
double dcnv4i_attn_gathered(const dcnv4i_task *task);
const char *dcnv4i_attn_idle(const dcnv4i_task *task);

/* attn_scan.c */
extern const struct dcnv4i_scan dcnv4i_attn_scan;

/* attn_bound.c */
dcnv4i_exit dcnv4i_attn_bound(const dcnv4i_task *task, int32_t dtype, const double *const *tensors,
                              double *const *bounds);

#endif
