#include "bench_inputs.h"

#include <stdlib.h>

static int64_t first_of(const dcnv4i_inputs *in, int tensor) {
    const dcnv4i_task *const task = &in->layer.task;
    return task->op->first_of(task, in->layer.layouts, tensor, in->image, in->group);
}

/* The part of a tensor that belongs to the group and image to compare, as a tensor with a stride. */
static dcnv4i_view part(const dcnv4i_inputs *in, int tensor, void *whole) {
    const dcnv4i_layout *const layout = &in->layer.layouts[tensor];
    const size_t first = (size_t)first_of(in, tensor) * dcnv4i_dtype_bytes(layout->dtype);
    return (dcnv4i_view){whole ? (char *)whole + first : NULL, layout->row};
}

static dcnv4i_exit ask_reference(dcnv4i_inputs *in) {
    const dcnv4i_task_operator *const op = in->layer.task.op;
    dcnv4i_view parts[DCNV4I_TENSORS_MOST] = {{NULL, 0}};
    dcnv4i_task one;
    op->cut(&in->layer.task, &one);
    for (int i = 0; i < op->tensor_count; ++i)
        if (in->layer.tensors[i] && in->layer.layouts[i].dtype != DCNV4I_INT64)
            parts[i] = part(in, i, in->layer.tensors[i]);
    return dcnv4i_oracle_create(&one, parts, &in->oracle);
}

dcnv4i_exit dcnv4i_inputs_draw(const dcnv4i_task *task, uint64_t seed, double spread, const dcnv4i_spoil *spoil,
                               dcnv4i_inputs *inputs) {
    *inputs = (dcnv4i_inputs){.layer = {.task = *task}};
    dcnv4i_random random = {seed};
    int64_t images, groups;
    dcnv4i_exit verdict = dcnv4i_task_lay_out(task, "the inputs", inputs->layer.layouts);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_layer_fill(&random, spread, &inputs->layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (spoil)
        dcnv4i_layer_spoil(&random, spoil, &inputs->layer);
    task->op->count_parts(task, &images, &groups);
    inputs->image = dcnv4i_random_below(&random, images);
    inputs->group = dcnv4i_random_below(&random, groups);
    return ask_reference(inputs);
}

dcnv4i_exit dcnv4i_inputs_upload(const dcnv4i_inputs *in, dcnv4i_runner *runner) {
    return dcnv4i_runner_upload(runner, (const void *const *)in->layer.tensors);
}

dcnv4i_exit dcnv4i_inputs_judge(const dcnv4i_inputs *in, dcnv4i_runner *runner, int tensor,
                                dcnv4i_comparison *comparison) {
    const size_t bytes = in->layer.layouts[tensor].bytes;
    if (!in->oracle.expected[tensor] || first_of(in, tensor) < 0)
        return DCNV4I_DONE;
    void *const memory = malloc(bytes + 1);
    if (!memory)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a tensor of %zu bytes", bytes);
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, &runner->tensors[tensor], memory, bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(&in->oracle, tensor, part(in, tensor, memory), comparison);
    free(memory);
    return verdict;
}

dcnv4i_exit dcnv4i_inputs_judge_pass(const dcnv4i_inputs *in, dcnv4i_runner *runner, dcnv4_pass pass,
                                     dcnv4i_comparison *comparison) {
    const dcnv4i_task_operator *const op = in->layer.task.op;
    const dcnv4i_role role = pass == DCNV4_PASS_FORWARD ? DCNV4I_OUTPUT : DCNV4I_GRADIENT;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i)
        if (op->tensors[i].role == role)
            verdict = dcnv4i_inputs_judge(in, runner, i, comparison);
    return verdict;
}

void dcnv4i_inputs_free(dcnv4i_inputs *inputs) {
    dcnv4i_layer_free(&inputs->layer);
    dcnv4i_oracle_free(&inputs->oracle);
}
