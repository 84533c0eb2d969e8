/* What is asked: every check of a problem, and the sizes that follow from it, none of which overflows. */
#ifndef DCNV4I_PROBLEM_H
#define DCNV4I_PROBLEM_H

#include "status.h"

/* In the order of the dcnv4_buffers' members. */
typedef enum dcnv4i_tensor_id {
    DCNV4I_VALUE,
    DCNV4I_OFFSET_MASK,
    DCNV4I_OUTPUT,
    DCNV4I_GRAD_OUTPUT,
    DCNV4I_GRAD_VALUE,
    DCNV4I_GRAD_OFFSET_MASK,
    DCNV4I_TENSORS
} dcnv4i_tensor_id;

/* pixels rows of row elements, stride elements from one to the next. */
typedef struct dcnv4i_tensor {
    int64_t pixels;
    int64_t row;
    int64_t stride;
    size_t item;  /* bytes of one element */
    size_t bytes; /* from the first element to the last, both counted in */
} dcnv4i_tensor;

/* A problem that passed every check. */
typedef struct dcnv4i_problem {
    dcnv4_problem asked; /* with its zeros for "dense" and "as the modules lay it out", and DCNV4_SAME_DTYPE, replaced */
    int64_t points;      /* K */
    int64_t channels;    /* C = G·D */
    int64_t output_height, output_width;
    size_t item; /* bytes of one element, but of offset_mask and its gradient */
    dcnv4i_tensor tensors[DCNV4I_TENSORS];
} dcnv4i_problem;

/* "value", "offset_mask", … */
const char *dcnv4i_tensor_name(dcnv4i_tensor_id id);

/* Bytes of one element; 0 if dtype is none. */
size_t dcnv4i_dtype_size(int32_t dtype);

/* Checks *asked and fills *problem. DCNV4_INVALID_PROBLEM, DCNV4_INVALID_ARGUMENT or DCNV4_UNSUPPORTED, with a message;
 * *problem is then undefined. */
dcnv4_status dcnv4i_problem_check(const dcnv4_problem *asked, dcnv4i_problem *problem);

/* Copies a struct that begins with its own size from the caller, who may know an older (shorter: the rest stays as it is
 * in *copy) or a newer version (longer: then what we do not know must be 0). name is the type's, for the message;
 * oldest is the size of its first version. */
dcnv4_status dcnv4i_versioned_copy(const char *name, void *copy, size_t known, size_t oldest, const void *given);

#endif
