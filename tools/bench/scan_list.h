/* What a scan runs: axes, and the problems along one. */
#ifndef DCNV4I_SCAN_LIST_H
#define DCNV4I_SCAN_LIST_H

#include "../operators/scan_axis.h"

/* An axis of an operator that was asked for. */
typedef struct dcnv4i_scan_item {
    const dcnv4i_task_operator *op;
    const dcnv4i_scan_axis *axis;
} dcnv4i_scan_item;

enum { DCNV4I_SCAN_ITEMS_MOST = 64 };

typedef struct dcnv4i_scan_items {
    dcnv4i_scan_item items[DCNV4I_SCAN_ITEMS_MOST];
    int count;
} dcnv4i_scan_items;

/* The axes that the settings name, of the operators that they name. */
dcnv4i_exit dcnv4i_scan_choose(const dcnv4i_settings *settings, dcnv4i_scan_items *chosen);

/* The problem that the axes of an operator vary. */
dcnv4i_scan_problem dcnv4i_scan_base(const dcnv4i_settings *settings, const dcnv4i_task_operator *op);

/* The problem with this value of the axis. */
dcnv4i_scan_problem dcnv4i_scan_problem_at(const dcnv4i_settings *settings, const dcnv4i_scan_item *item, double value);

/* Points · channels of all groups of all outputs. */
double dcnv4i_scan_work(const dcnv4i_scan_problem *problem);

/* "dcnv4", "msda". */
const char *dcnv4i_scan_operator_word(const dcnv4i_scan_item *item);

#endif
