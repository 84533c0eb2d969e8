#include "runner.h"

#include <stdbool.h>
#include <stdio.h>

dcnv4i_exit dcnv4i_runner_context(const char *device, int64_t threads, dcnv4_context **context) {
    char about[96];
    snprintf(about, sizeof about, "--device %.64s", device);
    *context = NULL;
    dcnv4_status status = dcnv4_context_create(device, context);
    if (status == DCNV4_SUCCESS && threads > 0)
        status = dcnv4_context_set_threads(*context, (int32_t)threads);
    const dcnv4i_exit verdict = dcnv4i_verdict_library(status, about);
    if (verdict != DCNV4I_DONE) {
        dcnv4_context_destroy(*context);
        *context = NULL;
    }
    return verdict;
}

static dcnv4_status create_buffers(dcnv4i_runner *runner, const dcnv4i_task *task) {
    const size_t forward = dcnv4_plan_workspace_size(runner->plan, DCNV4_PASS_FORWARD);
    const size_t backward = dcnv4_plan_workspace_size(runner->plan, DCNV4_PASS_BACKWARD);
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < task->op->tensor_count && status == DCNV4_SUCCESS; ++i)
        if (dcnv4i_task_uses(task, runner->layouts, i))
            status = dcnv4_buffer_create(runner->context, runner->layouts[i].bytes, &runner->tensors[i]);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_buffer_create(runner->context, forward > backward ? forward : backward, &runner->workspace);
    return status;
}

dcnv4i_exit dcnv4i_runner_open(const char *device, int64_t threads, const dcnv4i_task *task, dcnv4i_runner *runner) {
    *runner = (dcnv4i_runner){.op = task->op};
    dcnv4i_exit verdict = dcnv4i_runner_context(device, threads, &runner->context);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4_status status = task->op->lay_out(task, runner->layouts);
    if (status == DCNV4_SUCCESS)
        status = task->op->plan(runner->context, task, &runner->plan);
    if (status == DCNV4_SUCCESS)
        status = create_buffers(runner, task);
    verdict = dcnv4i_verdict_library(status, device);
    if (verdict != DCNV4I_DONE)
        dcnv4i_runner_close(runner);
    runner->status = status;
    return verdict;
}

dcnv4i_exit dcnv4i_runner_upload(dcnv4i_runner *runner, const void *const *tensors) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < runner->op->tensor_count && status == DCNV4_SUCCESS; ++i)
        if (tensors[i] && runner->layouts[i].bytes > 0 && runner->tensors[i].handle)
            status = dcnv4_upload(runner->context, &runner->tensors[i], tensors[i], runner->layouts[i].bytes);
    return dcnv4i_verdict_library(status, "copying the inputs to the device");
}

dcnv4i_exit dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass) {
    return dcnv4i_verdict_library(runner->op->run(runner->plan, pass, runner->tensors, runner->workspace),
                                  pass == DCNV4_PASS_FORWARD ? "forward" : "backward");
}

dcnv4i_exit dcnv4i_runner_start_floor(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4_roofline floor) {
    return dcnv4i_verdict_library(runner->op->roofline(runner->plan, pass, floor, runner->tensors, runner->workspace),
                                  "the floor");
}

dcnv4i_exit dcnv4i_runner_wait(dcnv4i_runner *runner) {
    return dcnv4i_verdict_library(dcnv4_synchronize(runner->context), "waiting for the device");
}

dcnv4i_exit dcnv4i_runner_run(dcnv4i_runner *runner, dcnv4_pass pass) {
    const dcnv4i_exit verdict = dcnv4i_runner_start(runner, pass);
    return verdict == DCNV4I_DONE ? dcnv4i_runner_wait(runner) : verdict;
}

dcnv4i_exit dcnv4i_runner_download(dcnv4i_runner *runner, const dcnv4_buffer *buffer, void *target, size_t length) {
    if (length == 0)
        return DCNV4I_DONE;
    return dcnv4i_verdict_library(dcnv4_download(runner->context, buffer, target, length),
                                  "copying a result from the device");
}

void dcnv4i_runner_close(dcnv4i_runner *runner) {
    if (!runner->context)
        return;
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i)
        dcnv4_buffer_destroy(runner->context, &runner->tensors[i]);
    dcnv4_buffer_destroy(runner->context, &runner->workspace);
    dcnv4_plan_destroy(runner->plan);
    dcnv4_context_destroy(runner->context);
    *runner = (dcnv4i_runner){.op = runner->op};
}
