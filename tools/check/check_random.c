#include "check_random.h"

#include "../devices/runner.h"
#include "../output/progress.h"
#include "cases.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS = 3, FAILURES_SHOWN = 10 };

static const dcnv4i_tensor_number results[RESULTS] = {
    DCNV4I_OUTPUT_TENSOR,
    DCNV4I_GRAD_VALUE_TENSOR,
    DCNV4I_GRAD_OFFSET_MASK_TENSOR,
};

/* The results of one device over all cases. */
typedef struct tally {
    int64_t cases, failures, unsupported;
    double share[RESULTS]; /* the largest, by result */
    double norm;           /* of all expected results */
} tally;

typedef struct trial {
    const dcnv4i_settings *settings;
    const char *device;
    const dcnv4i_case *given;
    uint64_t seed;
    const dcnv4i_oracle *oracle;
    tally *tally;
} trial;

static void report(const trial *t, const char *what) {
    if (t->tally->failures++ >= FAILURES_SHOWN)
        return;
    dcnv4i_progress_end();
    printf("failed: dcnv4 check --device %s --dtype %s --seed %" PRIu64 " --cases 1", t->device,
           dcnv4i_dtype_word(t->given->problem.dtype), t->seed);
    if (t->settings->threads > 0)
        printf(" --threads %" PRId64, t->settings->threads);
    printf("  # %s\n", what);
    fflush(stdout);
}

static void report_element(const trial *t, dcnv4i_tensor_number tensor, const dcnv4i_comparison *comparison) {
    char what[256];
    int64_t shape[4], at[4], rest = comparison->worst;
    dcnv4i_tensor_shape(&t->oracle->problem, &t->oracle->sizes, tensor, shape);
    for (int i = 3; i >= 0; rest /= shape[i--])
        at[i] = rest % shape[i];
    snprintf(what, sizeof what, "%s[%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "] is %.9g, right is %.9g ± %.2g",
             dcnv4i_tensor_word(tensor), at[0], at[1], at[2], at[3], comparison->got, comparison->expected,
             comparison->allowed);
    report(t, what);
}

/* ---- One case on one device ----------------------------------------------------------------------------------------- */

static dcnv4_buffer *buffer_of(dcnv4i_runner *runner, dcnv4i_tensor_number tensor) {
    dcnv4_buffers *b = &runner->buffers;
    dcnv4_buffer *const buffers[DCNV4I_TENSOR_COUNT] = {
        &b->value, &b->offset_mask, &b->output, &b->grad_output, &b->grad_value, &b->grad_offset_mask,
    };
    return buffers[tensor];
}

/* Uploads all six tensors; results too, since the bytes between their rows must stay as they are. */
static dcnv4i_exit upload(const trial *t, dcnv4i_runner *runner) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < DCNV4I_TENSOR_COUNT && status == DCNV4_SUCCESS; ++i)
        if (t->given->bytes[i] > 0)
            status = dcnv4_upload(runner->context, buffer_of(runner, (dcnv4i_tensor_number)i),
                                  t->given->tensors[i].memory, t->given->bytes[i]);
    return dcnv4i_verdict_library(status, "copying the inputs to the device");
}

static dcnv4i_exit judge(const trial *t, dcnv4i_runner *runner, int result) {
    const dcnv4i_tensor_number tensor = results[result];
    void *memory = malloc(t->given->bytes[tensor] + 1);
    if (!memory)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of a result", t->given->bytes[tensor]);
    dcnv4i_comparison comparison = {0};
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, buffer_of(runner, tensor), memory, t->given->bytes[tensor]);
    const dcnv4i_view got = {memory, t->given->tensors[tensor].stride};
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(t->oracle, tensor, got, &comparison);
    if (verdict == DCNV4I_DONE) {
        const int64_t touched = dcnv4i_case_touched(t->given, tensor, memory);
        char what[128];
        snprintf(what, sizeof what, "byte %" PRId64 " of %s, between two rows, was written", touched,
                 dcnv4i_tensor_word(tensor));
        if (comparison.wrong)
            report_element(t, tensor, &comparison);
        else if (touched >= 0)
            report(t, what);
        if (!(comparison.share <= t->tally->share[result]))
            t->tally->share[result] = comparison.share;
        t->tally->norm += comparison.norm;
    }
    free(memory);
    return verdict;
}

static dcnv4i_exit run(const trial *t, dcnv4i_runner *runner) {
    dcnv4i_exit verdict = upload(t, runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(runner, DCNV4_PASS_FORWARD);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(runner, DCNV4_PASS_BACKWARD);
    for (int i = 0; i < RESULTS && verdict == DCNV4I_DONE; ++i)
        verdict = judge(t, runner, i);
    return verdict;
}

static void try_device(const trial *t) {
    dcnv4i_runner runner;
    dcnv4i_exit verdict = dcnv4i_runner_open(t->device, t->settings->threads, &t->given->problem, &runner);
    if (runner.status == DCNV4_UNSUPPORTED) {
        t->tally->unsupported += 1;
        return;
    }
    t->tally->cases += 1;
    if (verdict == DCNV4I_DONE)
        verdict = run(t, &runner);
    if (verdict != DCNV4I_DONE)
        report(t, dcnv4i_verdict_line());
    dcnv4i_runner_close(&runner);
}

/* ---- All cases ------------------------------------------------------------------------------------------------------ */

static dcnv4i_exit try_case(const dcnv4i_settings *settings, uint64_t seed, const dcnv4i_devices *devices,
                            tally *tallies) {
    dcnv4i_case given;
    dcnv4i_oracle oracle;
    dcnv4i_exit verdict = dcnv4i_case_create(seed, settings->dtype, &given);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = dcnv4i_oracle_create(&given.problem, given.tensors[DCNV4I_VALUE_TENSOR],
                                   given.tensors[DCNV4I_OFFSET_MASK_TENSOR], given.tensors[DCNV4I_GRAD_OUTPUT_TENSOR],
                                   &oracle);
    if (verdict == DCNV4I_DONE) {
        for (int64_t i = 0; i < devices->count; ++i)
            if (devices->items[i].reason[0] == '\0')
                try_device(&(trial){settings, devices->items[i].name, &given, seed, &oracle, &tallies[i]});
        dcnv4i_oracle_free(&oracle);
    }
    dcnv4i_case_free(&given);
    return verdict;
}

static void print_table(const dcnv4i_devices *devices, const tally *tallies) {
    printf("%-14s %6s  %-37s\n", "", "", "worst share of the bound that was used");
    printf("%-14s %6s  %8s %11s %16s\n", "device", "cases", "output", "grad_value", "grad_offset_mask");
    for (int64_t i = 0; i < devices->count; ++i) {
        const dcnv4i_device *device = &devices->items[i];
        const tally *t = &tallies[i];
        if (device->reason[0]) {
            printf("%-14s missing: %s\n", device->name, device->reason);
            continue;
        }
        printf("%-14s %6" PRId64 "  %8.3g %11.3g %16.3g  ", device->name, t->cases, t->share[0], t->share[1],
               t->share[2]);
        if (t->failures > 0)
            printf("%" PRId64 " FAILED\n", t->failures);
        else if (t->cases == 0)
            printf("none of its dtypes was drawn\n");
        else if (t->norm == 0)
            printf("FAILED: every result was 0\n");
        else
            printf("ok\n");
    }
}

static dcnv4i_exit sum_up(const dcnv4i_devices *devices, const tally *tallies) {
    int64_t cases = 0, failures = 0;
    for (int64_t i = 0; i < devices->count; ++i) {
        cases += tallies[i].cases;
        failures += tallies[i].failures;
        if (tallies[i].cases > 0 && tallies[i].norm == 0 && tallies[i].failures == 0)
            return dcnv4i_verdict(DCNV4I_BROKEN, "every result of %s was 0, which proves nothing",
                                  devices->items[i].name);
    }
    if (failures > 0)
        return dcnv4i_verdict(DCNV4I_BROKEN, "wrong or broken: %" PRId64 " results in %" PRId64 " runs", failures,
                              cases);
    if (cases == 0)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no case was run: no device has the dtypes that were drawn");
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_check_random(const dcnv4i_settings *settings, const dcnv4i_devices *devices) {
    tally *tallies = calloc((size_t)devices->count + 1, sizeof *tallies);
    if (!tallies)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 " devices", devices->count);
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < settings->cases && verdict == DCNV4I_DONE; ++i) {
        dcnv4i_progress("case %" PRId64 " of %" PRId64, i + 1, settings->cases);
        verdict = try_case(settings, (uint64_t)settings->seed + (uint64_t)i, devices, tallies);
    }
    dcnv4i_progress_end();
    if (verdict == DCNV4I_DONE) {
        print_table(devices, tallies);
        verdict = sum_up(devices, tallies);
    }
    free(tallies);
    return verdict;
}
