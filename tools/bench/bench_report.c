#include "bench_report.h"

#include "../output/json.h"
#include "../system/system.h"
#include "processor_floor.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *dcnv4i_processor_name(char *text, size_t size) {
    dcnv4i_machine machine;
    dcnv4i_machine_look(&machine);
    snprintf(text, size, "%s", machine.processor);
    return text;
}

/* ---- Table ---------------------------------------------------------------------------------------------------------- */

void dcnv4i_report_padded(FILE *file, const char *text, int width) {
    int columns = 0;
    for (const char *c = text; *c; ++c)
        columns += ((unsigned char)*c & 0xc0) != 0x80;
    fprintf(file, "%s%*s ", text, width > columns ? width - columns : 0, "");
}

static void table_begin(FILE *file, const dcnv4i_task *task) {
    char name[160];
    fprintf(file, "%s, %s; %s; the floor's loads are %s\n\n", dcnv4i_processor_name(name, sizeof name),
            dcnv4i_dtype_word(task->dtype), task->op->legend, dcnv4i_floor_loads());
    dcnv4i_report_padded(file, "problem", task->op->words_width);
    fprintf(file, "%-9s %-13s %7s %9s %9s %9s %7s %9s %-6s %6s %8s\n", "pass", "device", "threads", "min ms",
            "median ms", "max ms", "GB/s", "floor ms", "by", "of it", "error");
}

static void table_record(FILE *file, const dcnv4i_record *r) {
    char words[96], threads[24] = "-";
    dcnv4i_report_padded(file, dcnv4i_task_words(&r->task, words, sizeof words), r->task.op->words_width);
    if (r->threads > 0)
        snprintf(threads, sizeof threads, "%" PRId64, r->threads);
    fprintf(file, "%-9s %-13s %7s %9.4f %9.4f %9.4f %7.2f ", dcnv4i_pass_word(r->pass), r->device, threads, r->ms.min,
            r->ms.median, r->ms.max, r->bytes / r->ms.median * 1e-6);
    if (isnan(r->floor_ms))
        fprintf(file, "%9s %-6s %6s ", "-", "", "-");
    else
        fprintf(file, "%9.4f %-6s %6.3f ", r->floor_ms, r->memory_binds ? "memory" : "loads",
                r->floor_ms / r->ms.median);
    fprintf(file, "%8.1e%s\n", r->error, r->right ? "" : "  WRONG");
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

void dcnv4i_report_json_problem(FILE *file, const dcnv4i_task *task) {
    fputs("\"dtype\": ", file);
    dcnv4i_json_text(file, dcnv4i_dtype_word(task->dtype));
    task->op->json(file, task);
}

static void json_begin(FILE *file) {
    dcnv4i_machine machine;
    dcnv4i_machine_look(&machine);
    fputs("{\"dcnv4\": ", file);
    dcnv4i_json_text(file, dcnv4_version());
    fputs(", \"machine\": {\"processor\": ", file);
    dcnv4i_json_text(file, machine.processor);
    fprintf(file, ", \"processors\": %ld, \"architecture\": ", machine.processors);
    dcnv4i_json_text(file, machine.architecture);
    fputs(", \"system\": ", file);
    dcnv4i_json_text(file, machine.system);
    fputs(", \"floor_loads\": ", file);
    dcnv4i_json_text(file, dcnv4i_floor_loads());
    fputs("}, \"results\": [", file);
}

static void json_record(FILE *file, const dcnv4i_record *r) {
    const struct {
        const char *key, *text;
    } texts[] = {
        {"device", r->device},
        {"backend", r->backend},
        {"pass", dcnv4i_pass_word(r->pass)},
    };
    fputs("{", file);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        fprintf(file, "\"%s\": ", texts[i].key);
        dcnv4i_json_text(file, texts[i].text);
        fputs(", ", file);
    }
    dcnv4i_report_json_problem(file, &r->task);
    fputs(", \"threads\": ", file);
    dcnv4i_json_number(file, r->threads > 0 ? (double)r->threads : NAN);
    fprintf(file, ", \"runs\": %" PRId64, r->runs);
    const struct {
        const char *key;
        double number;
    } numbers[] = {
        {"min_ms", r->ms.min},
        {"median_ms", r->ms.median},
        {"max_ms", r->ms.max},
        {"floor_ms", r->floor_ms},
        {"floor_fraction", r->floor_ms / r->ms.median},
        {"error", r->error},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        fprintf(file, ", \"%s\": ", numbers[i].key);
        dcnv4i_json_number(file, numbers[i].number);
    }
    fputs("}", file);
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------ */

void dcnv4i_report_csv_number(FILE *file, double number) {
    if (isfinite(number))
        fprintf(file, ",%.9g", number);
    else
        fputc(',', file);
}

static void csv_problem(FILE *file, const dcnv4i_task *task) {
    fputs(dcnv4i_dtype_word(task->dtype), file);
    task->op->csv(file, task);
}

static void csv_record(FILE *file, const dcnv4i_record *r) {
    fprintf(file, "%s,%s,%s,", r->device, r->backend, dcnv4i_pass_word(r->pass));
    csv_problem(file, &r->task);
    dcnv4i_report_csv_number(file, r->threads > 0 ? (double)r->threads : NAN);
    fprintf(file, ",%" PRId64, r->runs);
    const double numbers[] = {r->ms.min, r->ms.median, r->ms.max, r->floor_ms, r->floor_ms / r->ms.median, r->error};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        dcnv4i_report_csv_number(file, numbers[i]);
    fputc('\n', file);
}

/* ---- All of them ---------------------------------------------------------------------------------------------------- */

void dcnv4i_report_begin(FILE *file, dcnv4i_format format, const dcnv4i_tasks *tasks) {
    switch (format) {
    case DCNV4I_TABLE: table_begin(file, tasks->items); break;
    case DCNV4I_JSON: json_begin(file); break;
    case DCNV4I_CSV:
        fprintf(file,
                "device,backend,pass,dtype,%s,threads,runs,min_ms,median_ms,max_ms,floor_ms,floor_fraction,error\n",
                tasks->items->op->csv_head);
        break;
    }
}

void dcnv4i_report_records(FILE *file, dcnv4i_format format, const dcnv4i_records *records, int64_t first) {
    for (int64_t i = first; i < records->count; ++i) {
        if (format == DCNV4I_JSON)
            fputs(i ? ",\n" : "\n", file);
        (format == DCNV4I_TABLE  ? table_record
         : format == DCNV4I_JSON ? json_record
                                 : csv_record)(file, &records->items[i]);
    }
    fflush(file);
}

void dcnv4i_report_end(FILE *file, dcnv4i_format format) {
    if (format == DCNV4I_JSON)
        fputs("\n]}\n", file);
}

/* ---- Problems that are not run -------------------------------------------------------------------------------------- */

static void list_json(FILE *file, const dcnv4i_tasks *tasks) {
    fputs("{\"dcnv4\": ", file);
    dcnv4i_json_text(file, dcnv4_version());
    fputs(", \"problems\": [", file);
    for (int64_t i = 0; i < tasks->count; ++i) {
        fputs(i ? ",\n{" : "\n{", file);
        dcnv4i_report_json_problem(file, &tasks->items[i]);
        fputs("}", file);
    }
    fputs("\n]}\n", file);
}

void dcnv4i_report_problems(FILE *file, dcnv4i_format format, const dcnv4i_tasks *tasks) {
    char words[96];
    if (format == DCNV4I_JSON) {
        list_json(file, tasks);
        return;
    }
    if (format == DCNV4I_CSV)
        fprintf(file, "dtype,%s\n", tasks->items->op->csv_head);
    for (int64_t i = 0; i < tasks->count; ++i) {
        if (format == DCNV4I_CSV)
            csv_problem(file, &tasks->items[i]);
        else
            fputs(dcnv4i_task_words(&tasks->items[i], words, sizeof words), file);
        fputc('\n', file);
    }
}
