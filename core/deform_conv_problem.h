/* DCNv4 as an operator: the checks of a problem, and the sizes derived from it, none of which overflows. */
#ifndef DCNV4I_DEFORM_CONV_PROBLEM_H
#define DCNV4I_DEFORM_CONV_PROBLEM_H

#include "operator.h"

/* In the order of the dcnv4_buffers' members. */
typedef enum dcnv4i_deform_conv_tensor {
    DCNV4I_VALUE,
    DCNV4I_OFFSET_MASK,
    DCNV4I_OUTPUT,
    DCNV4I_GRAD_OUTPUT,
    DCNV4I_GRAD_VALUE,
    DCNV4I_GRAD_OFFSET_MASK,
    DCNV4I_DEFORM_CONV_TENSORS
} dcnv4i_deform_conv_tensor;

/* A problem that passed every check. */
typedef struct dcnv4i_deform_conv {
    dcnv4i_problem base;
    dcnv4_problem params; /* zeros for "dense" and the modules' offset_mask_row, and DCNV4_SAME_DTYPE, are resolved */
    int64_t points;       /* K */
    int64_t channels;     /* C = G·D */
    int64_t output_height, output_width;
    size_t item; /* bytes of one element, except of offset_mask and its gradient */
} dcnv4i_deform_conv;

/* Checks *params and fills *problem. DCNV4_INVALID_PROBLEM, DCNV4_INVALID_ARGUMENT or DCNV4_UNSUPPORTED, with a
 * message; *problem is then undefined. */
dcnv4_status dcnv4i_deform_conv_check(const dcnv4_problem *params, dcnv4i_deform_conv *problem);

#endif
