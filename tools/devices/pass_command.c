/* dcnv4 forward and dcnv4 backward. */
#include "../cli/commands.h"
#include "../operators/layer.h"
#include "../output/output_file.h"
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whether a tensor is what the command writes. */
static bool is_result(const dcnv4i_settings *settings, const dcnv4i_tensor *tensor) {
    return tensor->role == (settings->command == DCNV4I_FORWARD ? DCNV4I_OUTPUT : DCNV4I_GRADIENT);
}

/* Refuses two files of which one would be written over: an input, or another result. */
static dcnv4i_exit compare_paths(const dcnv4i_settings *settings, const dcnv4i_tensor *result,
                                 const dcnv4i_tensor *other) {
    const char *const path = dcnv4i_tensor_path(settings, result), *const name = dcnv4i_tensor_path(settings, other);
    if (!name || !dcnv4i_same_file(name, path))
        return DCNV4I_DONE;
    return dcnv4i_is_input(other)
               ? dcnv4i_verdict(DCNV4I_REFUSED, "%s %s is the file of %s %s; inputs are not written over",
                                result->option, path, other->option, name)
               : dcnv4i_verdict(DCNV4I_REFUSED, "%s %s and %s %s are the same file", result->option, path,
                                other->option, name);
}

/* Refuses results that could not be written, or would overwrite an input or each other. */
static dcnv4i_exit check_paths(const dcnv4i_settings *settings, const dcnv4i_task_operator *op) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int inputs = 1; inputs >= 0; --inputs)
        for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i) {
            const dcnv4i_tensor *const result = &op->tensors[i];
            if (!is_result(settings, result) || !dcnv4i_tensor_path(settings, result))
                continue;
            if (inputs)
                verdict = dcnv4i_output_check(result->option, dcnv4i_tensor_path(settings, result));
            for (int j = inputs ? 0 : i + 1; j < op->tensor_count && verdict == DCNV4I_DONE; ++j)
                if (inputs ? dcnv4i_is_input(&op->tensors[j]) : is_result(settings, &op->tensors[j]))
                    verdict = compare_paths(settings, result, &op->tensors[j]);
        }
    return verdict;
}

/* Converts the elements at *data, which malloc allocated, to another dtype. */
static dcnv4i_exit convert(const char *path, int32_t from, int32_t to, size_t elements, void **data) {
    const size_t bytes = elements * dcnv4i_dtype_bytes(to);
    void *converted = malloc(bytes + 1);
    if (!converted)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", path, bytes);
    const dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_convert(from, *data, to, converted, elements), path);
    free(*data);
    *data = converted;
    return verdict;
}

/* Writes a result to its file, a gradient in the shape of its tensor's file; bfloat16, which .npy lacks, as float32. */
static dcnv4i_exit write_result(const char *path, const dcnv4i_layer *layer, dcnv4i_runner *runner, int tensor) {
    const dcnv4i_layout *const layout = &layer->layouts[tensor];
    const int32_t dtype = layout->dtype, file_dtype = dtype == DCNV4_BFLOAT16 ? DCNV4_FLOAT32 : dtype;
    const size_t elements = layout->bytes / dcnv4i_dtype_bytes(dtype);
    const int of = layer->task.op->tensors[tensor].of;
    const bool as_file = of != DCNV4I_NONE && layer->rank[of] > 0;
    void *data = malloc(layout->bytes + 1);
    FILE *file = NULL;
    if (!data)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", path, layout->bytes);
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, &runner->tensors[tensor], data, layout->bytes);
    if (verdict == DCNV4I_DONE && file_dtype != dtype)
        verdict = convert(path, dtype, file_dtype, elements, &data);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_output_open(path, &file);
    errno = 0;
    if (verdict == DCNV4I_DONE &&
        !dcnv4i_npy_write(file, file_dtype, as_file ? layer->rank[of] : layout->rank,
                          as_file ? layer->shape[of] : layout->shape, data, elements * dcnv4i_dtype_bytes(file_dtype)))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", path, strerror(errno));
    free(data);
    return verdict;
}

static dcnv4i_exit write_results(const dcnv4i_settings *settings, const dcnv4i_layer *layer, dcnv4i_runner *runner) {
    const dcnv4i_task_operator *const op = layer->task.op;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        const char *const path = dcnv4i_tensor_path(settings, &op->tensors[i]);
        if (path && is_result(settings, &op->tensors[i]) && layer->layouts[i].rank > 0)
            verdict = write_result(path, layer, runner, i);
    }
    if (verdict == DCNV4I_DONE)
        return dcnv4i_outputs_commit();
    dcnv4i_outputs_discard();
    return verdict;
}

dcnv4i_exit dcnv4i_run_pass(const dcnv4i_settings *settings) {
    const dcnv4_pass pass = settings->command == DCNV4I_FORWARD ? DCNV4_PASS_FORWARD : DCNV4_PASS_BACKWARD;
    dcnv4i_layer layer;
    dcnv4i_runner runner = {.context = NULL};
    dcnv4i_exit verdict = check_paths(settings, dcnv4i_task_begin(settings).op);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_layer_open(settings, &layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    layer.task.forward_only = pass == DCNV4_PASS_FORWARD;
    verdict = dcnv4i_runner_open(settings->device, settings->threads, &layer.task, &runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_upload(&runner, (const void *const *)layer.tensors);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(&runner, pass);
    if (verdict == DCNV4I_DONE)
        verdict = write_results(settings, &layer, &runner);
    dcnv4i_runner_close(&runner);
    dcnv4i_layer_free(&layer);
    return verdict;
}
