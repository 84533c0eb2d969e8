/* The times along the axes of a scan. */
#ifndef DCNV4I_SCAN_RUN_H
#define DCNV4I_SCAN_RUN_H

#include "../devices/device_list.h"
#include "scan_list.h"
#include "scan_rule.h"

/* The result of one value of an axis, one device and one pass. */
typedef struct dcnv4i_scan_record {
    char device[64], backend[16];
    dcnv4i_scan_item item;
    double value;
    dcnv4_pass pass;
    dcnv4i_task task;
    int64_t threads; /* 0: does not apply */
    int64_t runs;
    double ms, work; /* the least time; points · channels */
    double ns;       /* per point and channel, times the threads */
    double of_neighbours, of_base;
    dcnv4i_scan_mark mark;
    double error; /* normwise, against the reference */
    bool right;
} dcnv4i_scan_record;

typedef struct dcnv4i_scan_records {
    dcnv4i_scan_record *items;
    int64_t count;
} dcnv4i_scan_records;

/* Runs the problems of an axis on a device, all in turn, and appends their records, pass by pass. A device that lacks a
 * dtype has no records of it, and one without threads none of their axis. */
dcnv4i_exit dcnv4i_scan_axis_run(const dcnv4i_settings *settings, const dcnv4i_device *device,
                                 const dcnv4i_scan_item *item, dcnv4i_scan_records *records);

#endif
