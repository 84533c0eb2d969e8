/* Random tensors of a problem, and the reference's results for a part of them. */
#ifndef DCNV4I_BENCH_INPUTS_H
#define DCNV4I_BENCH_INPUTS_H

#include "../check/oracle.h"
#include "../devices/runner.h"
#include "../operators/layer.h"

typedef struct dcnv4i_inputs {
    dcnv4i_layer layer;
    dcnv4i_oracle oracle; /* of one group, or head, of one image */
    int64_t image, group;
} dcnv4i_inputs;

/* Draws the inputs, whose positions lie around where a network looks, by `spread`, spoils them unless spoil is NULL, and
 * runs the reference. *inputs must be freed, also after a failure. */
dcnv4i_exit dcnv4i_inputs_draw(const dcnv4i_task *task, uint64_t seed, double spread, const dcnv4i_spoil *spoil,
                               dcnv4i_inputs *inputs);

/* Uploads the inputs to a runner of the problem. */
dcnv4i_exit dcnv4i_inputs_upload(const dcnv4i_inputs *inputs, dcnv4i_runner *runner);

/* Compares the device's results of a pass with the reference's. */
dcnv4i_exit dcnv4i_inputs_judge_pass(const dcnv4i_inputs *inputs, dcnv4i_runner *runner, dcnv4_pass pass,
                                     dcnv4i_comparison *comparison);

/* Compares one of the device's results with the reference's, unless that has no such part. */
dcnv4i_exit dcnv4i_inputs_judge(const dcnv4i_inputs *inputs, dcnv4i_runner *runner, int tensor,
                                dcnv4i_comparison *comparison);

void dcnv4i_inputs_free(dcnv4i_inputs *inputs);

#endif
