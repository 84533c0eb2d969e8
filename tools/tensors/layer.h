/* A problem and its tensors, from the files and options of a command line. */
#ifndef DCNV4I_LAYER_H
#define DCNV4I_LAYER_H

#include "../cli/options.h"

typedef struct dcnv4i_layer {
    dcnv4_problem problem;
    dcnv4_sizes sizes;
    void *value, *offset_mask; /* dense; NULL when they are empty */
    void *grad_output;         /* NULL if no file was named */
} dcnv4i_layer;

/* The problem that the options of PROBLEM describe, without sizes and dtype, which the caller sets. */
dcnv4_problem dcnv4i_layer_problem(const dcnv4i_settings *settings);

/* Reads the files' headers, checks that they fit each other and the options, then reads and converts their data.
 * After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_layer_open(const dcnv4i_settings *settings, dcnv4i_layer *layer);

/* The dtype of offset_mask and its gradient. */
int32_t dcnv4i_offset_mask_dtype(const dcnv4_problem *problem);

void dcnv4i_layer_free(dcnv4i_layer *layer);

#endif
