/* dcnv4 forward and dcnv4 backward. */
#include "../cli/commands.h"
#include "../output/output_file.h"
#include "../tensors/layer.h"
#include "../tensors/npy.h"
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One file that the command writes: a tensor of [N, height, width, row]. */
typedef struct result {
    const char *option, *path;
    const dcnv4_buffer *buffer;
    int64_t shape[4];
    size_t bytes;
    int32_t dtype;
} result;

static int list_results(const dcnv4i_settings *settings, const dcnv4i_layer *layer, const dcnv4i_runner *runner,
                        result results[2]) {
    const dcnv4_problem *p = &layer->problem;
    const dcnv4_sizes *sizes = &layer->sizes;
    if (settings->command == DCNV4I_FORWARD) {
        results[0] = (result){"--output",
                              settings->output,
                              &runner->buffers.output,
                              {p->batch, sizes->output_height, sizes->output_width, sizes->channels},
                              sizes->output,
                              p->dtype};
        return 1;
    }
    results[0] = (result){"--grad-value",
                          settings->grad_value,
                          &runner->buffers.grad_value,
                          {p->batch, p->height, p->width, sizes->channels},
                          sizes->grad_value,
                          p->dtype};
    results[1] = (result){"--grad-offset-mask",
                          settings->grad_offset_mask,
                          &runner->buffers.grad_offset_mask,
                          {p->batch, sizes->output_height, sizes->output_width, sizes->offset_mask_row},
                          sizes->grad_offset_mask,
                          dcnv4i_offset_mask_dtype(p)};
    return 2;
}

/* Refuses results that could not be written, or would overwrite an input or each other. */
static dcnv4i_exit check_paths(const dcnv4i_settings *settings, const result *results, int count) {
    const struct {
        const char *option, *path;
    } inputs[] = {
        {"--value", settings->value},
        {"--offset-mask", settings->offset_mask},
        {"--grad-output", settings->grad_output},
    };
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < count && verdict == DCNV4I_DONE; ++i) {
        verdict = dcnv4i_output_check(results[i].option, results[i].path);
        for (size_t j = 0; j < sizeof inputs / sizeof *inputs && verdict == DCNV4I_DONE; ++j)
            if (inputs[j].path && dcnv4i_same_file(inputs[j].path, results[i].path))
                verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s %s is the file of %s %s; inputs are not written over",
                                         results[i].option, results[i].path, inputs[j].option, inputs[j].path);
    }
    if (verdict == DCNV4I_DONE && count == 2 && dcnv4i_same_file(results[0].path, results[1].path))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s %s and %s %s are the same file", results[0].option,
                                 results[0].path, results[1].option, results[1].path);
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

/* Writes a result to its file; bfloat16, which .npy lacks, as float32. */
static dcnv4i_exit write_result(dcnv4i_runner *runner, const result *made) {
    const int32_t dtype = made->dtype;
    const int32_t file_dtype = dtype == DCNV4_BFLOAT16 ? DCNV4_FLOAT32 : dtype;
    const size_t elements = made->bytes / dcnv4i_dtype_bytes(dtype);
    void *data = malloc(made->bytes + 1);
    FILE *file = NULL;
    if (!data)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", made->path, made->bytes);
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, made->buffer, data, made->bytes);
    if (verdict == DCNV4I_DONE && file_dtype != dtype)
        verdict = convert(made->path, dtype, file_dtype, elements, &data);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_output_open(made->path, &file);
    errno = 0;
    if (verdict == DCNV4I_DONE &&
        !dcnv4i_npy_write(file, file_dtype, 4, made->shape, data, elements * dcnv4i_dtype_bytes(file_dtype)))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", made->path, strerror(errno));
    free(data);
    return verdict;
}

static dcnv4i_exit write_results(dcnv4i_runner *runner, const result *results, int count) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < count && verdict == DCNV4I_DONE; ++i)
        verdict = write_result(runner, &results[i]);
    if (verdict == DCNV4I_DONE)
        return dcnv4i_outputs_commit();
    dcnv4i_outputs_discard();
    return verdict;
}

dcnv4i_exit dcnv4i_run_pass(const dcnv4i_settings *settings) {
    const dcnv4_pass pass = settings->command == DCNV4I_FORWARD ? DCNV4_PASS_FORWARD : DCNV4_PASS_BACKWARD;
    dcnv4i_layer layer = {.problem = DCNV4_PROBLEM_INIT, .sizes = DCNV4_SIZES_INIT};
    dcnv4i_runner runner = {.context = NULL};
    result results[2];
    int count = list_results(settings, &layer, &runner, results);
    dcnv4i_exit verdict = check_paths(settings, results, count);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_layer_open(settings, &layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    layer.problem.forward_only = pass == DCNV4_PASS_FORWARD;
    verdict = dcnv4i_runner_open(settings->device, settings->threads, &layer.problem, &runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_upload(&runner, layer.value, layer.offset_mask, layer.grad_output);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(&runner, pass);
    if (verdict == DCNV4I_DONE) {
        count = list_results(settings, &layer, &runner, results);
        verdict = write_results(&runner, results, count);
    }
    dcnv4i_runner_close(&runner);
    dcnv4i_layer_free(&layer);
    return verdict;
}
