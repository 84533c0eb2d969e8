/* DCNv4 as an operator of the command: its functions, by file. */
#ifndef DCNV4I_CONV_TASK_H
#define DCNV4I_CONV_TASK_H

#include "task.h"

/* In the order of the dcnv4_buffers' members. */
enum {
    DCNV4I_CONV_VALUE,
    DCNV4I_CONV_OFFSET_MASK,
    DCNV4I_CONV_OUTPUT,
    DCNV4I_CONV_GRAD_OUTPUT,
    DCNV4I_CONV_GRAD_VALUE,
    DCNV4I_CONV_GRAD_OFFSET_MASK,
    DCNV4I_CONV_TENSORS
};

/* The problem as the library takes it. */
dcnv4_problem dcnv4i_conv_of(const dcnv4i_task *task);

/* conv_files.c */
dcnv4i_exit dcnv4i_conv_describe(const dcnv4i_settings *settings, dcnv4i_task *task);
dcnv4i_exit dcnv4i_conv_sized(const dcnv4i_settings *settings, dcnv4i_task *task, bool *described);
dcnv4i_exit dcnv4i_conv_fit(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task);
const char *dcnv4i_conv_check_lacks(const dcnv4i_settings *settings);

/* conv_random.c */
void dcnv4i_conv_draw(dcnv4i_random *random, dcnv4i_task *task);
void dcnv4i_conv_draw_dtypes(uint64_t seed, dcnv4i_task *task);
void dcnv4i_conv_draw_row(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task,
                          const dcnv4i_layout *layouts, int tensor, double *row);

/* conv_bench.c */
const char *dcnv4i_conv_preset(int index, dcnv4i_task *task);
bool dcnv4i_conv_fill(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                      int tensor, void *memory);
void dcnv4i_conv_count_parts(const dcnv4i_task *task, int64_t *images, int64_t *groups);
void dcnv4i_conv_cut(const dcnv4i_task *task, dcnv4i_task *part);
int64_t dcnv4i_conv_first_of(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor, int64_t image,
                             int64_t group);
double dcnv4i_conv_gathered(const dcnv4i_task *task);
const char *dcnv4i_conv_idle(const dcnv4i_task *task);

/* conv_scan.c */
extern const struct dcnv4i_scan dcnv4i_conv_scan;

/* conv_bound.c */
dcnv4i_exit dcnv4i_conv_bound(const dcnv4i_task *task, int32_t dtype, const double *const *tensors,
                              double *const *bounds);

#endif
