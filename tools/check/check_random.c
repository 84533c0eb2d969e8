#include "check_random.h"

#include "../devices/runner.h"
#include "../output/progress.h"
#include "cases.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_SHOWN = 10 };

/* The results of one device over all cases. */
typedef struct tally {
    int64_t cases, failures, unsupported;
    double share[DCNV4I_TENSORS_MOST]; /* the largest, by tensor */
    double norm;                       /* of all expected results */
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
    printf("failed: dcnv4 check %s--device %s --dtype %s --seed %" PRIu64 " --cases 1",
           dcnv4i_task_option(&t->given->task), t->device, dcnv4i_dtype_word(t->given->task.dtype), t->seed);
    if (t->settings->threads > 0)
        printf(" --threads %" PRId64, t->settings->threads);
    printf("  # %s\n", what);
    fflush(stdout);
}

/* "output[0, 1, 2, 3] is …" */
static void report_element(const trial *t, int tensor, const dcnv4i_comparison *comparison) {
    char what[256], index[128] = "";
    const dcnv4i_layout *const layout = &t->oracle->layouts[tensor];
    int64_t at[DCNV4I_RANK_MOST], rest = comparison->worst;
    for (int i = layout->rank - 1; i >= 0; rest /= layout->shape[i--])
        at[i] = rest % layout->shape[i];
    dcnv4i_npy_shape(layout->rank, at, index, sizeof index);
    snprintf(what, sizeof what, "%s%s is %.9g, right is %.9g ± %.2g", t->given->task.op->tensors[tensor].word, index,
             comparison->got, comparison->expected, comparison->allowed);
    report(t, what);
}

/* ---- One case on one device ----------------------------------------------------------------------------------------- */

/* Uploads all tensors; results too, since the bytes between their rows must stay as they are. */
static dcnv4i_exit upload(const trial *t, dcnv4i_runner *runner) {
    const void *tensors[DCNV4I_TENSORS_MOST];
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i)
        tensors[i] = t->given->tensors[i].memory;
    return dcnv4i_runner_upload(runner, tensors);
}

static dcnv4i_exit judge(const trial *t, dcnv4i_runner *runner, int tensor) {
    const dcnv4i_layout *const layout = &t->given->layouts[tensor];
    void *memory = malloc(layout->bytes + 1);
    if (!memory)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of a result", layout->bytes);
    dcnv4i_comparison comparison = {0};
    dcnv4i_exit verdict = dcnv4i_runner_download(runner, &runner->tensors[tensor], memory, layout->bytes);
    const dcnv4i_view got = {memory, layout->stride};
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(t->oracle, tensor, got, &comparison);
    if (verdict == DCNV4I_DONE) {
        const int64_t touched = dcnv4i_case_touched(t->given, tensor, memory);
        char what[128];
        snprintf(what, sizeof what, "byte %" PRId64 " of %s, between two rows, was written", touched,
                 t->given->task.op->tensors[tensor].word);
        if (comparison.wrong)
            report_element(t, tensor, &comparison);
        else if (touched >= 0)
            report(t, what);
        if (!(comparison.share <= t->tally->share[tensor]))
            t->tally->share[tensor] = comparison.share;
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
    for (int i = 0; i < runner->op->tensor_count && verdict == DCNV4I_DONE; ++i)
        if (!dcnv4i_is_input(&runner->op->tensors[i]) && t->given->layouts[i].rank > 0)
            verdict = judge(t, runner, i);
    return verdict;
}

static void try_device(const trial *t) {
    dcnv4i_runner runner;
    dcnv4i_exit verdict = dcnv4i_runner_open(t->device, t->settings->threads, &t->given->task, &runner);
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
    dcnv4i_exit verdict = dcnv4i_case_create(settings, seed, &given);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = dcnv4i_oracle_create(&given.task, given.tensors, &oracle);
    if (verdict == DCNV4I_DONE) {
        for (int64_t i = 0; i < devices->count; ++i)
            if (devices->items[i].reason[0] == '\0')
                try_device(&(trial){settings, devices->items[i].name, &given, seed, &oracle, &tallies[i]});
        dcnv4i_oracle_free(&oracle);
    }
    dcnv4i_case_free(&given);
    return verdict;
}

/* The width of a result's column. */
static int column_of(const dcnv4i_tensor *tensor) {
    const int length = (int)strlen(tensor->word), least = tensor->role == DCNV4I_GRADIENT ? 11 : 8;
    return length > least ? length : least;
}

/* A column for each result, as wide as its name. */
static void print_table(const dcnv4i_task_operator *op, const dcnv4i_devices *devices, const tally *tallies) {
    printf("%-14s %6s  %-37s\n", "", "", "worst share of the bound that was used");
    printf("%-14s %6s ", "device", "cases");
    for (int i = 0; i < op->tensor_count; ++i)
        if (!dcnv4i_is_input(&op->tensors[i]))
            printf(" %*s", column_of(&op->tensors[i]), op->tensors[i].word);
    putchar('\n');
    for (int64_t d = 0; d < devices->count; ++d) {
        const dcnv4i_device *device = &devices->items[d];
        const tally *t = &tallies[d];
        if (device->reason[0]) {
            printf("%-14s missing: %s\n", device->name, device->reason);
            continue;
        }
        printf("%-14s %6" PRId64 " ", device->name, t->cases);
        for (int i = 0; i < op->tensor_count; ++i)
            if (!dcnv4i_is_input(&op->tensors[i]))
                printf(" %*.3g", column_of(&op->tensors[i]), t->share[i]);
        if (t->failures > 0)
            printf("  %" PRId64 " FAILED\n", t->failures);
        else if (t->cases == 0)
            printf("  none of its dtypes was drawn\n");
        else if (t->norm == 0)
            printf("  FAILED: every result was 0\n");
        else
            printf("  ok\n");
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
        print_table(dcnv4i_task_begin(settings).op, devices, tallies);
        verdict = sum_up(devices, tallies);
    }
    free(tallies);
    return verdict;
}
