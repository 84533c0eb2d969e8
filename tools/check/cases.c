#include "cases.h"

#include <stdlib.h>
#include <string.h>

/* One input, row by row; NaN between the rows. */
static bool fill_input(dcnv4i_random *random, dcnv4i_case *made, int tensor, dcnv4i_style how) {
    const dcnv4i_layout *const layout = &made->layouts[tensor];
    const size_t item = dcnv4i_dtype_bytes(layout->dtype);
    char *memory = made->tensors[tensor].memory;
    double *numbers = malloc((size_t)layout->row * sizeof *numbers + 1);
    if (!numbers)
        return false;
    memset(memory, 0xff, layout->bytes);
    for (int64_t row = 0; row < layout->rows; ++row) {
        made->task.op->draw_row(random, how, &made->task, made->layouts, tensor, numbers);
        dcnv4_convert(DCNV4_FLOAT64, numbers, layout->dtype, memory + (size_t)(row * layout->stride) * item,
                      (size_t)layout->row);
    }
    free(numbers);
    return true;
}

static bool allocate(dcnv4i_case *made) {
    bool ok = true;
    for (int i = 0; i < made->task.op->tensor_count; ++i) {
        const size_t bytes = made->layouts[i].bytes;
        made->tensors[i] = (dcnv4i_view){malloc(bytes + 1), made->layouts[i].stride};
        ok = ok && made->tensors[i].memory;
        if (made->tensors[i].memory)
            memset(made->tensors[i].memory, DCNV4I_UNTOUCHED, bytes);
    }
    return ok;
}

static bool fill(dcnv4i_random *random, dcnv4i_case *made, dcnv4i_style how) {
    const dcnv4i_task_operator *const op = made->task.op;
    bool ok = allocate(made);
    for (int i = 0; i < op->tensor_count && ok; ++i) {
        if (!dcnv4i_is_input(&op->tensors[i]) || made->layouts[i].rank == 0)
            continue;
        if (made->layouts[i].dtype == DCNV4I_INT64)
            op->fill_integers(&made->task, i, made->tensors[i].memory);
        else
            ok = fill_input(random, made, i, how);
    }
    return ok;
}

dcnv4i_exit dcnv4i_case_create(const dcnv4i_settings *settings, uint64_t seed, dcnv4i_case *made) {
    static const int32_t dtypes[] = {DCNV4_FLOAT32, DCNV4_FLOAT32, DCNV4_FLOAT16, DCNV4_BFLOAT16, DCNV4_FLOAT64};
    dcnv4i_random random = {seed};
    const int32_t drawn = dtypes[dcnv4i_random_below(&random, sizeof dtypes / sizeof *dtypes)];
    const bool near = dcnv4i_random_below(&random, 2) == 0;
    const dcnv4i_style how = near ? DCNV4I_NEAR : (dcnv4i_style)dcnv4i_random_below(&random, DCNV4I_STYLES);
    *made = (dcnv4i_case){.task = dcnv4i_task_begin(settings)};
    made->task.op->draw(&random, &made->task);
    made->task.dtype = settings->dtype == DCNV4I_NO_DTYPE ? drawn : (int32_t)settings->dtype;
    made->task.op->draw_dtypes(seed, &made->task);
    const dcnv4i_exit verdict = dcnv4i_task_lay_out(&made->task, "a random problem", made->layouts);
    if (verdict != DCNV4I_DONE || fill(&random, made, how))
        return verdict;
    dcnv4i_case_free(made);
    return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a random problem");
}

void dcnv4i_case_free(dcnv4i_case *made) {
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i) {
        free(made->tensors[i].memory);
        made->tensors[i].memory = NULL;
    }
}

int64_t dcnv4i_case_touched(const dcnv4i_case *made, int tensor, const void *result) {
    const dcnv4i_layout *const layout = &made->layouts[tensor];
    const size_t item = dcnv4i_dtype_bytes(layout->dtype);
    const size_t row = (size_t)layout->row * item, stride = (size_t)layout->stride * item;
    const unsigned char *bytes = result;
    for (size_t i = 0; i < layout->bytes; ++i)
        if (i % stride >= row && bytes[i] != DCNV4I_UNTOUCHED)
            return (int64_t)i;
    return -1;
}
