/* Random tensors of a problem, and the reference's results for a part of them. */
#ifndef DCNV4I_BENCH_INPUTS_H
#define DCNV4I_BENCH_INPUTS_H

#include "../check/oracle.h"
#include "../devices/runner.h"

typedef struct dcnv4i_inputs {
    const dcnv4_problem *problem;
    dcnv4_sizes sizes;
    dcnv4i_view
        tensors[3]; /* value, offset_mask, grad_output; the last has no memory for a problem that is forward_only */
    dcnv4i_oracle oracle; /* of one group of one image */
    int64_t image, group;
} dcnv4i_inputs;

/* Draws normal numbers, with `spread` as the offsets' standard deviation, and runs the reference. *problem must outlive
 * *inputs, which must be freed, also after a failure. */
dcnv4i_exit dcnv4i_inputs_draw(const dcnv4_problem *problem, uint64_t seed, double spread, dcnv4i_inputs *inputs);

/* Uploads the inputs to a runner of the problem. */
dcnv4i_exit dcnv4i_inputs_upload(const dcnv4i_inputs *inputs, dcnv4i_runner *runner);

/* Compares one of the device's results with the reference's. */
dcnv4i_exit dcnv4i_inputs_judge(const dcnv4i_inputs *inputs, dcnv4i_runner *runner, dcnv4i_tensor_number tensor,
                                dcnv4i_comparison *comparison);

/* The device's memory for a result, and the tensor's number of bytes. */
dcnv4_buffer *dcnv4i_inputs_result(const dcnv4i_inputs *inputs, dcnv4i_runner *runner, dcnv4i_tensor_number tensor,
                                   size_t *bytes);

void dcnv4i_inputs_free(dcnv4i_inputs *inputs);

#endif
