/* dcnv4 bench. */
#include "../cli/commands.h"
#include "../operators/task_list.h"
#include "../output/output_file.h"
#include "bench_chart.h"
#include "bench_report.h"
#include "scan_chart.h"
#include "scan_command.h"
#include "scan_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static dcnv4i_exit check_outputs(const dcnv4i_settings *settings) {
    dcnv4i_exit verdict = settings->output ? dcnv4i_output_check("--output", settings->output) : DCNV4I_DONE;
    if (verdict == DCNV4I_DONE && settings->plot)
        verdict = dcnv4i_output_check("--plot", settings->plot);
    if (verdict == DCNV4I_DONE && settings->plot)
        verdict = dcnv4i_chart_check(settings->plot);
    if (verdict == DCNV4I_DONE && settings->plot && settings->list)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--plot draws times, and --list runs nothing");
    if (verdict == DCNV4I_DONE && settings->output && settings->plot &&
        dcnv4i_same_file(settings->output, settings->plot))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--output %s and --plot %s are the same file", settings->output,
                                 settings->plot);
    return verdict;
}

/* Opens the devices to time; "all" does not include the reference, which takes too long. */
static dcnv4i_exit open_devices(const dcnv4i_settings *settings, dcnv4i_devices *devices) {
    int64_t kept = 0, available = 0;
    const dcnv4i_exit verdict = dcnv4i_devices_open(&settings->devices, "auto", devices);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int64_t i = 0; i < devices->count; ++i) {
        if (strcmp(devices->items[i].name, "reference") == 0 && !devices->items[i].named)
            continue;
        available += devices->items[i].reason[0] == '\0';
        devices->items[kept++] = devices->items[i];
    }
    devices->count = kept;
    return available > 0 ? DCNV4I_DONE : dcnv4i_verdict(DCNV4I_MISSING, "--device all: no device is available");
}

static dcnv4i_exit run_all(const dcnv4i_settings *settings, const dcnv4i_devices *devices, const dcnv4i_tasks *problems,
                           FILE *file, dcnv4i_records *records) {
    const dcnv4i_format format = (dcnv4i_format)settings->format;
    dcnv4i_exit verdict = DCNV4I_DONE;
    dcnv4i_report_begin(file, format, problems);
    for (int64_t i = 0; i < problems->count && verdict == DCNV4I_DONE; ++i) {
        const int64_t first = records->count;
        verdict = dcnv4i_bench_problem(settings, devices, &problems->items[i], records);
        dcnv4i_report_records(file, format, records, first);
    }
    dcnv4i_report_end(file, format);
    for (int64_t i = 0; i < records->count && verdict == DCNV4I_DONE; ++i)
        if (!records->items[i].right)
            verdict = dcnv4i_verdict(DCNV4I_BROKEN, "a result of %s is not that of the reference (normwise error %.2g)",
                                     records->items[i].device, records->items[i].error);
    if (verdict == DCNV4I_DONE && records->count == 0)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "nothing was run: no device has %s",
                                 dcnv4i_dtype_word((int32_t)settings->dtype));
    return verdict;
}

/* What a command line asks for: problems or, with --scan, axes. */
typedef struct work {
    bool scans;
    dcnv4i_tasks problems;
    dcnv4i_records records;
    dcnv4i_scan_items axes;
    dcnv4i_scan_records scanned;
} work;

static dcnv4i_exit choose(const dcnv4i_settings *settings, work *w) {
    w->scans = settings->scan.count > 0;
    return w->scans ? dcnv4i_scan_choose(settings, &w->axes) : dcnv4i_tasks_open(settings, &w->problems);
}

static dcnv4i_exit print(const dcnv4i_settings *settings, const dcnv4i_devices *devices, work *w, FILE *file) {
    if (settings->list && w->scans)
        dcnv4i_scan_report_axes(file, settings, &w->axes);
    else if (settings->list)
        dcnv4i_report_problems(file, (dcnv4i_format)settings->format, &w->problems);
    else if (w->scans)
        return dcnv4i_scan_run(settings, devices, &w->axes, file, &w->scanned);
    else
        return run_all(settings, devices, &w->problems, file, &w->records);
    return DCNV4I_DONE;
}

static dcnv4i_exit run_and_write(const dcnv4i_settings *settings, const dcnv4i_devices *devices, work *w) {
    FILE *file = stdout;
    dcnv4i_exit verdict = settings->output ? dcnv4i_output_open(settings->output, &file) : DCNV4I_DONE;
    if (verdict == DCNV4I_DONE)
        verdict = print(settings, devices, w, file);
    if (verdict == DCNV4I_DONE && settings->plot)
        verdict = w->scans ? dcnv4i_scan_chart_write(settings->plot, &w->scanned)
                           : dcnv4i_chart_write(settings->plot, &w->records);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_outputs_commit();
    dcnv4i_outputs_discard();
    return verdict;
}

dcnv4i_exit dcnv4i_bench(const dcnv4i_settings *settings) {
    dcnv4i_devices devices = {NULL, 0, 0};
    work w = {.scans = false};
    dcnv4i_exit verdict = check_outputs(settings);
    if (verdict == DCNV4I_DONE)
        verdict = choose(settings, &w);
    if (verdict == DCNV4I_DONE && !settings->list)
        verdict = open_devices(settings, &devices);
    if (verdict == DCNV4I_DONE)
        verdict = run_and_write(settings, &devices, &w);
    dcnv4i_devices_free(&devices);
    dcnv4i_tasks_free(&w.problems);
    free(w.records.items);
    free(w.scanned.items);
    return verdict;
}
