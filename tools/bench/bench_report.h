/* The results of bench in words, as JSON and as CSV. */
#ifndef DCNV4I_BENCH_REPORT_H
#define DCNV4I_BENCH_REPORT_H

#include "../operators/task_list.h"
#include "bench_run.h"

#include <stdio.h>

/* Print what comes before the records, the records from number first on, and what comes after them. */
void dcnv4i_report_begin(FILE *file, dcnv4i_format format, const dcnv4i_tasks *tasks);
void dcnv4i_report_records(FILE *file, dcnv4i_format format, const dcnv4i_records *records, int64_t first);
void dcnv4i_report_end(FILE *file, dcnv4i_format format);

/* The problems alone: one a line, as JSON or as CSV. */
void dcnv4i_report_problems(FILE *file, dcnv4i_format format, const dcnv4i_tasks *tasks);

/* A problem's members of a JSON object. */
void dcnv4i_report_json_problem(FILE *file, const dcnv4i_task *task);

/* A column of CSV that is not the first: a number, or nothing if it is not finite. */
void dcnv4i_report_csv_number(FILE *file, double number);

/* Prints a UTF-8 text, padded with blanks to a width in characters, not bytes. */
void dcnv4i_report_padded(FILE *file, const char *text, int width);

/* The name of this machine's processor, or of its kind. */
const char *dcnv4i_processor_name(char *text, size_t size);

#endif
