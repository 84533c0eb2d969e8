/* Multi-scale deformable attention as an operator: every check of a problem, and the sizes that follow from it. */
#ifndef DCNV4I_MS_DEFORM_ATTN_PROBLEM_H
#define DCNV4I_MS_DEFORM_ATTN_PROBLEM_H

#include "operator.h"

#include <dcnv4/ms_deform_attn.h>

/* In the order of the dcnv4_msda_buffers' members. */
typedef enum dcnv4i_msda_tensor {
    DCNV4I_MSDA_VALUE,
    DCNV4I_MSDA_LOCATIONS,
    DCNV4I_MSDA_WEIGHTS,
    DCNV4I_MSDA_REFERENCES,
    DCNV4I_MSDA_LEVEL_SHAPES,
    DCNV4I_MSDA_LEVEL_STARTS,
    DCNV4I_MSDA_OUTPUT,
    DCNV4I_MSDA_GRAD_OUTPUT,
    DCNV4I_MSDA_GRAD_VALUE,
    DCNV4I_MSDA_GRAD_LOCATIONS,
    DCNV4I_MSDA_GRAD_WEIGHTS,
    DCNV4I_MSDA_GRAD_REFERENCES,
    DCNV4I_MSDA_TENSORS
} dcnv4i_msda_tensor;

/* A problem that passed every check. */
typedef struct dcnv4i_ms_deform_attn {
    dcnv4i_problem base;
    dcnv4_msda_problem params; /* with its zeros for "dense" and DCNV4_SAME_DTYPE replaced; levels is NULL, see below */
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    int64_t points;                     /* P */
    int64_t channels;                   /* M·D */
    int64_t location_head, weight_head; /* elements from one head's locations, or weights, to the next one's */
    int64_t weight_begin;               /* elements from a query's row to its first weight: 2·P with packed, else 0 */
    int reference_numbers;              /* of one reference: 2, 4, or 0 if the unit has none */
} dcnv4i_ms_deform_attn;

/* Checks *params and fills *problem. DCNV4_INVALID_PROBLEM, DCNV4_INVALID_ARGUMENT or DCNV4_UNSUPPORTED, with a message;
 * *problem is then undefined. */
dcnv4_status dcnv4i_ms_deform_attn_check(const dcnv4_msda_problem *params, dcnv4i_ms_deform_attn *problem);

/* The levels of a run: those of the problem, or with levels_in_buffers those that the two tables in host memory say, copied to
 * *room, DCNV4_MSDA_MAX_LEVELS long. DCNV4_INVALID_ARGUMENT, with a message, if a level of the tables stands out of value. */
dcnv4_status dcnv4i_ms_deform_attn_levels(const dcnv4i_ms_deform_attn *problem, const int64_t *shapes,
                                          const int64_t *starts, dcnv4_msda_level *room,
                                          const dcnv4_msda_level **levels);

#endif
