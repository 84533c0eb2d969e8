/* The expected results for given tensors: the reference's in float64, with a bound for each element. */
#ifndef DCNV4I_ORACLE_H
#define DCNV4I_ORACLE_H

#include "bound.h"

/* In the order of the dcnv4_buffers' members. */
typedef enum dcnv4i_tensor_number {
    DCNV4I_VALUE_TENSOR,
    DCNV4I_OFFSET_MASK_TENSOR,
    DCNV4I_OUTPUT_TENSOR,
    DCNV4I_GRAD_OUTPUT_TENSOR,
    DCNV4I_GRAD_VALUE_TENSOR,
    DCNV4I_GRAD_OFFSET_MASK_TENSOR,
    DCNV4I_TENSOR_COUNT
} dcnv4i_tensor_number;

/* A tensor in the host's memory, with the distance between its pixels in elements. */
typedef struct dcnv4i_view {
    void *memory;
    int64_t stride;
} dcnv4i_view;

typedef struct dcnv4i_oracle {
    dcnv4_problem problem; /* with dense tensors */
    dcnv4_sizes sizes;
    double *expected[DCNV4I_TENSOR_COUNT]; /* dense; of the results that were asked for */
    dcnv4i_bound bound;
} dcnv4i_oracle;

/* [N, height, width, row] of a tensor of a problem. */
void dcnv4i_tensor_shape(const dcnv4_problem *problem, const dcnv4_sizes *sizes, dcnv4i_tensor_number tensor,
                         int64_t shape[4]);

/* The dtype of its elements. */
int32_t dcnv4i_tensor_dtype(const dcnv4_problem *problem, dcnv4i_tensor_number tensor);

/* "output", … */
const char *dcnv4i_tensor_word(dcnv4i_tensor_number tensor);

/* Computes the results on the reference. The strides of problem are ignored. If grad_output's memory is NULL, forward
 * alone. After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_oracle_create(const dcnv4_problem *problem, dcnv4i_view value, dcnv4i_view offset_mask,
                                 dcnv4i_view grad_output, dcnv4i_oracle *oracle);

/* Compares a result with what is expected. */
dcnv4i_exit dcnv4i_oracle_compare(const dcnv4i_oracle *oracle, dcnv4i_tensor_number tensor, dcnv4i_view got,
                                  dcnv4i_comparison *comparison);

void dcnv4i_oracle_free(dcnv4i_oracle *oracle);

#endif
