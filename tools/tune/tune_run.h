/* One part of a layer, with all tactics of a device in turn. */
#ifndef DCNV4I_TUNE_RUN_H
#define DCNV4I_TUNE_RUN_H

#include "../bench/bench_inputs.h"
#include "../cli/options.h"
#include "../devices/stopwatch.h"

enum { DCNV4I_MAX_TUNED = 16 };

/* The result of one tactic. */
typedef struct dcnv4i_tactic {
    char words[128];
    char reason[160]; /* why it has no times; "" if it has */
    bool in_use;      /* when measuring began */
    dcnv4i_spread ms;
    double ratio;   /* the median of its times divided by the default's in the same round */
    double *ratios; /* all of them */
} dcnv4i_tactic;

/* A part at one size of image. */
typedef struct dcnv4i_race {
    dcnv4i_task task;
    int part; /* a number of the operator's parts */
    int64_t count, rounds;
    dcnv4i_tactic ways[DCNV4I_MAX_TUNED];
} dcnv4i_race;

/* A problem made ready on a device, with inputs. */
typedef struct dcnv4i_track {
    const dcnv4i_settings *settings;
    const char *device;
    dcnv4i_inputs inputs;
    dcnv4i_runner runner;
} dcnv4i_track;

/* Must be closed, also after a failure. */
dcnv4i_exit dcnv4i_track_open(const dcnv4i_settings *settings, const char *device, const dcnv4i_task *task,
                              dcnv4i_track *track);
void dcnv4i_track_close(dcnv4i_track *track);

/* Runs all tactics of a part, checks each result against the reference and the default's, and measures times. The
 * caller frees *race, also after a failure. */
dcnv4i_exit dcnv4i_race_run(dcnv4i_track *track, int part, dcnv4i_race *race);
void dcnv4i_race_free(dcnv4i_race *race);

#endif
