#include "bench_run.h"

#include "../devices/sample.h"
#include "../output/progress.h"
#include "bench_inputs.h"
#include "processor_floor.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_LEAST = 5, ROUNDS_MOST = 100 };
/* The time for all rounds, and the least time of a sample; a device's sample includes waiting for its end. */
static const double budget_ms = 500, sample_ms = 0.2, device_sample_ms = 2;

/* A device in the race. */
typedef struct tactic {
    const char *device;
    dcnv4_device_info info;
    dcnv4i_runner runner;
    int64_t threads;           /* 0 for a device that measures its own floor */
    int64_t repeats;           /* runs of one sample */
    dcnv4i_floor floor;        /* the processor's, where it has threads */
    const struct tactic *like; /* itself, or an earlier one with as many threads: the one whose floor is used */
    double *times, *load_times, *memory_times; /* by round */
} tactic;

typedef struct bench {
    const dcnv4i_settings *settings;
    const dcnv4i_task *task;
    dcnv4i_inputs inputs;
    tactic *tactics;
    int64_t count;
} bench;

const char *dcnv4i_pass_word(dcnv4_pass pass) {
    return pass == DCNV4_PASS_FORWARD ? "forward" : "backward";
}

/* ---- The race ------------------------------------------------------------------------------------------------------- */

/* Bytes of the tensors of a role, or of another. */
static double bytes_of(const bench *b, dcnv4i_role one, dcnv4i_role other) {
    double bytes = 0;
    for (int i = 0; i < b->task->op->tensor_count; ++i)
        if (b->task->op->tensors[i].role == one || b->task->op->tensors[i].role == other)
            bytes += (double)b->inputs.layer.layouts[i].bytes;
    return bytes;
}

/* Bytes of the tensors that the pass reads, each once. */
static double read_bytes(const bench *b, dcnv4_pass pass) {
    return bytes_of(b, DCNV4I_INPUT, pass == DCNV4_PASS_FORWARD ? DCNV4I_INPUT : DCNV4I_GRAD_INPUT);
}

static double write_bytes(const bench *b, dcnv4_pass pass) {
    const dcnv4i_role role = pass == DCNV4_PASS_FORWARD ? DCNV4I_OUTPUT : DCNV4I_GRADIENT;
    return bytes_of(b, role, role);
}

/* What is gathered from value, in the arithmetic's width. */
static double gathered_bytes(const bench *b) {
    return b->task->op->gathered(b->task) * (b->task->dtype == DCNV4_FLOAT64 ? 8 : 4);
}

static dcnv4i_exit sample(tactic *c, dcnv4_pass pass, dcnv4i_sampled what, double *ms) {
    return dcnv4i_sample_run(&c->runner, pass, what, c->repeats, dcnv4i_now_ms, ms);
}

static bool has_floor(const tactic *c) {
    return c->threads == 0 || c->floor.from != NULL;
}

static dcnv4i_exit sample_floor(tactic *c, dcnv4_pass pass, double *load_ms, double *memory_ms) {
    if (c->threads == 0) {
        const dcnv4i_exit verdict = sample(c, pass, DCNV4I_ITS_LOADS, load_ms);
        return verdict == DCNV4I_DONE ? sample(c, pass, DCNV4I_ITS_MEMORY, memory_ms) : verdict;
    }
    *load_ms = dcnv4i_floor_load_ms(&c->floor);
    *memory_ms = dcnv4i_floor_memory_ms(&c->floor);
    return DCNV4I_DONE;
}

/* Warms up every device, and decides the number of runs in a sample and of rounds. */
static dcnv4i_exit warm_up(const bench *b, dcnv4_pass pass, int64_t *rounds) {
    double sum = 0;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < b->count && verdict == DCNV4I_DONE; ++i) {
        tactic *c = &b->tactics[i];
        double ms = 0;
        c->repeats = 1;
        for (int run = 0; run < 3 && verdict == DCNV4I_DONE; ++run)
            verdict = sample(c, pass, DCNV4I_THE_PASS, &ms);
        if (verdict == DCNV4I_DONE && c->threads == 0) /* compiles */
            verdict = sample_floor(c, pass, &ms, &ms);
        c->repeats = dcnv4i_sample_repeats(ms, c->threads == 0 ? device_sample_ms : sample_ms);
        sum += ms * (double)c->repeats;
    }
    const double fit = budget_ms / fmax(sum, 1e-3);
    *rounds = b->settings->runs > 0 ? b->settings->runs
              : fit < ROUNDS_LEAST  ? ROUNDS_LEAST
              : fit > ROUNDS_MOST   ? ROUNDS_MOST
                                    : (int64_t)fit;
    return verdict;
}

/* Times every device and its floor once, so that all of them see the same load of the machine. Each pass runs once
 * untimed first, to fill the caches with its own data. It runs after the floor, since a device's floor overwrites its
 * results. */
static dcnv4i_exit run_round(const bench *b, dcnv4_pass pass, int64_t round) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < b->count && verdict == DCNV4I_DONE; ++i) {
        tactic *c = &b->tactics[i];
        double before;
        if (has_floor(c))
            verdict = sample_floor(c, pass, &c->load_times[round], &c->memory_times[round]);
        if (verdict == DCNV4I_DONE)
            verdict = sample(c, pass, DCNV4I_THE_PASS, &before);
        if (verdict == DCNV4I_DONE)
            verdict = sample(c, pass, DCNV4I_THE_PASS, &c->times[round]);
    }
    return verdict;
}

static bool prepare_tactic(const bench *b, tactic *c, dcnv4_pass pass, int64_t rounds) {
    c->like = c->threads == 0 ? c : b->tactics;
    while (c->like->threads != c->threads)
        ++c->like;
    c->times = malloc((size_t)rounds * sizeof *c->times);
    c->load_times = malloc((size_t)rounds * sizeof *c->load_times);
    c->memory_times = malloc((size_t)rounds * sizeof *c->memory_times);
    if (!c->times || !c->load_times || !c->memory_times)
        return false;
    return c->threads == 0 || c->like != c ||
           dcnv4i_floor_create(c->threads, gathered_bytes(b), read_bytes(b, pass), write_bytes(b, pass), &c->floor);
}

static void forget_pass(tactic *c) {
    free(c->times), free(c->load_times), free(c->memory_times);
    c->times = c->load_times = c->memory_times = NULL;
    dcnv4i_floor_free(&c->floor);
}

/* The larger of the two medians. */
static double floor_of(const tactic *c, int64_t rounds, bool *memory_binds) {
    const double load = dcnv4i_spread_of(c->like->load_times, (size_t)rounds).median;
    const double memory = dcnv4i_spread_of(c->like->memory_times, (size_t)rounds).median;
    *memory_binds = memory > load;
    return fmax(load, memory);
}

static dcnv4i_exit append_record(const bench *b, tactic *c, dcnv4_pass pass, int64_t rounds, dcnv4i_records *records) {
    dcnv4i_comparison comparison = {0};
    const dcnv4i_exit verdict = dcnv4i_inputs_judge_pass(&b->inputs, &c->runner, pass, &comparison);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_record *items = realloc(records->items, (size_t)(records->count + 1) * sizeof *items);
    if (!items)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the results");
    records->items = items;
    dcnv4i_record *made = &items[records->count++];
    *made = (dcnv4i_record){.pass = pass,
                            .task = *b->task,
                            .threads = c->threads,
                            .runs = rounds * c->repeats,
                            .ms = dcnv4i_spread_of(c->times, (size_t)rounds),
                            .bytes = read_bytes(b, pass) + write_bytes(b, pass),
                            .error = dcnv4i_comparison_normwise(&comparison),
                            .right = !comparison.wrong && comparison.judged > 0 && comparison.norm > 0};
    made->floor_ms = floor_of(c, rounds, &made->memory_binds);
    snprintf(made->device, sizeof made->device, "%s", c->device);
    snprintf(made->backend, sizeof made->backend, "%s", c->info.backend);
    return DCNV4I_DONE;
}

static dcnv4i_exit run_pass(const bench *b, dcnv4_pass pass, dcnv4i_records *records) {
    char words[96];
    int64_t rounds = 0;
    dcnv4i_task_words(b->task, words, sizeof words);
    dcnv4i_exit verdict = warm_up(b, pass, &rounds);
    for (int64_t i = 0; i < b->count && verdict == DCNV4I_DONE; ++i)
        if (!prepare_tactic(b, &b->tactics[i], pass, rounds))
            verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory to measure the floor with");
    for (int64_t round = 0; round < rounds && verdict == DCNV4I_DONE; ++round) {
        dcnv4i_progress("%s %s: round %" PRId64 " of %" PRId64, words, dcnv4i_pass_word(pass), round + 1, rounds);
        verdict = run_round(b, pass, round);
    }
    for (int64_t i = 0; i < b->count && verdict == DCNV4I_DONE; ++i)
        verdict = append_record(b, &b->tactics[i], pass, rounds, records);
    for (int64_t i = 0; i < b->count; ++i)
        forget_pass(&b->tactics[i]);
    dcnv4i_progress_end();
    return verdict;
}

/* ---- One problem ---------------------------------------------------------------------------------------------------- */

/* Devices that run on the processor have its floor. */
static int64_t threads_of(const bench *b, const tactic *c) {
    if (strcmp(c->info.backend, "cpu") == 0)
        return b->settings->threads > 0 ? b->settings->threads : c->info.units;
    return strcmp(c->info.backend, "reference") == 0 ? 1 : 0;
}

/* Makes the problem ready on a device; one that lacks this dtype is left out if it was not asked for by name. */
static dcnv4i_exit enter(bench *b, const dcnv4i_device *device) {
    tactic *c = &b->tactics[b->count];
    *c = (tactic){.device = device->name, .info = DCNV4_DEVICE_INFO_INIT};
    dcnv4i_exit verdict = dcnv4i_runner_open(device->name, b->settings->threads, b->task, &c->runner);
    if (c->runner.status == DCNV4_UNSUPPORTED && !device->named)
        return DCNV4I_DONE;
    if (verdict != DCNV4I_DONE)
        return verdict;
    b->count += 1;
    verdict = dcnv4i_verdict_library(dcnv4_context_info(c->runner.context, &c->info), device->name);
    c->threads = threads_of(b, c);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_inputs_upload(&b->inputs, &c->runner);
    return verdict;
}

static dcnv4i_exit race(bench *b, const dcnv4i_devices *devices, dcnv4i_records *records) {
    dcnv4i_exit verdict = dcnv4i_inputs_draw(b->task, (uint64_t)b->settings->seed, b->settings->spread, NULL,
                                             &b->inputs);
    for (int64_t i = 0; i < devices->count && verdict == DCNV4I_DONE; ++i)
        if (devices->items[i].reason[0] == '\0')
            verdict = enter(b, &devices->items[i]);
    if (verdict == DCNV4I_DONE && b->settings->pass != DCNV4_PASS_BACKWARD)
        verdict = run_pass(b, DCNV4_PASS_FORWARD, records);
    if (verdict == DCNV4I_DONE && b->settings->pass != DCNV4_PASS_FORWARD)
        verdict = run_pass(b, DCNV4_PASS_BACKWARD, records);
    return verdict;
}

dcnv4i_exit dcnv4i_bench_problem(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                                 const dcnv4i_task *task, dcnv4i_records *records) {
    char words[96];
    dcnv4i_progress("%s: drawing the inputs", dcnv4i_task_words(task, words, sizeof words));
    bench b = {.settings = settings, .task = task};
    b.tactics = malloc((size_t)devices->count * sizeof *b.tactics + 1);
    const dcnv4i_exit verdict = b.tactics ? race(&b, devices, records)
                                          : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 " devices",
                                                           devices->count);
    for (int64_t i = 0; i < b.count; ++i)
        dcnv4i_runner_close(&b.tactics[i].runner);
    free(b.tactics);
    dcnv4i_inputs_free(&b.inputs);
    dcnv4i_progress_end();
    return verdict;
}
