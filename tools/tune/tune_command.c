/* dcnv4 tune. */
#include "../cli/commands.h"
#include "../cli/option_table.h"
#include "../devices/device_list.h"
#include "../operators/task_list.h"
#include "tune_choice.h"
#include "tune_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One layer on one device: the races of its parts at all its sizes. */
typedef struct tuning {
    const dcnv4i_settings *settings;
    const char *device;
    const dcnv4i_task_operator *op;
    const dcnv4i_task **sizes; /* the layer's problems */
    int64_t count;
    dcnv4i_race *races; /* by part, then by size */
    char why[256];      /* nothing is saved; "" if choices are saved */
    bool broken;        /* saving a choice failed */
    dcnv4i_tune_report report;
} tuning;

static bool has_part(const tuning *t, int part) {
    return t->settings->pass == DCNV4I_BOTH_PASSES || (int64_t)t->op->parts[part].pass == t->settings->pass;
}

/* ---- The choice ----------------------------------------------------------------------------------------------------- */

/* A tactic's ratios at all sizes, one after the other; NULL if it was out of a race. */
static dcnv4i_exit pool(const tuning *t, const dcnv4i_race *races, int64_t way, dcnv4i_tactic_times *times) {
    int64_t rounds = 0;
    for (int64_t s = 0; s < t->count; ++s) {
        if (races[s].count <= way || races[s].ways[way].reason[0])
            return DCNV4I_DONE;
        rounds += races[s].rounds;
    }
    double *const all = malloc((size_t)rounds * sizeof *all), *end = all;
    if (!all)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the times of %" PRId64 " rounds", rounds);
    for (int64_t s = 0; s < t->count; ++s, end += races[s - 1].rounds)
        memcpy(end, races[s].ways[way].ratios, (size_t)races[s].rounds * sizeof *end);
    *times = (dcnv4i_tactic_times){all, rounds};
    return DCNV4I_DONE;
}

static dcnv4i_exit choose(const tuning *t, const dcnv4i_race *races, dcnv4i_choice_made *choice) {
    dcnv4i_tactic_times ways[DCNV4I_MAX_TUNED] = {{NULL, 0}};
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < races[0].count && verdict == DCNV4I_DONE; ++i)
        verdict = pool(t, races, i, &ways[i]);
    const int64_t fastest = verdict == DCNV4I_DONE ? dcnv4i_fastest(ways, races[0].count) : -1;
    if (verdict == DCNV4I_DONE && fastest < 0)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory to compare times");
    *choice = (dcnv4i_choice_made){.fastest = fastest, .ratio = 1};
    if (fastest > 0)
        choice->ratio = dcnv4i_spread_of((double *)ways[fastest].ratios, (size_t)ways[fastest].rounds).median;
    for (int i = 0; i < DCNV4I_MAX_TUNED; ++i)
        free((double *)ways[i].ratios);
    return verdict;
}

/* Checks whether choices can be saved, by saving the one that is in use already. */
static void try_to_keep(const dcnv4i_track *track, char *why, size_t size) {
    const int part = 0;
    int64_t used = 0;
    for (int64_t i = 0; i < dcnv4_tactic_count(track->runner.plan, part); ++i) {
        dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT;
        if (dcnv4_tactic_info_get(track->runner.plan, part, i, &info) == DCNV4_SUCCESS && info.in_use)
            used = i;
    }
    if (dcnv4_tactic_save(track->runner.plan, part, used) != DCNV4_SUCCESS)
        snprintf(why, size, "%s", dcnv4_last_message());
}

/* Creates the layer's plans as a program would, so that their kernels are in the cache folder. */
static dcnv4i_exit make_plans(const dcnv4i_track *track) {
    dcnv4i_task task = track->inputs.layer.task;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int forward = 0; forward < 2 && verdict == DCNV4I_DONE; ++forward) {
        dcnv4_plan *plan = NULL;
        task.forward_only = forward;
        verdict = dcnv4i_verdict_library(task.op->plan(track->runner.context, &task, &plan), track->device);
        dcnv4_plan_destroy(plan);
    }
    return verdict;
}

static dcnv4i_exit settle_part(tuning *t, const dcnv4i_track *track, int part) {
    const dcnv4i_race *const races = t->races + part * t->count;
    dcnv4i_choice_made choice;
    const dcnv4i_exit verdict = choose(t, races, &choice);
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (!*t->why)
        choice.kept = dcnv4_tactic_save(track->runner.plan, part, choice.fastest) == DCNV4_SUCCESS;
    if (!*t->why && !choice.kept) {
        t->broken = true;
        snprintf(t->why, sizeof t->why, "%s", dcnv4_last_message());
    }
    choice.why = *t->why ? t->why : NULL;
    dcnv4i_tune_print(&t->report, t->device, races, t->count, &choice);
    return DCNV4I_DONE;
}

static dcnv4i_exit settle(tuning *t, const dcnv4i_track *track) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    if (t->settings->dry_run)
        snprintf(t->why, sizeof t->why, "--dry-run");
    else
        try_to_keep(track, t->why, sizeof t->why);
    for (int part = 0; part < t->op->part_count && verdict == DCNV4I_DONE; ++part)
        if (has_part(t, part))
            verdict = settle_part(t, track, part);
    if (verdict == DCNV4I_DONE && t->broken)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s: nothing was kept: %s", t->device, t->why);
    return verdict == DCNV4I_DONE && !*t->why ? make_plans(track) : verdict;
}

/* ---- Layers --------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit race_size(tuning *t, int64_t size, dcnv4i_track *track) {
    dcnv4i_exit verdict = dcnv4i_track_open(t->settings, t->device, t->sizes[size], track);
    for (int part = 0; part < t->op->part_count && verdict == DCNV4I_DONE; ++part)
        if (has_part(t, part))
            verdict = dcnv4i_race_run(track, part, &t->races[part * t->count + size]);
    return verdict;
}

/* One size after the other; the choice is saved through the last one's plan. */
static dcnv4i_exit tune_layer(tuning *t) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    t->why[0] = '\0';
    t->races = calloc((size_t)(t->op->part_count * t->count), sizeof *t->races);
    if (!t->races)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 " sizes of a layer", t->count);
    for (int64_t size = 0; size < t->count && verdict == DCNV4I_DONE; ++size) {
        dcnv4i_track track;
        verdict = race_size(t, size, &track);
        if (verdict == DCNV4I_DONE && size == t->count - 1)
            verdict = settle(t, &track);
        dcnv4i_track_close(&track);
    }
    for (int64_t i = 0; i < t->op->part_count * t->count; ++i)
        dcnv4i_race_free(&t->races[i]);
    free(t->races);
    return verdict;
}

static bool same_layer(const dcnv4i_task *one, const dcnv4i_task *other) {
    return one->op->same_layer(one, other);
}

static dcnv4i_exit tune_device(tuning *t, const dcnv4i_tasks *problems) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < problems->count && verdict == DCNV4I_DONE; ++i) {
        bool done = false;
        for (int64_t before = 0; before < i; ++before)
            done = done || same_layer(&problems->items[before], &problems->items[i]);
        if (done)
            continue;
        t->count = 0;
        for (int64_t s = i; s < problems->count; ++s)
            if (same_layer(&problems->items[s], &problems->items[i]))
                t->sizes[t->count++] = &problems->items[s];
        verdict = tune_layer(t);
    }
    return verdict;
}

/* ---- Devices -------------------------------------------------------------------------------------------------------- */

/* Whether a device compiles, and how many tactics it has for the first part: so that there is something to choose. */
static dcnv4i_exit look(const char *device, const dcnv4i_task *task, bool *compiles, int64_t *tactics) {
    dcnv4_context *context;
    dcnv4_plan *plan = NULL;
    dcnv4i_exit verdict = dcnv4i_runner_context(device, 0, &context);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict_library(task->op->plan(context, task, &plan), device);
    *compiles = dcnv4_kernel_count(plan) > 0;
    *tactics = dcnv4_tactic_count(plan, 0);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return verdict;
}

static dcnv4i_exit tune_all(tuning *t, const dcnv4i_devices *devices, const dcnv4i_tasks *problems) {
    int64_t tuned = 0;
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < devices->count && verdict == DCNV4I_DONE; ++i) {
        const dcnv4i_device *const device = &devices->items[i];
        bool compiles = false;
        int64_t tactics = 0;
        if (device->reason[0])
            continue;
        verdict = look(device->name, &problems->items[0], &compiles, &tactics);
        if (verdict == DCNV4I_DONE && !compiles && device->named)
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "--device %s: there is nothing to tune; only devices that compile their kernels "
                                  "(opencl, cuda, hip) have several ways",
                                  device->name);
        if (verdict == DCNV4I_DONE && compiles && tactics == 0)
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "%s: there is nothing to tune; %s has 0 tactics to choose from in this version",
                                  device->name, dcnv4i_operator_titles[t->op->number]);
        t->device = device->name;
        if (verdict == DCNV4I_DONE && compiles) {
            ++tuned;
            verdict = tune_device(t, problems);
        }
    }
    if (verdict == DCNV4I_DONE && tuned == 0)
        return dcnv4i_verdict(DCNV4I_MISSING, "--device all: no device that compiles its kernels is available");
    return verdict;
}

dcnv4i_exit dcnv4i_tune(const dcnv4i_settings *settings) {
    dcnv4i_devices devices = {NULL, 0, 0};
    dcnv4i_tasks problems = {NULL, 0};
    tuning t = {.settings = settings, .op = dcnv4i_task_begin(settings).op, .report = {.format = settings->format}};
    dcnv4i_exit verdict = dcnv4i_tasks_open(settings, &problems);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_devices_open(&settings->devices, "auto", &devices);
    if (verdict == DCNV4I_DONE && !(t.sizes = malloc((size_t)problems.count * sizeof *t.sizes + 1)))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 " problems", problems.count);
    if (verdict == DCNV4I_DONE)
        verdict = tune_all(&t, &devices, &problems);
    dcnv4i_tune_end(&t.report);
    free(t.sizes);
    dcnv4i_devices_free(&devices);
    dcnv4i_tasks_free(&problems);
    return verdict;
}
