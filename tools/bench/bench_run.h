/* One problem on several devices in turn. */
#ifndef DCNV4I_BENCH_RUN_H
#define DCNV4I_BENCH_RUN_H

#include "../devices/device_list.h"
#include "../devices/stopwatch.h"

/* What came of one device, one problem and one pass. */
typedef struct dcnv4i_record {
    char device[64], backend[16];
    dcnv4_pass pass;
    dcnv4_problem problem;
    int64_t threads; /* 0: not a matter of threads */
    int64_t runs;
    dcnv4i_spread ms;
    double floor_ms;   /* NAN where none is measured */
    bool memory_binds; /* the floor is the memory's, not the loads' */
    double bytes;      /* that must be read or written at least once */
    double error;      /* normwise, against the reference */
    bool right;        /* every element that was looked at is within its bound */
} dcnv4i_record;

typedef struct dcnv4i_records {
    dcnv4i_record *items;
    int64_t count;
} dcnv4i_records;

/* "64×56×56 · 4×32": the batch and the image, then groups and channels of one. */
const char *dcnv4i_problem_words(const dcnv4_problem *problem, char *text, size_t size);

/* "forward", "backward". */
const char *dcnv4i_pass_word(dcnv4_pass pass);

/* Runs the passes that the settings ask for on every device that is there, and appends a record for each. */
dcnv4i_exit dcnv4i_bench_problem(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                                 const dcnv4_problem *problem, dcnv4i_records *records);

#endif
