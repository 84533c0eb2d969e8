#include "oracle.h"

#include "../devices/runner.h"

#include <stdlib.h>

/* The rows of a view as dense float64. NULL without memory. */
static double *widen(const dcnv4i_oracle *oracle, int tensor, dcnv4i_view view) {
    const dcnv4i_layout *const layout = &oracle->layouts[tensor];
    const size_t item = dcnv4i_dtype_bytes(layout->dtype);
    double *wide = malloc(dcnv4i_layout_elements(layout) * sizeof *wide + 1);
    for (int64_t row = 0; wide && row < layout->rows; ++row)
        dcnv4_convert(layout->dtype, (const char *)view.memory + (size_t)(row * view.stride) * item, DCNV4_FLOAT64,
                      wide + row * layout->row, (size_t)layout->row);
    return wide;
}

/* Whether a tensor is one of the results that the task asks for. */
static bool is_wanted(const dcnv4i_oracle *oracle, int tensor) {
    return !dcnv4i_is_input(&oracle->task.op->tensors[tensor]) &&
           dcnv4i_task_uses(&oracle->task, oracle->layouts, tensor);
}

static dcnv4i_exit fetch(dcnv4i_oracle *oracle, dcnv4i_runner *runner, dcnv4_pass pass) {
    const dcnv4i_task_operator *const op = oracle->task.op;
    const dcnv4i_role role = pass == DCNV4_PASS_FORWARD ? DCNV4I_OUTPUT : DCNV4I_GRADIENT;
    dcnv4i_exit verdict = dcnv4i_runner_run(runner, pass);
    for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        if (op->tensors[i].role != role || !is_wanted(oracle, i))
            continue;
        const size_t bytes = runner->layouts[i].bytes;
        oracle->expected[i] = malloc(bytes + 1);
        verdict = oracle->expected[i]
                      ? dcnv4i_runner_download(runner, &runner->tensors[i], oracle->expected[i], bytes)
                      : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of the reference's results", bytes);
    }
    return verdict;
}

static dcnv4i_exit ask_reference(dcnv4i_oracle *oracle, const dcnv4i_task *wide, const double *const *tensors) {
    dcnv4i_runner runner;
    dcnv4i_exit verdict = dcnv4i_runner_open("reference", 0, wide, &runner);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = dcnv4i_runner_upload(&runner, (const void *const *)tensors);
    if (verdict == DCNV4I_DONE)
        verdict = fetch(oracle, &runner, DCNV4_PASS_FORWARD);
    if (verdict == DCNV4I_DONE && !wide->forward_only)
        verdict = fetch(oracle, &runner, DCNV4_PASS_BACKWARD);
    dcnv4i_runner_close(&runner);
    return verdict;
}

static dcnv4i_exit make_bounds(dcnv4i_oracle *oracle, const dcnv4i_task *wide, const double *const *tensors) {
    for (int i = 0; i < wide->op->tensor_count; ++i) {
        const size_t count = dcnv4i_layout_elements(&oracle->layouts[i]);
        if (is_wanted(oracle, i) && !(oracle->bound[i] = calloc(count + 1, sizeof(double))))
            return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the bounds of the results");
    }
    return wide->op->bound(wide, oracle->task.dtype, tensors, oracle->bound);
}

static dcnv4i_exit widen_all(const dcnv4i_oracle *oracle, const dcnv4i_view *inputs, double **tensors) {
    const dcnv4i_task_operator *const op = oracle->task.op;
    for (int i = 0; i < op->tensor_count; ++i)
        if (dcnv4i_is_input(&op->tensors[i]) && oracle->layouts[i].dtype != DCNV4I_INT64 &&
            dcnv4i_task_uses(&oracle->task, oracle->layouts, i) && !(tensors[i] = widen(oracle, i, inputs[i])))
            return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for float64 copies of the tensors");
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_oracle_create(const dcnv4i_task *task, const dcnv4i_view inputs[DCNV4I_TENSORS_MOST],
                                 dcnv4i_oracle *oracle) {
    double *tensors[DCNV4I_TENSORS_MOST] = {NULL};
    dcnv4i_task wide = *task;
    *oracle = (dcnv4i_oracle){.task = *task};
    task->op->widen(&wide);
    dcnv4i_exit verdict = dcnv4i_task_lay_out(task, "the reference", oracle->layouts);
    if (verdict == DCNV4I_DONE)
        verdict = widen_all(oracle, inputs, tensors);
    if (verdict == DCNV4I_DONE)
        verdict = ask_reference(oracle, &wide, (const double *const *)tensors);
    if (verdict == DCNV4I_DONE)
        verdict = make_bounds(oracle, &wide, (const double *const *)tensors);
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i)
        free(tensors[i]);
    if (verdict != DCNV4I_DONE)
        dcnv4i_oracle_free(oracle);
    return verdict;
}

dcnv4i_exit dcnv4i_oracle_compare(const dcnv4i_oracle *oracle, int tensor, dcnv4i_view got,
                                  dcnv4i_comparison *comparison) {
    const size_t count = dcnv4i_layout_elements(&oracle->layouts[tensor]);
    double *wide = widen(oracle, tensor, got);
    if (!wide)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a float64 copy of %s",
                              oracle->task.op->tensors[tensor].word);
    for (size_t i = 0; i < count; ++i)
        dcnv4i_compare(comparison, oracle->layouts[tensor].dtype, (int64_t)i, wide[i], oracle->expected[tensor][i],
                       oracle->bound[tensor][i]);
    free(wide);
    return DCNV4I_DONE;
}

void dcnv4i_oracle_free(dcnv4i_oracle *oracle) {
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i) {
        free(oracle->expected[i]);
        free(oracle->bound[i]);
        oracle->expected[i] = oracle->bound[i] = NULL;
    }
}
