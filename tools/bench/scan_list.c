#include "scan_list.h"

#include "../cli/option_table.h"

#include <string.h>

static dcnv4i_settings with_operator(const dcnv4i_settings *settings, int64_t op) {
    dcnv4i_settings other = *settings;
    other.op = op;
    return other;
}

/* Whether a list of --scan, with commas, has this name. */
static bool names(const char *list, const char *name) {
    for (size_t length; *list; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        if (length == strlen(name) && memcmp(list, name, length) == 0)
            return true;
    }
    return false;
}

static bool is_chosen(const dcnv4i_settings *settings, const char *axis) {
    for (int64_t i = 0; i < settings->scan.count; ++i)
        if (names(settings->scan.items[i], axis) || names(settings->scan.items[i], "all"))
            return true;
    return false;
}

static const dcnv4i_scan *scan_of(const dcnv4i_settings *settings, int64_t op) {
    const dcnv4i_settings own = with_operator(settings, op);
    return dcnv4i_task_begin(&own).op->scan;
}

/* The operators to scan: first to last. */
static void operators_of(const dcnv4i_settings *settings, int64_t *first, int64_t *last) {
    *first = settings->operator_given ? settings->op : 0;
    *last = settings->operator_given ? settings->op : DCNV4I_OPERATORS - 1;
}

static bool has_axis(const dcnv4i_settings *settings, const char *name, size_t length) {
    int64_t first, last;
    operators_of(settings, &first, &last);
    for (int64_t op = first; op <= last; ++op)
        for (int i = 0; i < scan_of(settings, op)->count; ++i) {
            const char *const known = scan_of(settings, op)->axes[i].name;
            if (strlen(known) == length && memcmp(known, name, length) == 0)
                return true;
        }
    return length == 3 && memcmp(name, "all", 3) == 0;
}

static dcnv4i_exit check_names(const dcnv4i_settings *settings, const char *list) {
    for (;;) {
        const size_t length = strcspn(list, ",");
        if (!has_axis(settings, list, length))
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "--scan is \"%.*s\", which is no axis; dcnv4 bench --scan --list "
                                  "lists the axes",
                                  (int)(length < 64 ? length : 64), list);
        if (list[length] == '\0')
            return DCNV4I_DONE;
        list += length + 1;
    }
}

dcnv4i_exit dcnv4i_scan_choose(const dcnv4i_settings *settings, dcnv4i_scan_items *chosen) {
    int64_t first, last;
    dcnv4i_exit verdict = DCNV4I_DONE;
    chosen->count = 0;
    if (settings->describing)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--scan has problems of its own; %s does not go with it",
                              settings->describing);
    for (int64_t i = 0; i < settings->scan.count && verdict == DCNV4I_DONE; ++i)
        verdict = check_names(settings, settings->scan.items[i]);
    operators_of(settings, &first, &last);
    for (int64_t op = first; op <= last; ++op) {
        const dcnv4i_settings own = with_operator(settings, op);
        const dcnv4i_task_operator *const table = dcnv4i_task_begin(&own).op;
        for (int i = 0; i < table->scan->count && chosen->count < DCNV4I_SCAN_ITEMS_MOST; ++i)
            if (is_chosen(settings, table->scan->axes[i].name))
                chosen->items[chosen->count++] = (dcnv4i_scan_item){table, &table->scan->axes[i]};
    }
    return verdict;
}

dcnv4i_scan_problem dcnv4i_scan_base(const dcnv4i_settings *settings, const dcnv4i_task_operator *op) {
    const dcnv4i_settings own = with_operator(settings, op->number);
    dcnv4i_scan_problem problem = {.task = dcnv4i_task_begin(&own)};
    problem.task.dtype = (int32_t)settings->dtype;
    problem.task.deterministic = settings->deterministic;
    problem.task.forward_only = settings->pass == DCNV4_PASS_FORWARD;
    problem.threads = settings->threads > 0 ? settings->threads : 1;
    op->scan->begin(&problem);
    return problem;
}

dcnv4i_scan_problem dcnv4i_scan_problem_at(const dcnv4i_settings *settings, const dcnv4i_scan_item *item,
                                           double value) {
    dcnv4i_scan_problem problem = dcnv4i_scan_base(settings, item->op);
    item->axis->set(&problem, value);
    return problem;
}

double dcnv4i_scan_work(const dcnv4i_scan_problem *problem) {
    return problem->task.op->gathered(&problem->task) / 4;
}

const char *dcnv4i_scan_operator_word(const dcnv4i_scan_item *item) {
    return dcnv4i_operator_choices[item->op->number].word;
}
