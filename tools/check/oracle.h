/* The expected results for given tensors: the reference's in float64, with a bound for each element. */
#ifndef DCNV4I_ORACLE_H
#define DCNV4I_ORACLE_H

#include "../operators/comparison.h"
#include "../operators/task.h"

/* A tensor in the host's memory, with the distance between its rows in elements. */
typedef struct dcnv4i_view {
    void *memory;
    int64_t stride;
} dcnv4i_view;

typedef struct dcnv4i_oracle {
    dcnv4i_task task; /* with dense tensors */
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    double *expected[DCNV4I_TENSORS_MOST], *bound[DCNV4I_TENSORS_MOST]; /* dense; of the results that were asked for */
} dcnv4i_oracle;

/* Computes the results on the reference. inputs: by tensor, in the task's dtypes; the task's strides are ignored. A task
 * that is forward_only has forward's results alone. After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_oracle_create(const dcnv4i_task *task, const dcnv4i_view inputs[DCNV4I_TENSORS_MOST],
                                 dcnv4i_oracle *oracle);

/* Compares a result with what is expected. */
dcnv4i_exit dcnv4i_oracle_compare(const dcnv4i_oracle *oracle, int tensor, dcnv4i_view got,
                                  dcnv4i_comparison *comparison);

void dcnv4i_oracle_free(dcnv4i_oracle *oracle);

#endif
