/* dcnv4 bench --scan. */
#ifndef DCNV4I_SCAN_COMMAND_H
#define DCNV4I_SCAN_COMMAND_H

#include "scan_run.h"

#include <stdio.h>

/* Runs the axes on the devices, and prints the results to file. */
dcnv4i_exit dcnv4i_scan_run(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                            const dcnv4i_scan_items *items, FILE *file, dcnv4i_scan_records *records);

#endif
