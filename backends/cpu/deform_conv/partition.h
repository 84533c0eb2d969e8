/* How a run is partitioned into tasks for the threads: a pure function of the layer and the number of threads, in
 * whole numbers, so that it is the same wherever it is computed. */
#ifndef DCNV4I_CPU_PARTITION_H
#define DCNV4I_CPU_PARTITION_H

#include "deform_conv_kernels.h"

/* Images × slices of groups × bands of rows. */
typedef struct dcnv4i_partition {
    int64_t tasks;
    int workers;           /* threads that are worth waking */
    int64_t bands, slices; /* of an image */
    int64_t band_rows;     /* output rows of a forward band but the last */
    int64_t slice_groups;  /* groups of a slice but the last */
    int64_t packed_groups; /* of them, how many forward copies at a time */
    bool whole;            /* forward: every task's copy has all rows of value */
    int64_t margin_rows;   /* backward: rows of value in a task's copy on either side of its own */
    size_t scratch;        /* bytes that one task needs, a multiple of 64; 0 for none */
} dcnv4i_partition;

/* What layer->halo is to be. */
int64_t dcnv4i_partition_halo(const dcnv4_problem *params);

/* The rows of value that output rows first to last − 1 sample, unless their offsets are large. */
void dcnv4i_partition_input_rows(const dcnv4i_conv_layer *layer, int64_t first, int64_t last, int64_t *first_input,
                                 int64_t *last_input);

/* DCNV4_UNSUPPORTED where the scratch cannot be addressed, which depends on the layer alone. */
dcnv4_status dcnv4i_partition_make(const dcnv4i_conv_layer *layer, dcnv4_pass pass, int threads,
                                   dcnv4i_partition *partition);

/* Bytes of workspace that a run needs: scratch for every worker, and room to align the first. */
size_t dcnv4i_partition_workspace(const dcnv4i_partition *partition);

/* Task number `number`, without its scratch. */
dcnv4i_conv_task dcnv4i_partition_task(const dcnv4i_conv_layer *layer, dcnv4_pass pass,
                                       const dcnv4i_partition *partition, int64_t number);

#endif
