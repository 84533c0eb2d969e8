#include "task.h"

#include <string.h>

static const dcnv4i_task_operator *const operators[DCNV4I_OPERATORS] = {
#define DCNV4I_TASK(NAME, object, word, title) &dcnv4i_task_##object,
#include "../cli/operator_list.def"
#undef DCNV4I_TASK
};

dcnv4i_task dcnv4i_task_begin(const dcnv4i_settings *settings) {
    return (dcnv4i_task){
        .op = operators[settings->op],
        .dtype = DCNV4_FLOAT32,
        .conv = DCNV4_PROBLEM_INIT,
        .attn = DCNV4_MSDA_PROBLEM_INIT,
    };
}

dcnv4i_exit dcnv4i_task_lay_out(const dcnv4i_task *task, const char *about,
                                dcnv4i_layout layouts[DCNV4I_TENSORS_MOST]) {
    return dcnv4i_verdict_library(task->op->lay_out(task, layouts), about);
}

bool dcnv4i_task_uses(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor) {
    const dcnv4i_role role = task->op->tensors[tensor].role;
    const bool backward = role == DCNV4I_GRAD_INPUT || role == DCNV4I_GRADIENT;
    return layouts[tensor].rank > 0 && !(backward && task->forward_only);
}

size_t dcnv4i_layout_elements(const dcnv4i_layout *layout) {
    return (size_t)layout->rows * (size_t)layout->row;
}

bool dcnv4i_is_input(const dcnv4i_tensor *tensor) {
    return tensor->role == DCNV4I_INPUT || tensor->role == DCNV4I_GRAD_INPUT;
}

const char *dcnv4i_tensor_path(const dcnv4i_settings *settings, const dcnv4i_tensor *tensor) {
    return tensor->option ? *(const char *const *)((const char *)settings + tensor->path) : NULL;
}

const char *dcnv4i_task_words(const dcnv4i_task *task, char *text, size_t size) {
    task->op->words(task, text, size);
    return text;
}

const char *dcnv4i_task_option(const dcnv4i_task *task) {
    static const char *const options[DCNV4I_OPERATORS] = {
#define DCNV4I_TASK(NAME, object, word, title) DCNV4I_##NAME ? "--operator " word " " : "",
#include "../cli/operator_list.def"
#undef DCNV4I_TASK
    };
    return options[task->op->number];
}

dcnv4i_exit dcnv4i_source_shape(const dcnv4i_source *source, int rank, const int64_t *shape) {
    char has[256], needed[256];
    if (source->npy.rank == rank && memcmp(source->npy.shape, shape, (size_t)rank * sizeof *shape) == 0)
        return DCNV4I_DONE;
    dcnv4i_npy_shape(source->npy.rank, source->npy.shape, has, sizeof has);
    dcnv4i_npy_shape(rank, shape, needed, sizeof needed);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; %s is needed", source->path, has, needed);
}

dcnv4i_exit dcnv4i_source_dtypes(const dcnv4i_source *one, const dcnv4i_source *other) {
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s and %s is %s; --dtype says what to convert them to", one->path,
                          dcnv4i_dtype_name(one->npy.dtype), other->path, dcnv4i_dtype_name(other->npy.dtype));
}
