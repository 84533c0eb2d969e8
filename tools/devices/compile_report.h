/* What dcnv4 compile reports about its kernels. */
#ifndef DCNV4I_COMPILE_REPORT_H
#define DCNV4I_COMPILE_REPORT_H

#include "../cli/options.h"

typedef struct dcnv4i_kernel_row {
    char target[64]; /* as given to --target */
    char layer[96];  /* which of several layers it is for; "" if there is one */
    dcnv4_kernel_info info;
} dcnv4i_kernel_row;

typedef struct dcnv4i_kernel_rows {
    dcnv4i_kernel_row *items;
    int64_t count;
} dcnv4i_kernel_rows;

/* Adds the kernels of a plan that are not yet listed for the target and layer. */
dcnv4i_exit dcnv4i_rows_add(dcnv4i_kernel_rows *rows, const char *target, const char *layer, const dcnv4_plan *plan);

void dcnv4i_rows_print(const dcnv4i_kernel_rows *rows, int64_t format);

void dcnv4i_rows_free(dcnv4i_kernel_rows *rows);

#endif
