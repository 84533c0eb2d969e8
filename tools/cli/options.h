/* What each command takes: one table, from which the parser, --help, the usage and the man page come. */
#ifndef DCNV4I_OPTIONS_H
#define DCNV4I_OPTIONS_H

#include "../output/verdict.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum dcnv4i_command {
    DCNV4I_INFO,
    DCNV4I_FORWARD,
    DCNV4I_BACKWARD,
    DCNV4I_CHECK,
    DCNV4I_BENCH,
    DCNV4I_PLOT,
    DCNV4I_COMPILE,
    DCNV4I_TUNE,
    DCNV4I_COMMANDS
} dcnv4i_command;

typedef enum dcnv4i_operator_number {
#define DCNV4I_TASK(NAME, object, word, title) DCNV4I_##NAME,
#include "operator_list.def"
#undef DCNV4I_TASK
    DCNV4I_OPERATORS
} dcnv4i_operator_number;

typedef enum dcnv4i_format { DCNV4I_TABLE, DCNV4I_JSON, DCNV4I_CSV } dcnv4i_format;

enum { DCNV4I_LIST_MOST = 64, DCNV4I_BOTH_PASSES = 2, DCNV4I_NO_DTYPE = -1 };

/* An option that may be given several times. */
typedef struct dcnv4i_list {
    const char *items[DCNV4I_LIST_MOST];
    int64_t count;
} dcnv4i_list;

/* "5x6,3x3" or "0,30": numbers, or pairs of them, with commas between them. */
typedef struct dcnv4i_numbers {
    int64_t items[DCNV4I_LIST_MOST][2];
    int64_t count;
} dcnv4i_numbers;

/* A parsed command line; strings point into it. An option that was left out and has no default is NULL or 0. */
typedef struct dcnv4i_settings {
    dcnv4i_command command;
    int64_t op; /* a dcnv4i_operator_number */
    const char *value, *offset_mask, *grad_output, *grad_value, *grad_offset_mask, *output, *image, *plot;
    const char *locations, *weights, *references, *grad_locations, *grad_weights, *grad_references;
    const char *spatial_shapes, *level_start_index;
    dcnv4i_list at, devices, presets, targets, queries_drawn, scan;
    const char *device;
    int64_t groups, group_channels;
    int64_t size[3];                                   /* N, H, W */
    int64_t kernel[2], stride[2], pad[2], dilation[2]; /* height, width */
    double offset_scale, spread, box_scale;
    bool remove_center, softmax, json, list, dry_run, deterministic;
    dcnv4i_numbers levels, starts, points; /* of multi-scale deformable attention, from here on */
    int64_t batch, queries, heads, head_channels, reference_levels;
    int64_t location_unit;                                 /* a dcnv4_msda_unit */
    int64_t location_dtype, weight_dtype, reference_dtype; /* DCNV4_FLOAT32 or DCNV4_SAME_DTYPE */
    bool packed, levels_in_buffers;
    int64_t dtype;             /* a dcnv4_dtype or DCNV4I_NO_DTYPE */
    int64_t offset_mask_dtype; /* DCNV4_FLOAT32 or DCNV4_SAME_DTYPE */
    int64_t threads;           /* 0: as many as there are processors */
    int64_t cases, seed, runs;
    int64_t pass;       /* a dcnv4_pass or DCNV4I_BOTH_PASSES */
    int64_t format;     /* a dcnv4i_format */
    bool problem_given; /* any option of PROBLEM was given */
    bool operator_given;
    const char *describing; /* an option that was given and says which problems to run, or NULL */
} dcnv4i_settings;

/* What a command line asks for: a command, help or the version. */
typedef enum dcnv4i_request { DCNV4I_RUN, DCNV4I_HELP, DCNV4I_VERSION } dcnv4i_request;

/* Reads a command line. On DCNV4I_DONE, *wish says what to do and settings->command for which command
 * (DCNV4I_COMMANDS: for the program as a whole). */
dcnv4i_exit dcnv4i_options_parse(int count, char *const *arguments, dcnv4i_request *wish, dcnv4i_settings *settings);

/* "f16", …: the word that --dtype has for a dcnv4_dtype. */
const char *dcnv4i_dtype_word(int32_t dtype);

/* The lines of --help for one command with one operator, or for the program (DCNV4I_COMMANDS). */
void dcnv4i_options_help(FILE *file, dcnv4i_command command, dcnv4i_operator_number op);

/* A short usage, for a command line without a command. */
void dcnv4i_options_usage(FILE *file);

/* The help of all commands as a man page (roff). */
void dcnv4i_options_manual(FILE *file);

#endif
