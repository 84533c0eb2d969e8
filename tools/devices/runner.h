/* A problem made ready on a device, with the device's memory for its tensors. */
#ifndef DCNV4I_RUNNER_H
#define DCNV4I_RUNNER_H

#include "../operators/task.h"

typedef struct dcnv4i_runner {
    const dcnv4i_task_operator *op;
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_status status; /* the library's status in dcnv4i_runner_open */
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    dcnv4_buffer tensors[DCNV4I_TENSORS_MOST]; /* the device's memory for all that the problem uses; without those of
                                                * backward if it is forward_only */
    dcnv4_buffer workspace;
} dcnv4i_runner;

/* Creates a context; sets its number of threads unless `threads` is 0. */
dcnv4i_exit dcnv4i_runner_context(const char *device, int64_t threads, dcnv4_context **context);

/* Makes a problem ready on a device. After a failure there is nothing to close. */
dcnv4i_exit dcnv4i_runner_open(const char *device, int64_t threads, const dcnv4i_task *task, dcnv4i_runner *runner);

/* Copies inputs to the device; by tensor, NULL for one that is not used. */
dcnv4i_exit dcnv4i_runner_upload(dcnv4i_runner *runner, const void *const *tensors);

/* Starts a pass, which may still run until dcnv4i_runner_wait returns; that reports errors that occurred meanwhile. */
dcnv4i_exit dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass);
/* Starts a roofline kernel of a pass, on a device that has them; it overwrites the pass's results. */
dcnv4i_exit dcnv4i_runner_start_floor(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4_roofline floor);
dcnv4i_exit dcnv4i_runner_wait(dcnv4i_runner *runner);

/* Runs a pass and waits for its end. */
dcnv4i_exit dcnv4i_runner_run(dcnv4i_runner *runner, dcnv4_pass pass);

/* Copies the whole of one of runner->tensors to length bytes of the host's memory. */
dcnv4i_exit dcnv4i_runner_download(dcnv4i_runner *runner, const dcnv4_buffer *buffer, void *target, size_t length);

void dcnv4i_runner_close(dcnv4i_runner *runner);

#endif
