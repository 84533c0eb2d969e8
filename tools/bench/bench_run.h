/* One problem on several devices in turn. */
#ifndef DCNV4I_BENCH_RUN_H
#define DCNV4I_BENCH_RUN_H

#include "../devices/device_list.h"
#include "../devices/stopwatch.h"
#include "../operators/task.h"

/* The result of one device, one problem and one pass. */
typedef struct dcnv4i_record {
    char device[64], backend[16];
    dcnv4_pass pass;
    dcnv4i_task task;
    int64_t threads; /* 0: does not apply */
    int64_t runs;
    dcnv4i_spread ms;
    double floor_ms;   /* NAN where none is measured */
    bool memory_binds; /* the floor is that of memory, not of loads */
    double bytes;      /* that must be read or written at least once */
    double error;      /* normwise, against the reference */
    bool right;        /* every element that was compared is within its bound */
} dcnv4i_record;

typedef struct dcnv4i_records {
    dcnv4i_record *items;
    int64_t count;
} dcnv4i_records;

/* "forward", "backward". */
const char *dcnv4i_pass_word(dcnv4_pass pass);

/* Runs the passes that the settings ask for on every available device, and appends a record for each. */
dcnv4i_exit dcnv4i_bench_problem(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                                 const dcnv4i_task *task, dcnv4i_records *records);

#endif
