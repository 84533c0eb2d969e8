/* dcnv4 check. */
#include "../cli/commands.h"
#include "../devices/runner.h"
#include "../devices/stopwatch.h"
#include "../output/progress.h"
#include "../tensors/layer.h"
#include "../tensors/npy.h"
#include "../tensors/random_numbers.h"
#include "check_random.h"
#include "oracle.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { RUNS_LEAST = 3, RUNS_MOST = 25, PATIENCE_MS = 300 };

/* The outcome of one device with the given tensors. */
typedef struct outcome {
    double ms[2]; /* by pass */
    dcnv4i_comparison comparison;
} outcome;

/* The median of a few runs, after a warm-up run. */
static dcnv4i_exit time_pass(dcnv4i_runner *runner, dcnv4_pass pass, double *median) {
    double times[RUNS_MOST];
    size_t runs = 0;
    const double begin = dcnv4i_now_ms();
    dcnv4i_exit verdict = dcnv4i_runner_run(runner, pass);
    while (verdict == DCNV4I_DONE && runs < RUNS_MOST && (runs < RUNS_LEAST || dcnv4i_now_ms() - begin < PATIENCE_MS)) {
        const double start = dcnv4i_now_ms();
        verdict = dcnv4i_runner_run(runner, pass);
        times[runs++] = dcnv4i_now_ms() - start;
    }
    if (verdict == DCNV4I_DONE)
        *median = dcnv4i_spread_of(times, runs).median;
    return verdict;
}

static dcnv4i_exit judge(dcnv4i_runner *runner, const dcnv4i_oracle *oracle, dcnv4i_tensor_number tensor,
                         const dcnv4_buffer *buffer, size_t bytes, dcnv4i_comparison *comparison) {
    int64_t shape[4];
    dcnv4i_tensor_shape(&oracle->problem, &oracle->sizes, tensor, shape);
    void *memory = malloc(bytes + 1);
    if (!memory)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of a result", bytes);
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, buffer, memory, bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(oracle, tensor, (dcnv4i_view){memory, shape[3]}, comparison);
    free(memory);
    return verdict;
}

static dcnv4i_exit try_device(const char *device, int64_t threads, const dcnv4i_layer *layer,
                              const dcnv4i_oracle *oracle, outcome *made) {
    dcnv4i_runner runner;
    *made = (outcome){.ms = {NAN, NAN}};
    dcnv4i_exit verdict = dcnv4i_runner_open(device, threads, &layer->problem, &runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_upload(&runner, layer->value, layer->offset_mask, layer->grad_output);
    if (verdict == DCNV4I_DONE)
        verdict = time_pass(&runner, DCNV4_PASS_FORWARD, &made->ms[0]);
    if (verdict == DCNV4I_DONE)
        verdict = time_pass(&runner, DCNV4_PASS_BACKWARD, &made->ms[1]);
    const struct {
        dcnv4i_tensor_number tensor;
        const dcnv4_buffer *buffer;
        size_t bytes;
    } results[] = {
        {DCNV4I_OUTPUT_TENSOR, &runner.buffers.output, runner.sizes.output},
        {DCNV4I_GRAD_VALUE_TENSOR, &runner.buffers.grad_value, runner.sizes.grad_value},
        {DCNV4I_GRAD_OFFSET_MASK_TENSOR, &runner.buffers.grad_offset_mask, runner.sizes.grad_offset_mask},
    };
    for (int i = 0; i < 3 && verdict == DCNV4I_DONE; ++i)
        verdict = judge(&runner, oracle, results[i].tensor, results[i].buffer, results[i].bytes, &made->comparison);
    dcnv4i_runner_close(&runner);
    return verdict;
}

/* ---- The given tensors on every device ------------------------------------------------------------------------------ */

/* Makes a random grad_output for the layer, and the expected results. */
static dcnv4i_exit prepare(const dcnv4i_settings *settings, dcnv4i_layer *layer, dcnv4i_oracle *oracle) {
    const dcnv4_sizes *sizes = &layer->sizes;
    dcnv4i_random random = {(uint64_t)settings->seed};
    const size_t item = dcnv4i_dtype_bytes(layer->problem.dtype);
    layer->grad_output = malloc(sizes->grad_output + 1);
    if (!layer->grad_output)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of grad_output", sizes->grad_output);
    dcnv4i_fill_normal(&random, 1, layer->problem.dtype, layer->grad_output, sizes->grad_output / item);
    dcnv4i_progress("running the reference");
    return dcnv4i_oracle_create(&layer->problem, (dcnv4i_view){layer->value, sizes->channels},
                                (dcnv4i_view){layer->offset_mask, sizes->offset_mask_row},
                                (dcnv4i_view){layer->grad_output, sizes->channels}, oracle);
}

/* Prints the row of a device without results. */
static void print_reason(const dcnv4i_device *device, const char *what, const char *reason) {
    printf("%-14s %s%s\n", device->name, what, reason);
    fflush(stdout);
}

/* Runs one device and prints its row. A device that is missing, or lacks this dtype, is a failure only if it was asked
 * for by name. */
static dcnv4i_exit print_row(const dcnv4i_device *device, int64_t threads, const dcnv4i_layer *layer,
                             const dcnv4i_oracle *oracle, bool *failed) {
    outcome made;
    if (device->reason[0]) {
        print_reason(device, "missing: ", device->reason);
        return DCNV4I_DONE;
    }
    dcnv4i_progress("%s", device->name);
    const dcnv4i_exit verdict = try_device(device->name, threads, layer, oracle, &made);
    dcnv4i_progress_end();
    if (verdict == DCNV4I_BROKEN) {
        *failed = true;
        print_reason(device, "FAILED: ", dcnv4i_verdict_line());
        return DCNV4I_DONE;
    }
    if (verdict != DCNV4I_DONE) {
        print_reason(device, "", dcnv4i_verdict_line());
        return device->named ? verdict : DCNV4I_DONE;
    }
    const dcnv4i_comparison *c = &made.comparison;
    const bool right = !c->wrong && c->judged > 0 && c->norm > 0;
    *failed = *failed || !right;
    printf("%-14s %10.3f %11.3f  %9.2e  %14.3g  %s\n", device->name, made.ms[0], made.ms[1],
           dcnv4i_comparison_normwise(c), c->share, right ? "ok" : "FAILED");
    fflush(stdout);
    return DCNV4I_DONE;
}

static dcnv4i_exit check_layer(const dcnv4i_settings *settings, const dcnv4i_devices *devices) {
    dcnv4i_layer layer;
    dcnv4i_oracle oracle = {.problem = DCNV4_PROBLEM_INIT};
    dcnv4i_exit verdict = dcnv4i_layer_open(settings, &layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (layer.sizes.output == 0)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s: the output has 0 elements; at least 1 is needed for a check",
                                 settings->value);
    if (verdict == DCNV4I_DONE)
        verdict = prepare(settings, &layer, &oracle);
    dcnv4i_progress_end();
    bool failed = false;
    if (verdict == DCNV4I_DONE)
        printf("%-14s %10s %11s  %9s  %14s\n", "device", "forward ms", "backward ms", "error", "share of bound");
    for (int64_t i = 0; i < devices->count && verdict == DCNV4I_DONE; ++i)
        verdict = print_row(&devices->items[i], settings->threads, &layer, &oracle, &failed);
    if (verdict == DCNV4I_DONE && failed)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "a device failed, or its results are not those of the reference");
    dcnv4i_oracle_free(&oracle);
    dcnv4i_layer_free(&layer);
    return verdict;
}

static dcnv4i_exit check_usage(const dcnv4i_settings *settings) {
    if (!settings->value && !settings->offset_mask && !settings->problem_given)
        return DCNV4I_DONE;
    if (!settings->value || !settings->offset_mask || settings->groups == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "check of given tensors needs --value, --offset-mask and --groups; %s is missing",
                              !settings->value         ? "--value"
                              : !settings->offset_mask ? "--offset-mask"
                                                       : "--groups");
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_check(const dcnv4i_settings *settings) {
    dcnv4i_devices devices;
    dcnv4i_exit verdict = check_usage(settings);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_devices_open(&settings->devices, "all", &devices);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = settings->value ? check_layer(settings, &devices) : dcnv4i_check_random(settings, &devices);
    dcnv4i_devices_free(&devices);
    return verdict;
}
