/* A list of problems to run: presets, or one that the options describe. */
#ifndef DCNV4I_TASK_LIST_H
#define DCNV4I_TASK_LIST_H

#include "task.h"

typedef struct dcnv4i_tasks {
    dcnv4i_task *items;
    int64_t count;
} dcnv4i_tasks;

/* The settings' presets, or the operator's standard one, or the problem that the options describe. After a failure there is
 * nothing to free. */
dcnv4i_exit dcnv4i_tasks_open(const dcnv4i_settings *settings, dcnv4i_tasks *tasks);

/* The same for compile, to which sizes do not matter: the settings' presets, or the layer that the options describe. */
dcnv4i_exit dcnv4i_tasks_layers(const dcnv4i_settings *settings, dcnv4i_tasks *tasks);

void dcnv4i_tasks_free(dcnv4i_tasks *tasks);

#endif
