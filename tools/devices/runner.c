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

static dcnv4_status create_buffers(dcnv4i_runner *runner, const dcnv4_problem *problem) {
    const size_t forward = dcnv4_plan_workspace_size(runner->plan, DCNV4_PASS_FORWARD);
    const size_t backward = dcnv4_plan_workspace_size(runner->plan, DCNV4_PASS_BACKWARD);
    const struct {
        dcnv4_buffer *buffer;
        size_t length;
    } wanted[] = {
        {&runner->buffers.value, runner->sizes.value},
        {&runner->buffers.offset_mask, runner->sizes.offset_mask},
        {&runner->buffers.output, runner->sizes.output},
        {&runner->buffers.workspace, forward > backward ? forward : backward},
        {&runner->buffers.grad_output, runner->sizes.grad_output},
        {&runner->buffers.grad_value, runner->sizes.grad_value},
        {&runner->buffers.grad_offset_mask, runner->sizes.grad_offset_mask},
    };
    const size_t count = problem->forward_only ? 4 : sizeof wanted / sizeof *wanted;
    dcnv4_status status = DCNV4_SUCCESS;
    for (size_t i = 0; i < count && status == DCNV4_SUCCESS; ++i)
        status = dcnv4_buffer_create(runner->context, wanted[i].length, wanted[i].buffer);
    return status;
}

dcnv4i_exit dcnv4i_runner_open(const char *device, int64_t threads, const dcnv4_problem *problem,
                               dcnv4i_runner *runner) {
    *runner = (dcnv4i_runner){.sizes = DCNV4_SIZES_INIT, .buffers = DCNV4_BUFFERS_INIT};
    dcnv4i_exit verdict = dcnv4i_runner_context(device, threads, &runner->context);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4_status status = dcnv4_problem_sizes(problem, &runner->sizes);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_plan_create(runner->context, problem, &runner->plan);
    if (status == DCNV4_SUCCESS)
        status = create_buffers(runner, problem);
    verdict = dcnv4i_verdict_library(status, device);
    if (verdict != DCNV4I_DONE)
        dcnv4i_runner_close(runner);
    runner->status = status;
    return verdict;
}

dcnv4i_exit dcnv4i_runner_upload(dcnv4i_runner *runner, const void *value, const void *offset_mask,
                                 const void *grad_output) {
    const struct {
        const dcnv4_buffer *buffer;
        const void *source;
        size_t length;
    } inputs[] = {
        {&runner->buffers.value, value, runner->sizes.value},
        {&runner->buffers.offset_mask, offset_mask, runner->sizes.offset_mask},
        {&runner->buffers.grad_output, grad_output, runner->sizes.grad_output},
    };
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < 3 && status == DCNV4_SUCCESS; ++i)
        if (inputs[i].source && inputs[i].length > 0)
            status = dcnv4_upload(runner->context, inputs[i].buffer, inputs[i].source, inputs[i].length);
    return dcnv4i_verdict_library(status, "copying the inputs to the device");
}

dcnv4i_exit dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass) {
    const bool forward = pass == DCNV4_PASS_FORWARD;
    return dcnv4i_verdict_library((forward ? dcnv4_forward : dcnv4_backward)(runner->plan, &runner->buffers, NULL),
                                  forward ? "forward" : "backward");
}

dcnv4i_exit dcnv4i_runner_start_floor(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4_roofline floor) {
    return dcnv4i_verdict_library(dcnv4_roofline_run(runner->plan, pass, floor, &runner->buffers, NULL), "the floor");
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
    dcnv4_buffer *const buffers[] = {
        &runner->buffers.value,       &runner->buffers.offset_mask, &runner->buffers.output,
        &runner->buffers.grad_output, &runner->buffers.grad_value,  &runner->buffers.grad_offset_mask,
        &runner->buffers.workspace,
    };
    if (!runner->context)
        return;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i)
        dcnv4_buffer_destroy(runner->context, buffers[i]);
    dcnv4_plan_destroy(runner->plan);
    dcnv4_context_destroy(runner->context);
    *runner = (dcnv4i_runner){.sizes = DCNV4_SIZES_INIT, .buffers = DCNV4_BUFFERS_INIT};
}
