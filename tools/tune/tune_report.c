#include "tune_report.h"

#include "../bench/bench_report.h"
#include "../output/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- Table ---------------------------------------------------------------------------------------------------------- */

enum { WORDS_WIDTH = 64 };

static const char *part_word(const dcnv4i_race *race) {
    return race->task.op->parts[race->part].word;
}

static void table_way(const dcnv4i_race *race, int64_t index, const dcnv4i_choice_made *choice) {
    const dcnv4i_tactic *const way = &race->ways[index];
    char words[96];
    dcnv4i_report_padded(stdout, dcnv4i_task_words(&race->task, words, sizeof words), race->task.op->words_width);
    printf("%-16s ", part_word(race));
    dcnv4i_report_padded(stdout, way->words, WORDS_WIDTH);
    if (way->reason[0])
        printf("%s\n", way->reason);
    else
        printf("%9.4f %9.4f %10.3f  %s%s%s\n", way->ms.min, way->ms.median, way->ratio,
               index == choice->fastest ? "fastest" : "", index == 0 ? " default" : "", way->in_use ? " in use" : "");
}

static void table_choice(const dcnv4i_race *race, const dcnv4i_choice_made *choice) {
    const char *const part = part_word(race), *const words = race->ways[choice->fastest].words;
    if (choice->fastest == 0)
        printf("%s: the default; nothing else is faster by more than the noise", part);
    else
        printf("%s: %s, in %.3f of the default's time", part, words, choice->ratio);
    if (choice->why)
        printf("; nothing was kept: %s\n\n", choice->why);
    else
        printf("%s\n\n", choice->fastest > 0 ? "; kept" : "");
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

static void json_way(const char *device, const dcnv4i_race *race, int64_t index, const dcnv4i_choice_made *choice) {
    const dcnv4i_tactic *const way = &race->ways[index];
    const double known = way->reason[0] ? NAN : 1;
    printf("{\"device\": ");
    dcnv4i_json_text(stdout, device);
    printf(", \"part\": \"%s\", ", part_word(race));
    dcnv4i_report_json_problem(stdout, &race->task);
    printf(", \"tactic\": %" PRId64 ", \"geometry\": ", index);
    dcnv4i_json_text(stdout, way->words);
    printf(", \"rounds\": %" PRId64 ", \"min_ms\": ", way->reason[0] ? 0 : race->rounds);
    dcnv4i_json_number(stdout, way->ms.min * known);
    printf(", \"median_ms\": ");
    dcnv4i_json_number(stdout, way->ms.median * known);
    printf(", \"to_default\": ");
    dcnv4i_json_number(stdout, way->ratio * known);
    const bool fastest = index == choice->fastest;
    printf(", \"in_use\": %s, \"fastest\": %s, \"kept\": %s, \"not_kept_since\": ", way->in_use ? "true" : "false",
           fastest ? "true" : "false", fastest && choice->kept ? "true" : "false");
    if (choice->why)
        dcnv4i_json_text(stdout, choice->why);
    else
        printf("null");
    printf("}");
}

/* ---- Both ----------------------------------------------------------------------------------------------------------- */

static void print_table(dcnv4i_tune_report *report, const char *device, const dcnv4i_race *races, int64_t count,
                        const dcnv4i_choice_made *choice) {
    if (!report->device || strcmp(report->device, device) != 0) {
        const dcnv4i_task *const task = &races[0].task;
        printf("%s, %s; %s\n\n", device, dcnv4i_dtype_word(task->dtype), task->op->legend);
        printf("%-*s %-16s %-*s %9s %9s %10s\n", task->op->words_width, "problem", "part", WORDS_WIDTH, "geometry",
               "min ms", "median ms", "to default");
    }
    for (int64_t r = 0; r < count; ++r)
        for (int64_t i = 0; i < races[r].count; ++i)
            table_way(&races[r], i, choice);
    table_choice(&races[0], choice);
}

static void print_json(const dcnv4i_tune_report *report, const char *device, const dcnv4i_race *races, int64_t count,
                       const dcnv4i_choice_made *choice) {
    if (report->rows == 0) {
        printf("{\"dcnv4\": ");
        dcnv4i_json_text(stdout, dcnv4_version());
        printf(", \"results\": [");
    }
    for (int64_t r = 0; r < count; ++r)
        for (int64_t i = 0; i < races[r].count; ++i) {
            printf("%s\n", report->rows > 0 || r > 0 || i > 0 ? "," : "");
            json_way(device, &races[r], i, choice);
        }
}

void dcnv4i_tune_print(dcnv4i_tune_report *report, const char *device, const dcnv4i_race *races, int64_t count,
                       const dcnv4i_choice_made *choice) {
    if (report->format == DCNV4I_JSON)
        print_json(report, device, races, count, choice);
    else
        print_table(report, device, races, count, choice);
    report->device = device;
    report->rows += 1;
    fflush(stdout);
}

void dcnv4i_tune_end(const dcnv4i_tune_report *report) {
    if (report->format == DCNV4I_JSON && report->rows > 0)
        printf("\n]}\n");
}
