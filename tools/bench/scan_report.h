/* The results of a scan in words, as JSON and as CSV. */
#ifndef DCNV4I_SCAN_REPORT_H
#define DCNV4I_SCAN_REPORT_H

#include "scan_run.h"

#include <stdio.h>

/* Print what comes before the records, the records from number first on, and what comes after them. */
void dcnv4i_scan_report_begin(FILE *file, const dcnv4i_settings *settings);
void dcnv4i_scan_report_records(FILE *file, dcnv4i_format format, const dcnv4i_scan_records *records, int64_t first);
void dcnv4i_scan_report_end(FILE *file, dcnv4i_format format, const dcnv4i_scan_records *records);

/* The axes and their values, without times. */
void dcnv4i_scan_report_axes(FILE *file, const dcnv4i_settings *settings, const dcnv4i_scan_items *items);

#endif
