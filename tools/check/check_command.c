/* dcnv4 check. */
#include "../cli/commands.h"
#include "../devices/runner.h"
#include "../devices/stopwatch.h"
#include "../operators/layer.h"
#include "../operators/task_list.h"
#include "../output/progress.h"
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

static dcnv4i_exit judge(dcnv4i_runner *runner, const dcnv4i_oracle *oracle, int tensor,
                         dcnv4i_comparison *comparison) {
    const dcnv4i_layout *const layout = &runner->layouts[tensor];
    void *memory = malloc(layout->bytes + 1);
    if (!memory)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of a result", layout->bytes);
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, &runner->tensors[tensor], memory, layout->bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(oracle, tensor, (dcnv4i_view){memory, layout->stride}, comparison);
    free(memory);
    return verdict;
}

static dcnv4i_exit try_device(const char *device, int64_t threads, const dcnv4i_layer *layer,
                              const dcnv4i_oracle *oracle, outcome *made) {
    dcnv4i_runner runner;
    *made = (outcome){.ms = {NAN, NAN}};
    dcnv4i_exit verdict = dcnv4i_runner_open(device, threads, &layer->task, &runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_upload(&runner, (const void *const *)layer->tensors);
    if (verdict == DCNV4I_DONE)
        verdict = time_pass(&runner, DCNV4_PASS_FORWARD, &made->ms[0]);
    if (verdict == DCNV4I_DONE)
        verdict = time_pass(&runner, DCNV4_PASS_BACKWARD, &made->ms[1]);
    for (int i = 0; i < layer->task.op->tensor_count && verdict == DCNV4I_DONE; ++i)
        if (!dcnv4i_is_input(&layer->task.op->tensors[i]) && layer->layouts[i].rank > 0)
            verdict = judge(&runner, oracle, i, &made->comparison);
    dcnv4i_runner_close(&runner);
    return verdict;
}

/* ---- The given tensors on every device ------------------------------------------------------------------------------ */

/* Draws what no file gave, such as grad_output, and computes the expected results. */
static dcnv4i_exit prepare(const dcnv4i_settings *settings, dcnv4i_layer *layer, dcnv4i_oracle *oracle) {
    dcnv4i_random random = {(uint64_t)settings->seed};
    dcnv4i_view inputs[DCNV4I_TENSORS_MOST];
    const dcnv4i_exit verdict = dcnv4i_layer_fill(&random, settings->spread, layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i)
        inputs[i] = (dcnv4i_view){layer->tensors[i], layer->layouts[i].stride};
    dcnv4i_progress("running the reference");
    return dcnv4i_oracle_create(&layer->task, inputs, oracle);
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

static bool has_output(const dcnv4i_layer *layer) {
    for (int i = 0; i < layer->task.op->tensor_count; ++i)
        if (layer->task.op->tensors[i].role == DCNV4I_OUTPUT)
            return layer->layouts[i].bytes > 0;
    return false;
}

/* A layer on every device; frees it. */
static dcnv4i_exit check_layer(const dcnv4i_settings *settings, const dcnv4i_devices *devices, const char *about,
                               dcnv4i_layer *layer) {
    dcnv4i_oracle oracle = {.task = {.op = NULL}};
    dcnv4i_exit verdict = DCNV4I_DONE;
    if (!has_output(layer))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s: the output has 0 elements; at least 1 is needed for a check",
                                 about);
    if (verdict == DCNV4I_DONE)
        verdict = prepare(settings, layer, &oracle);
    dcnv4i_progress_end();
    bool failed = false;
    if (verdict == DCNV4I_DONE)
        printf("%-14s %10s %11s  %9s  %14s\n", "device", "forward ms", "backward ms", "error", "share of bound");
    for (int64_t i = 0; i < devices->count && verdict == DCNV4I_DONE; ++i)
        verdict = print_row(&devices->items[i], settings->threads, layer, &oracle, &failed);
    if (verdict == DCNV4I_DONE && failed)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "a device failed, or its results are not those of the reference");
    dcnv4i_oracle_free(&oracle);
    dcnv4i_layer_free(layer);
    return verdict;
}

static dcnv4i_exit check_files(const dcnv4i_settings *settings, const dcnv4i_devices *devices) {
    dcnv4i_layer layer;
    const dcnv4i_exit verdict = dcnv4i_layer_open(settings, &layer);
    return verdict == DCNV4I_DONE ? check_layer(settings, devices, settings->value, &layer) : verdict;
}

/* The presets' layers, with random tensors. */
static dcnv4i_exit check_presets(const dcnv4i_settings *settings, const dcnv4i_devices *devices) {
    dcnv4i_tasks tasks;
    dcnv4i_exit verdict = dcnv4i_tasks_open(settings, &tasks);
    for (int64_t i = 0; i < tasks.count && verdict == DCNV4I_DONE; ++i) {
        char words[96];
        dcnv4i_layer layer = {.task = tasks.items[i]};
        dcnv4i_task_words(&layer.task, words, sizeof words);
        verdict = dcnv4i_task_lay_out(&layer.task, words, layer.layouts);
        if (verdict == DCNV4I_DONE) {
            printf("%s%s, %s\n", i ? "\n" : "", words, dcnv4i_dtype_word(layer.task.dtype));
            verdict = check_layer(settings, devices, words, &layer);
        }
    }
    dcnv4i_tasks_free(&tasks);
    return verdict;
}

static dcnv4i_exit check_usage(const dcnv4i_settings *settings, bool *files) {
    const dcnv4i_task_operator *const op = dcnv4i_task_begin(settings).op;
    *files = settings->problem_given;
    for (int i = 0; i < op->tensor_count; ++i)
        *files = *files || (dcnv4i_is_input(&op->tensors[i]) && dcnv4i_tensor_path(settings, &op->tensors[i]));
    const char *const lacks = op->check_lacks(settings);
    if (settings->presets.count > 0 && settings->value)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--preset and --value %s are two different things to check",
                              settings->value);
    *files = *files && settings->presets.count == 0;
    return *files && lacks ? dcnv4i_verdict(DCNV4I_REFUSED, "check of given tensors needs %s; %s is missing",
                                            op->check_needs, lacks)
                           : DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_check(const dcnv4i_settings *settings) {
    dcnv4i_devices devices;
    bool files;
    dcnv4i_exit verdict = check_usage(settings, &files);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_devices_open(&settings->devices, "all", &devices);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = (files                         ? check_files
               : settings->presets.count > 0 ? check_presets
                                             : dcnv4i_check_random)(settings, &devices);
    dcnv4i_devices_free(&devices);
    return verdict;
}
