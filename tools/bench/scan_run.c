#include "scan_run.h"

#include "../devices/sample.h"
#include "../output/progress.h"
#include "bench_inputs.h"
#include "bench_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rounds, and how often they are run again as long as there is a cliff: the least time counts, so that more of them can
 * only remove what was noise. A device's sample includes waiting for its end. */
enum { ROUNDS = 3, TRIES = 4 };
static const double sample_ms = 0.5, device_sample_ms = 2;

/* A problem of the axis, ready on the device. */
typedef struct stop {
    double value;
    dcnv4i_scan_problem problem;
    dcnv4i_inputs inputs;
    dcnv4i_runner runner;
    int64_t repeats, runs;
    double ms; /* the least so far */
} stop;

typedef struct walk {
    const dcnv4i_settings *settings;
    const dcnv4i_device *device;
    const dcnv4i_scan_item *item;
    dcnv4i_scan_axis axis; /* as it is here */
    dcnv4_device_info info;
    bool threads; /* the device has threads */
    stop *stops;  /* the base, then those of the axis */
    int64_t count;
    dcnv4i_scan_time times[DCNV4I_SCAN_MOST]; /* of the axis alone */
} walk;

/* ---- Problems ------------------------------------------------------------------------------------------------------- */

/* Makes a problem ready; *kept is false if the device lacks its dtype. */
static dcnv4i_exit prepare(walk *w, stop *s, bool *kept) {
    const dcnv4i_settings *const settings = w->settings;
    dcnv4i_exit verdict = dcnv4i_runner_open(w->device->name, s->problem.threads, &s->problem.task, &s->runner);
    *kept = s->runner.status != DCNV4_UNSUPPORTED;
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = dcnv4i_inputs_draw(&s->problem.task, (uint64_t)settings->seed, s->problem.spread, &s->problem.spoil,
                                 &s->inputs);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_inputs_upload(&s->inputs, &s->runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict_library(dcnv4_context_info(s->runner.context, &w->info), w->device->name);
    return verdict;
}

/* A problem with a dtype that the device lacks is left out, but not the base of a device that was asked for by name. */
static dcnv4i_exit add_stop(walk *w, double value, const dcnv4i_scan_problem *problem) {
    stop *const s = &w->stops[w->count];
    bool kept = false;
    *s = (stop){.value = value, .problem = *problem};
    const dcnv4i_exit verdict = prepare(w, s, &kept);
    const bool needed = kept || (w->count == 0 && w->device->named);
    w->count += kept;
    return needed ? verdict : DCNV4I_DONE;
}

static dcnv4i_exit open_stops(walk *w) {
    char words[32];
    const dcnv4i_scan_problem base = dcnv4i_scan_base(w->settings, w->item->op);
    dcnv4i_exit verdict = add_stop(w, NAN, &base);
    for (int i = 0; i < w->axis.count && w->count > 0 && verdict == DCNV4I_DONE; ++i) {
        const double value = w->axis.values[i];
        const dcnv4i_scan_problem problem = dcnv4i_scan_problem_at(w->settings, w->item, value);
        dcnv4i_progress("%s %s on %s: drawing the inputs of %s", dcnv4i_scan_operator_word(w->item), w->axis.name,
                        w->device->name, dcnv4i_scan_value_words(&w->axis, value, words, sizeof words));
        verdict = add_stop(w, value, &problem);
    }
    w->threads = strcmp(w->info.backend, "cpu") == 0;
    return verdict;
}

static void close_stops(walk *w) {
    for (int64_t i = 0; i < w->count; ++i) {
        dcnv4i_inputs_free(&w->stops[i].inputs);
        dcnv4i_runner_close(&w->stops[i].runner);
    }
}

/* ---- Times ---------------------------------------------------------------------------------------------------------- */

/* One thread is timed by what it takes of the processor, which other programs disturb least; but not beside several,
 * which wait for each other. */
static dcnv4i_exit sample(const walk *w, stop *s, dcnv4_pass pass, int64_t repeats, double *ms) {
    const bool alone = w->threads && s->problem.threads == 1 && w->axis.kind != DCNV4I_SCAN_THREADS;
    return dcnv4i_sample_run(&s->runner, pass, DCNV4I_THE_PASS, repeats, alone ? dcnv4i_processor_ms : dcnv4i_now_ms,
                             ms);
}

static dcnv4i_exit warm_up(walk *w, dcnv4_pass pass) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < w->count && verdict == DCNV4I_DONE; ++i) {
        stop *const s = &w->stops[i];
        double ms = 0;
        for (int run = 0; run < 2 && verdict == DCNV4I_DONE; ++run)
            verdict = sample(w, s, pass, 1, &ms);
        s->repeats = dcnv4i_sample_repeats(ms, w->threads ? sample_ms : device_sample_ms);
        s->ms = INFINITY, s->runs = 0;
    }
    return verdict;
}

/* Each problem once; it runs once untimed first, to fill the caches with its own data. */
static dcnv4i_exit run_round(walk *w, dcnv4_pass pass) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < w->count && verdict == DCNV4I_DONE; ++i) {
        stop *const s = &w->stops[i];
        double ms = 0;
        verdict = sample(w, s, pass, 1, &ms);
        if (verdict == DCNV4I_DONE)
            verdict = sample(w, s, pass, s->repeats, &ms);
        s->ms = fmin(s->ms, ms);
        s->runs += s->repeats;
    }
    return verdict;
}

static double cost(const walk *w, const stop *s) {
    return s->ms * (double)(w->threads ? s->problem.threads : 1);
}

/* Whether the times so far have a cliff. */
static bool has_cliff(walk *w) {
    bool any = false;
    double ratio;
    for (int64_t i = 1; i < w->count; ++i)
        w->times[i - 1] = (dcnv4i_scan_time){cost(w, &w->stops[i]), dcnv4i_scan_work(&w->stops[i].problem)};
    for (int64_t i = 0; i < w->count - 1; ++i)
        any = any || dcnv4i_scan_judge(w->times, w->count - 1, i, &ratio) == DCNV4I_SCAN_CLIFF;
    return any;
}

static dcnv4i_exit run_rounds(walk *w, dcnv4_pass pass) {
    const int64_t rounds = w->settings->runs > 0 ? w->settings->runs : ROUNDS;
    dcnv4i_exit verdict = warm_up(w, pass);
    for (int try = 0; try < TRIES && verdict == DCNV4I_DONE && (try == 0 || has_cliff(w)); ++try)
        for (int64_t round = 0; round < rounds && verdict == DCNV4I_DONE; ++round) {
            dcnv4i_progress("%s %s on %s, %s: round %" PRId64, dcnv4i_scan_operator_word(w->item), w->axis.name,
                            w->device->name, dcnv4i_pass_word(pass), try * rounds + round + 1);
            verdict = run_round(w, pass);
        }
    return verdict;
}

/* ---- Records -------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit append_record(walk *w, int64_t i, dcnv4_pass pass, dcnv4i_scan_records *records) {
    stop *const s = &w->stops[i], *const base = &w->stops[0];
    dcnv4i_comparison comparison = {0};
    const dcnv4i_exit verdict = dcnv4i_inputs_judge_pass(&s->inputs, &s->runner, pass, &comparison);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_scan_record *items = realloc(records->items, (size_t)(records->count + 1) * sizeof *items);
    if (!items)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the results");
    records->items = items;
    dcnv4i_scan_record *const made = &items[records->count++];
    *made = (dcnv4i_scan_record){.item = *w->item,
                                 .value = s->value,
                                 .pass = pass,
                                 .task = s->problem.task,
                                 .threads = w->threads ? s->problem.threads : 0,
                                 .runs = s->runs,
                                 .ms = s->ms,
                                 .work = dcnv4i_scan_work(&s->problem),
                                 .error = dcnv4i_comparison_normwise(&comparison),
                                 .right = !comparison.wrong && comparison.judged > 0};
    made->ns = cost(w, s) / made->work * 1e6;
    made->of_base = made->ns / (cost(w, base) / dcnv4i_scan_work(&base->problem) * 1e6);
    made->mark = dcnv4i_scan_judge(w->times, w->count - 1, i - 1, &made->of_neighbours);
    snprintf(made->device, sizeof made->device, "%s", w->device->name);
    snprintf(made->backend, sizeof made->backend, "%s", w->info.backend);
    return DCNV4I_DONE;
}

static dcnv4i_exit run_pass(walk *w, dcnv4_pass pass, dcnv4i_scan_records *records) {
    dcnv4i_exit verdict = run_rounds(w, pass);
    if (verdict == DCNV4I_DONE)
        has_cliff(w);
    for (int64_t i = 1; i < w->count && verdict == DCNV4I_DONE; ++i)
        verdict = append_record(w, i, pass, records);
    return verdict;
}

static dcnv4i_exit run_passes(walk *w, dcnv4i_scan_records *records) {
    dcnv4i_exit verdict = open_stops(w);
    if (w->count == 0 || (w->axis.kind == DCNV4I_SCAN_THREADS && !w->threads))
        return verdict;
    if (verdict == DCNV4I_DONE && w->settings->pass != DCNV4_PASS_BACKWARD)
        verdict = run_pass(w, DCNV4_PASS_FORWARD, records);
    if (verdict == DCNV4I_DONE && w->settings->pass != DCNV4_PASS_FORWARD)
        verdict = run_pass(w, DCNV4_PASS_BACKWARD, records);
    return verdict;
}

dcnv4i_exit dcnv4i_scan_axis_run(const dcnv4i_settings *settings, const dcnv4i_device *device,
                                 const dcnv4i_scan_item *item, dcnv4i_scan_records *records) {
    walk w = {.settings = settings, .device = device, .item = item, .info = DCNV4_DEVICE_INFO_INIT};
    w.axis = dcnv4i_scan_axis_here(item->axis);
    w.stops = malloc((size_t)(w.axis.count + 1) * sizeof *w.stops);
    if (!w.stops)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %d problems", w.axis.count + 1);
    const dcnv4i_exit verdict = run_passes(&w, records);
    close_stops(&w);
    free(w.stops);
    dcnv4i_progress_end();
    return verdict;
}
