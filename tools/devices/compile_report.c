#include "compile_report.h"
#include "../output/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_listed(const dcnv4i_kernel_rows *rows, const char *target, const char *layer,
                      const dcnv4_kernel_info *info) {
    for (const dcnv4i_kernel_row *row = rows->items; row < rows->items + rows->count; ++row)
        if (strcmp(row->layer, layer) == 0 && strcmp(row->target, target) == 0 &&
            strcmp(row->info.name, info->name) == 0 && row->info.aligned == info->aligned &&
            row->info.deterministic == info->deterministic)
            return true;
    return false;
}

dcnv4i_exit dcnv4i_rows_add(dcnv4i_kernel_rows *rows, const char *target, const char *layer, const dcnv4_plan *plan) {
    const int64_t count = dcnv4_kernel_count(plan), room = rows->count + count;
    dcnv4i_kernel_row *items = count > 0 ? realloc(rows->items, (size_t)room * sizeof *items) : rows->items;
    if (count > 0 && !items)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a list of kernels");
    rows->items = items;
    for (int64_t i = 0; i < count; ++i) {
        dcnv4i_kernel_row row = {.info = DCNV4_KERNEL_INFO_INIT};
        const dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_kernel_info_get(plan, i, &row.info), target);
        if (verdict != DCNV4I_DONE)
            return verdict;
        snprintf(row.target, sizeof row.target, "%s", target);
        snprintf(row.layer, sizeof row.layer, "%s", layer);
        if (!is_listed(rows, target, layer, &row.info))
            rows->items[rows->count++] = row;
    }
    return DCNV4I_DONE;
}

void dcnv4i_rows_free(dcnv4i_kernel_rows *rows) {
    free(rows->items);
    *rows = (dcnv4i_kernel_rows){NULL, 0};
}

static void json_known(const char *key, double number) {
    printf(", \"%s\": ", key);
    dcnv4i_json_number(stdout, number < 0 ? NAN : number);
}

static void print_json(const dcnv4i_kernel_rows *rows) {
    printf("{\"dcnv4\": ");
    dcnv4i_json_text(stdout, dcnv4_version());
    printf(", \"results\": [");
    for (int64_t i = 0; i < rows->count; ++i) {
        const dcnv4i_kernel_row *row = &rows->items[i];
        printf("%s\n{\"target\": ", i > 0 ? "," : "");
        dcnv4i_json_text(stdout, row->target);
        if (row->layer[0]) {
            printf(", \"layer\": ");
            dcnv4i_json_text(stdout, row->layer);
        }
        printf(", \"kernel\": ");
        dcnv4i_json_text(stdout, row->info.name);
        printf(", \"aligned\": %s, \"deterministic\": %s", row->info.aligned ? "true" : "false",
               row->info.deterministic ? "true" : "false");
        json_known("registers", (double)row->info.registers);
        json_known("local_memory_bytes", (double)row->info.local_memory_bytes);
        json_known("spill_bytes", (double)row->info.spill_bytes);
        json_known("occupancy", row->info.occupancy);
        printf("}");
    }
    printf("\n]}\n");
}

static void print_known(int64_t number, int width) {
    if (number < 0)
        printf(" %*s", width, "?");
    else
        printf(" %*" PRId64, width, number);
}

static void print_table(const dcnv4i_kernel_rows *rows) {
    printf("%-12s %-21s %-7s %-13s %9s %11s %11s %9s\n", "target", "kernel", "aligned", "deterministic", "registers",
           "local bytes", "spill bytes", "occupancy");
    for (const dcnv4i_kernel_row *row = rows->items; row < rows->items + rows->count; ++row) {
        if (row->layer[0] && (row == rows->items || strcmp(row[-1].layer, row->layer) != 0))
            printf("%s:\n", row->layer);
        printf("%-12s %-21s %-7s %-13s", row->target, row->info.name, row->info.aligned ? "yes" : "no",
               row->info.deterministic ? "yes" : "no");
        print_known(row->info.registers, 9);
        print_known(row->info.local_memory_bytes, 11);
        print_known(row->info.spill_bytes, 11);
        if (row->info.occupancy >= 0)
            printf(" %7.0f %%\n", 100 * row->info.occupancy);
        else
            printf(" %9s\n", "?");
    }
}

void dcnv4i_rows_print(const dcnv4i_kernel_rows *rows, int64_t format) {
    (format == DCNV4I_JSON ? print_json : print_table)(rows);
}
