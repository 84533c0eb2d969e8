#include "tune_run.h"

#include "../bench/bench_run.h"
#include "../devices/sample.h"
#include "../output/progress.h"
#include "../tensors/npy.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_LEAST = 9, ROUNDS_MOST = 100, CHUNK = 4096 };
static const double budget_ms = 2000, sample_ms = 0.2; /* for all rounds; the least time of a sample */

/* A tactic in the race: its plan, on the track's buffers. */
typedef struct lane {
    dcnv4i_runner runner;
    int64_t repeats; /* runs of one sample */
    double *times;   /* by round */
} lane;

static const dcnv4i_part *part_of(const dcnv4i_track *track, int part) {
    return &track->runner.op->parts[part];
}

/* Number i of the tensors that a part writes, among those that the problem uses; DCNV4I_NONE past the last. */
static int result_of(const dcnv4i_track *track, int part, int i) {
    const int *const results = part_of(track, part)->results;
    for (int r = 0; r < DCNV4I_RESULTS_MOST && results[r] != DCNV4I_NONE; ++r)
        if (track->runner.layouts[results[r]].rank > 0 && i-- == 0)
            return results[r];
    return DCNV4I_NONE;
}

/* ---- The track ------------------------------------------------------------------------------------------------------ */

dcnv4i_exit dcnv4i_track_open(const dcnv4i_settings *settings, const char *device, const dcnv4i_task *task,
                              dcnv4i_track *track) {
    char words[96];
    *track = (dcnv4i_track){.settings = settings, .device = device};
    dcnv4i_progress("%s: drawing the inputs", dcnv4i_task_words(task, words, sizeof words));
    dcnv4i_exit verdict = dcnv4i_runner_open(device, 0, task, &track->runner);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_inputs_draw(task, (uint64_t)settings->seed, settings->spread, NULL, &track->inputs);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_inputs_upload(&track->inputs, &track->runner);
    dcnv4i_progress_end();
    return verdict;
}

void dcnv4i_track_close(dcnv4i_track *track) {
    dcnv4i_runner_close(&track->runner);
    dcnv4i_inputs_free(&track->inputs);
}

/* Allocates a workspace that is large enough for all tactics. */
static dcnv4i_exit make_room(dcnv4i_track *track, dcnv4_pass pass, lane *lanes, int64_t count) {
    dcnv4_buffer *const workspace = &track->runner.workspace;
    size_t most = 0;
    for (int64_t i = 0; i < count; ++i) {
        const size_t size = dcnv4_plan_workspace_size(lanes[i].runner.plan, pass);
        most = size > most ? size : most;
    }
    dcnv4_status status = DCNV4_SUCCESS;
    if (most > workspace->length) {
        dcnv4_buffer_destroy(track->runner.context, workspace);
        status = dcnv4_buffer_create(track->runner.context, most, workspace);
    }
    for (int64_t i = 0; i < count; ++i)
        lanes[i].runner.workspace = *workspace;
    return dcnv4i_verdict_library(status, track->device);
}

/* Creates a tactic's plan. A tactic that the compiler refuses is out of the race. */
static dcnv4i_exit enter(const dcnv4i_track *track, int part, int64_t index, dcnv4i_tactic *way, lane *made) {
    dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT;
    dcnv4_plan *plan = NULL;
    dcnv4_status status = dcnv4_tactic_info_get(track->runner.plan, part, index, &info);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_tactic_create(track->runner.plan, part, index, &plan);
    snprintf(way->words, sizeof way->words, "%s", info.description);
    way->in_use = info.in_use;
    made->runner = track->runner;
    made->runner.plan = plan;
    if (status != DCNV4_BUILD_FAILED || index == 0)
        return dcnv4i_verdict_library(status, track->device);
    snprintf(way->reason, sizeof way->reason, "%.150s", dcnv4_last_message());
    return DCNV4I_DONE;
}

/* ---- Results -------------------------------------------------------------------------------------------------------- */

/* Fills a result with NaN bytes first, so that none of the tactic before can pass for this one's. */
static dcnv4i_exit run_afresh(const dcnv4i_track *track, int part, int tensor, lane *way, void *bytes, size_t size) {
    const dcnv4_buffer *const buffer = &way->runner.tensors[tensor];
    memset(bytes, 0xff, size);
    dcnv4i_exit verdict = size == 0 ? DCNV4I_DONE
                                    : dcnv4i_verdict_library(dcnv4_upload(way->runner.context, buffer, bytes, size),
                                                             "clearing a result");
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(&way->runner, part_of(track, part)->pass);
    return verdict == DCNV4I_DONE ? dcnv4i_runner_download(&way->runner, buffer, bytes, size) : verdict;
}

/* Whether all elements agree with the default's, up to their own rounding and 2⁻¹² of the tensor's root mean square. */
static bool agrees(int32_t dtype, const void *bytes, const void *standard, size_t size) {
    double got[CHUNK], expected[CHUNK], squares = 0;
    const size_t item = dcnv4i_dtype_bytes(dtype), count = size / item;
    bool right = true;
    for (size_t at = 0; at < count; at += CHUNK) {
        const size_t here = count - at < CHUNK ? count - at : CHUNK;
        dcnv4_convert(dtype, (const char *)standard + at * item, DCNV4_FLOAT64, expected, here);
        for (size_t i = 0; i < here; ++i)
            squares += expected[i] * expected[i];
    }
    const double slack = sqrt(squares / fmax((double)count, 1)) * 0x1p-12;
    for (size_t at = 0; at < count; at += CHUNK) {
        const size_t here = count - at < CHUNK ? count - at : CHUNK;
        dcnv4_convert(dtype, (const char *)standard + at * item, DCNV4_FLOAT64, expected, here);
        dcnv4_convert(dtype, (const char *)bytes + at * item, DCNV4_FLOAT64, got, here);
        for (size_t i = 0; i < here; ++i)
            right &= fabs(got[i] - expected[i]) <= 4 * dcnv4i_bound_rounding(dtype, expected[i]) + slack;
    }
    return right;
}

/* Compares a result with the default's, and with the reference's where that has a part of it. */
static dcnv4i_exit judge(dcnv4i_track *track, int part, int tensor, lane *way, const void *bytes, const void *standard,
                         const char *words) {
    const dcnv4i_layout *const layout = &track->runner.layouts[tensor];
    dcnv4i_comparison comparison = {0};
    const dcnv4i_exit verdict = dcnv4i_inputs_judge(&track->inputs, &way->runner, tensor, &comparison);
    if (verdict != DCNV4I_DONE)
        return verdict;
    const bool compared = track->runner.op->first_of(&track->inputs.layer.task, track->runner.layouts, tensor,
                                                     track->inputs.image, track->inputs.group) >= 0;
    if (comparison.wrong || (compared && (!(comparison.judged > 0) || !(comparison.norm > 0))) ||
        !agrees(layout->dtype, bytes, standard, layout->bytes))
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: %s by \"%s\" is not that of the reference and the default",
                              track->device, part_of(track, part)->word, words);
    return DCNV4I_DONE;
}

/* One of a part's results, by all tactics. */
static dcnv4i_exit check_result(dcnv4i_track *track, int part, int tensor, dcnv4i_race *race, lane *lanes) {
    const size_t size = track->runner.layouts[tensor].bytes;
    char *const standard = malloc(size + 1), *const bytes = malloc(size + 1);
    dcnv4i_exit verdict = standard && bytes
                              ? DCNV4I_DONE
                              : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for two results of %zu bytes", size);
    for (int64_t i = 0; i < race->count && verdict == DCNV4I_DONE; ++i) {
        char *const here = i == 0 ? standard : bytes;
        if (race->ways[i].reason[0])
            continue;
        dcnv4i_progress("%s: checking %s", part_of(track, part)->word, race->ways[i].words);
        verdict = run_afresh(track, part, tensor, &lanes[i], here, size);
        if (verdict == DCNV4I_DONE)
            verdict = judge(track, part, tensor, &lanes[i], here, standard, race->ways[i].words);
    }
    free(standard);
    free(bytes);
    return verdict;
}

static dcnv4i_exit check_all(dcnv4i_track *track, int part, dcnv4i_race *race, lane *lanes) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0, tensor; verdict == DCNV4I_DONE && (tensor = result_of(track, part, i)) != DCNV4I_NONE; ++i)
        verdict = check_result(track, part, tensor, race, lanes);
    return verdict;
}

/* ---- Times ---------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit sample(lane *way, dcnv4_pass pass, double *ms) {
    return dcnv4i_sample_run(&way->runner, pass, DCNV4I_THE_PASS, way->repeats, dcnv4i_now_ms, ms);
}

/* Decides the number of runs in a sample and of rounds. */
static dcnv4i_exit warm_up(const dcnv4i_track *track, dcnv4i_race *race, lane *lanes) {
    double sum = 0;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < race->count && verdict == DCNV4I_DONE; ++i) {
        if (race->ways[i].reason[0])
            continue;
        double ms = 0;
        lanes[i].repeats = 1;
        for (int run = 0; run < 2 && verdict == DCNV4I_DONE; ++run)
            verdict = sample(&lanes[i], race->task.op->parts[race->part].pass, &ms);
        lanes[i].repeats = dcnv4i_sample_repeats(ms, sample_ms);
        sum += 2 * ms * (double)lanes[i].repeats;
    }
    const double fit = budget_ms / fmax(sum, 1e-3);
    race->rounds = track->settings->runs > 0 ? track->settings->runs
                   : fit < ROUNDS_LEAST      ? ROUNDS_LEAST
                   : fit > ROUNDS_MOST       ? ROUNDS_MOST
                                             : (int64_t)fit;
    return verdict;
}

/* Times every tactic once, with another one first in each round. Each runs once untimed before, to fill the caches with
 * its own data. */
static dcnv4i_exit run_round(const dcnv4i_race *race, lane *lanes, int64_t round) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t turn = 0; turn < race->count && verdict == DCNV4I_DONE; ++turn) {
        const int64_t i = (round + turn) % race->count;
        double before;
        if (race->ways[i].reason[0])
            continue;
        verdict = sample(&lanes[i], race->task.op->parts[race->part].pass, &before);
        if (verdict == DCNV4I_DONE)
            verdict = sample(&lanes[i], race->task.op->parts[race->part].pass, &lanes[i].times[round]);
    }
    return verdict;
}

static dcnv4i_exit run_rounds(const dcnv4i_track *track, dcnv4i_race *race, lane *lanes) {
    char words[96];
    dcnv4i_exit verdict = warm_up(track, race, lanes);
    const size_t bytes = (size_t)race->rounds * sizeof(double);
    for (int64_t i = 0; i < race->count && verdict == DCNV4I_DONE; ++i) {
        lanes[i].times = malloc(bytes);
        race->ways[i].ratios = malloc(bytes);
        if (!lanes[i].times || !race->ways[i].ratios)
            verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the times of %" PRId64 " rounds", race->rounds);
    }
    dcnv4i_task_words(&race->task, words, sizeof words);
    for (int64_t round = 0; round < race->rounds && verdict == DCNV4I_DONE; ++round) {
        dcnv4i_progress("%s %s: round %" PRId64 " of %" PRId64, words, race->task.op->parts[race->part].word, round + 1,
                        race->rounds);
        verdict = run_round(race, lanes, round);
    }
    return verdict;
}

static void sum_up(dcnv4i_race *race, lane *lanes) {
    const size_t rounds = (size_t)race->rounds;
    for (int64_t i = race->count - 1; i >= 0; --i) { /* the default last, since this sorts its times */
        dcnv4i_tactic *const way = &race->ways[i];
        if (way->reason[0])
            continue;
        for (size_t r = 0; r < rounds; ++r)
            way->ratios[r] = lanes[i].times[r] / lanes[0].times[r];
        way->ms = dcnv4i_spread_of(lanes[i].times, rounds);
        memcpy(lanes[i].times, way->ratios, rounds * sizeof(double));
        way->ratio = dcnv4i_spread_of(lanes[i].times, rounds).median;
    }
}

/* ---- The race ------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit race_in(dcnv4i_track *track, dcnv4i_race *race, lane *lanes) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < race->count && verdict == DCNV4I_DONE; ++i) {
        dcnv4i_progress("%s: compiling %" PRId64 " of %" PRId64, race->task.op->parts[race->part].word, i + 1,
                        race->count);
        verdict = enter(track, race->part, i, &race->ways[i], &lanes[i]);
    }
    if (verdict == DCNV4I_DONE)
        verdict = make_room(track, race->task.op->parts[race->part].pass, lanes, race->count);
    if (verdict == DCNV4I_DONE)
        verdict = check_all(track, race->part, race, lanes);
    if (verdict == DCNV4I_DONE)
        verdict = run_rounds(track, race, lanes);
    if (verdict == DCNV4I_DONE)
        sum_up(race, lanes);
    return verdict;
}

dcnv4i_exit dcnv4i_race_run(dcnv4i_track *track, int part, dcnv4i_race *race) {
    lane lanes[DCNV4I_MAX_TUNED] = {{.repeats = 1}};
    *race = (dcnv4i_race){.task = track->inputs.layer.task, .part = part};
    race->count = dcnv4_tactic_count(track->runner.plan, part);
    if (race->count > DCNV4I_MAX_TUNED)
        race->count = DCNV4I_MAX_TUNED;
    const dcnv4i_exit verdict = race_in(track, race, lanes);
    for (int64_t i = 0; i < race->count; ++i) {
        dcnv4_plan_destroy(lanes[i].runner.plan);
        free(lanes[i].times);
    }
    dcnv4i_progress_end();
    return verdict;
}

void dcnv4i_race_free(dcnv4i_race *race) {
    for (int64_t i = 0; i < race->count; ++i)
        free(race->ways[i].ratios);
    race->count = 0;
}
