#include "scan_report.h"

#include "../output/json.h"
#include "bench_report.h"

#include <inttypes.h>
#include <math.h>

static const char *value_words(const dcnv4i_scan_record *r, char *text, size_t size) {
    return dcnv4i_scan_value_words(r->item.axis, r->value, text, size);
}

/* ---- Table ---------------------------------------------------------------------------------------------------------- */

static void table_begin(FILE *file) {
    char name[160];
    fprintf(
        file,
        "%s; ns: processor time of a point and channel; of next: of that of the faster of the two\nproblems next to "
        "it, of base: of that of the layer that is varied; fixed: over 1.5 times, but the whole\ncall takes no longer "
        "than that of a larger problem next to it; cliff: over 1.5 times and no such reason\n\n",
        dcnv4i_processor_name(name, sizeof name));
    fprintf(file, "%-8s %-17s %-7s %-5s %-9s %-13s %7s %10s %9s %8s %8s\n", "operator", "axis", "value", "dtype",
            "pass", "device", "threads", "ms", "ns", "of next", "of base");
}

static void table_ratio(FILE *file, double ratio) {
    if (isnan(ratio))
        fprintf(file, " %8s", "-");
    else
        fprintf(file, " %8.2f", ratio);
}

static void table_record(FILE *file, const dcnv4i_scan_record *r) {
    char words[32], threads[24] = "-";
    if (r->threads > 0)
        snprintf(threads, sizeof threads, "%" PRId64, r->threads);
    fprintf(file, "%-8s %-17s ", dcnv4i_scan_operator_word(&r->item), r->item.axis->name);
    dcnv4i_report_padded(file, value_words(r, words, sizeof words), 7);
    fprintf(file, "%-5s %-9s %-13s %7s %10.4f %9.4f", dcnv4i_dtype_word(r->task.dtype), dcnv4i_pass_word(r->pass),
            r->device, threads, r->ms, r->ns);
    table_ratio(file, r->of_neighbours);
    table_ratio(file, r->of_base);
    fprintf(file, "  %s%s\n", dcnv4i_scan_mark_word(r->mark), r->right ? "" : "  WRONG");
}

static void table_end(FILE *file, const dcnv4i_scan_records *records) {
    int64_t cliffs = 0;
    for (int64_t i = 0; i < records->count; ++i)
        cliffs += records->items[i].mark == DCNV4I_SCAN_CLIFF;
    fprintf(file, "\n%" PRId64 " cliffs among %" PRId64 " measurements%s\n", cliffs, records->count, cliffs ? ":" : "");
    for (int64_t i = 0; i < records->count; ++i)
        if (records->items[i].mark == DCNV4I_SCAN_CLIFF)
            table_record(file, &records->items[i]);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

static void json_texts(FILE *file, const char *const texts[][2], size_t count) {
    for (size_t i = 0; i < count; ++i) {
        fprintf(file, "%s\"%s\": ", i ? ", " : "", texts[i][0]);
        dcnv4i_json_text(file, texts[i][1]);
    }
}

static void json_begin(FILE *file) {
    char name[160];
    fputs("{\"dcnv4\": ", file);
    dcnv4i_json_text(file, dcnv4_version());
    fputs(", \"machine\": {\"processor\": ", file);
    dcnv4i_json_text(file, dcnv4i_processor_name(name, sizeof name));
    fputs("}, \"results\": [", file);
}

static void json_record(FILE *file, const dcnv4i_scan_record *r) {
    char words[32];
    const char *const texts[][2] = {
        {"device", r->device},
        {"backend", r->backend},
        {"operator", dcnv4i_scan_operator_word(&r->item)},
        {"axis", r->item.axis->name},
        {"value", value_words(r, words, sizeof words)},
        {"pass", dcnv4i_pass_word(r->pass)},
        {"mark", dcnv4i_scan_mark_word(r->mark)},
    };
    const struct {
        const char *key;
        double number;
    } numbers[] = {
        {"threads", r->threads > 0 ? (double)r->threads : NAN},
        {"runs", (double)r->runs},
        {"points_channels", r->work},
        {"min_ms", r->ms},
        {"ns", r->ns},
        {"of_next", r->of_neighbours},
        {"of_base", r->of_base},
        {"error", r->error},
    };
    fputs("{", file);
    json_texts(file, texts, sizeof texts / sizeof *texts);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        fprintf(file, ", \"%s\": ", numbers[i].key);
        dcnv4i_json_number(file, numbers[i].number);
    }
    fputs(", \"problem\": {", file);
    dcnv4i_report_json_problem(file, &r->task);
    fputs("}}", file);
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------ */

static void csv_record(FILE *file, const dcnv4i_scan_record *r) {
    char words[32];
    fprintf(file, "%s,%s,%s,%s,%s,%s,%s", r->device, r->backend, dcnv4i_scan_operator_word(&r->item),
            r->item.axis->name, value_words(r, words, sizeof words), dcnv4i_pass_word(r->pass),
            dcnv4i_dtype_word(r->task.dtype));
    dcnv4i_report_csv_number(file, r->threads > 0 ? (double)r->threads : NAN);
    fprintf(file, ",%" PRId64, r->runs);
    const double numbers[] = {r->work, r->ms, r->ns, r->of_neighbours, r->of_base, r->error};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        dcnv4i_report_csv_number(file, numbers[i]);
    fprintf(file, ",%s\n", dcnv4i_scan_mark_word(r->mark));
}

/* ---- All of them ---------------------------------------------------------------------------------------------------- */

void dcnv4i_scan_report_begin(FILE *file, const dcnv4i_settings *settings) {
    switch ((dcnv4i_format)settings->format) {
    case DCNV4I_TABLE: table_begin(file); break;
    case DCNV4I_JSON: json_begin(file); break;
    case DCNV4I_CSV:
        fputs("device,backend,operator,axis,value,pass,dtype,threads,runs,points_channels,min_ms,ns,of_next,of_base,"
              "error,"
              "mark\n",
              file);
        break;
    }
}

void dcnv4i_scan_report_records(FILE *file, dcnv4i_format format, const dcnv4i_scan_records *records, int64_t first) {
    for (int64_t i = first; i < records->count; ++i) {
        if (format == DCNV4I_JSON)
            fputs(i ? ",\n" : "\n", file);
        (format == DCNV4I_TABLE  ? table_record
         : format == DCNV4I_JSON ? json_record
                                 : csv_record)(file, &records->items[i]);
    }
    fflush(file);
}

void dcnv4i_scan_report_end(FILE *file, dcnv4i_format format, const dcnv4i_scan_records *records) {
    if (format == DCNV4I_JSON)
        fputs("\n]}\n", file);
    else if (format == DCNV4I_TABLE)
        table_end(file, records);
}

/* ---- Axes that are not run ------------------------------------------------------------------------------------------ */

static void list_values(FILE *file, const dcnv4i_scan_axis *axis, dcnv4i_format format) {
    const dcnv4i_scan_axis here = dcnv4i_scan_axis_here(axis);
    char words[32];
    for (int i = 0; i < here.count; ++i) {
        dcnv4i_scan_value_words(&here, here.values[i], words, sizeof words);
        fputs(i ? (format == DCNV4I_JSON ? ", " : " ") : "", file);
        if (format == DCNV4I_JSON)
            dcnv4i_json_text(file, words);
        else
            fputs(words, file);
    }
}

static void list_json(FILE *file, const dcnv4i_scan_items *items) {
    fputs("{\"dcnv4\": ", file);
    dcnv4i_json_text(file, dcnv4_version());
    fputs(", \"axes\": [", file);
    for (int i = 0; i < items->count; ++i) {
        const dcnv4i_scan_item *const item = &items->items[i];
        const char *const texts[][2] = {{"operator", dcnv4i_scan_operator_word(item)},
                                        {"base", item->op->scan->base},
                                        {"axis", item->axis->name},
                                        {"varies", item->axis->help}};
        fputs(i ? ",\n{" : "\n{", file);
        json_texts(file, texts, sizeof texts / sizeof *texts);
        fputs(", \"values\": [", file);
        list_values(file, item->axis, DCNV4I_JSON);
        fputs("]}", file);
    }
    fputs("\n]}\n", file);
}

static void list_csv(FILE *file, const dcnv4i_scan_items *items) {
    fputs("operator,axis,values\n", file);
    for (int i = 0; i < items->count; ++i) {
        fprintf(file, "%s,%s,", dcnv4i_scan_operator_word(&items->items[i]), items->items[i].axis->name);
        list_values(file, items->items[i].axis, DCNV4I_CSV);
        fputc('\n', file);
    }
}

static void list_table(FILE *file, const dcnv4i_scan_items *items) {
    for (int i = 0; i < items->count; ++i) {
        const dcnv4i_scan_item *const item = &items->items[i];
        if (i == 0 || item->op != item[-1].op)
            fprintf(file, "%s%s: %s\n", i ? "\n" : "", dcnv4i_scan_operator_word(item), item->op->scan->base);
        fprintf(file, "  %-18s%s: ", item->axis->name, item->axis->help);
        list_values(file, item->axis, DCNV4I_TABLE);
        fputc('\n', file);
    }
}

void dcnv4i_scan_report_axes(FILE *file, const dcnv4i_settings *settings, const dcnv4i_scan_items *items) {
    const dcnv4i_format format = (dcnv4i_format)settings->format;
    (format == DCNV4I_TABLE ? list_table : format == DCNV4I_JSON ? list_json : list_csv)(file, items);
}
