/* The results of a scan: a panel for each axis. */
#ifndef DCNV4I_SCAN_CHART_H
#define DCNV4I_SCAN_CHART_H

#include "scan_run.h"

/* Opens path as an output, to be committed by the caller, and draws. */
dcnv4i_exit dcnv4i_scan_chart_write(const char *path, const dcnv4i_scan_records *records);

#endif
