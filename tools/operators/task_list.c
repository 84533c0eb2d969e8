#include "task_list.h"

#include <stdlib.h>
#include <string.h>

/* Appends a problem with the settings that the options give all problems. */
static dcnv4i_exit append(const dcnv4i_settings *settings, dcnv4i_tasks *tasks, dcnv4i_task **added) {
    dcnv4i_task *items = realloc(tasks->items, (size_t)(tasks->count + 1) * sizeof *items);
    if (!items)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a list of problems");
    tasks->items = items;
    *added = &items[tasks->count++];
    **added = dcnv4i_task_begin(settings);
    (*added)->dtype = settings->dtype == DCNV4I_NO_DTYPE ? DCNV4_FLOAT32 : (int32_t)settings->dtype;
    (*added)->deterministic = settings->deterministic;
    (*added)->forward_only = settings->command == DCNV4I_BENCH || settings->command == DCNV4I_TUNE
                                 ? settings->pass == DCNV4_PASS_FORWARD
                                 : false;
    return (*added)->op->describe(settings, *added);
}

/* "paper, detection, …" */
static const char *known_presets(const dcnv4i_task *task, char *known, size_t size) {
    dcnv4i_task scratch = *task;
    const char *before = "";
    *known = '\0';
    for (int i = 0;; ++i) {
        const char *const name = task->op->preset(i, &scratch);
        if (!name)
            return known;
        if (strcmp(name, before) != 0)
            snprintf(known + strlen(known), size - strlen(known), "%s%s", i ? ", " : "", name);
        before = name;
    }
}

static dcnv4i_exit append_preset(const dcnv4i_settings *settings, const char *name, size_t length,
                                 dcnv4i_tasks *tasks) {
    const int64_t before = tasks->count;
    dcnv4i_task task = dcnv4i_task_begin(settings);
    for (int i = 0;; ++i) {
        const char *const preset = task.op->preset(i, &task);
        if (!preset)
            break;
        if (strlen(preset) != length || memcmp(preset, name, length) != 0)
            continue;
        dcnv4i_task *added;
        const dcnv4i_exit verdict = append(settings, tasks, &added);
        if (verdict != DCNV4I_DONE)
            return verdict;
        added->op->preset(i, added);
    }
    char known[256];
    return tasks->count > before
               ? DCNV4I_DONE
               : dcnv4i_verdict(DCNV4I_REFUSED, "--preset is \"%.*s\"; known are %s", (int)(length < 64 ? length : 64),
                                name, known_presets(&task, known, sizeof known));
}

static dcnv4i_exit append_presets(const dcnv4i_settings *settings, const char *list, dcnv4i_tasks *tasks) {
    for (;;) {
        const size_t length = strcspn(list, ",");
        const dcnv4i_exit verdict = append_preset(settings, list, length, tasks);
        if (verdict != DCNV4I_DONE || list[length] == '\0')
            return verdict;
        list += length + 1;
    }
}

/* The one problem that the options describe, if they do. */
static dcnv4i_exit append_described(const dcnv4i_settings *settings, dcnv4i_tasks *tasks) {
    dcnv4i_task *added;
    bool described = false;
    dcnv4i_exit verdict = append(settings, tasks, &added);
    if (verdict == DCNV4I_DONE)
        verdict = added->op->sized(settings, added, &described);
    if (verdict != DCNV4I_DONE || !described)
        tasks->count = 0;
    return verdict;
}

static dcnv4i_exit check(const dcnv4i_tasks *tasks) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < tasks->count && verdict == DCNV4I_DONE; ++i) {
        const dcnv4i_task *const task = &tasks->items[i];
        dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
        char about[96];
        task->op->about(task, about, sizeof about);
        verdict = dcnv4i_task_lay_out(task, about, layouts);
        if (verdict == DCNV4I_DONE && *task->op->idle(task))
            verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s", task->op->idle(task));
    }
    return verdict;
}

dcnv4i_exit dcnv4i_tasks_open(const dcnv4i_settings *settings, dcnv4i_tasks *tasks) {
    *tasks = (dcnv4i_tasks){NULL, 0};
    dcnv4i_exit verdict = append_described(settings, tasks);
    const char *const standard = dcnv4i_task_begin(settings).op->standard_preset;
    if (verdict == DCNV4I_DONE && tasks->count == 0 && settings->presets.count == 0)
        verdict = append_presets(settings, standard, tasks);
    for (int64_t i = 0; i < settings->presets.count && verdict == DCNV4I_DONE; ++i)
        verdict = append_presets(settings, settings->presets.items[i], tasks);
    if (verdict == DCNV4I_DONE)
        verdict = check(tasks);
    if (verdict != DCNV4I_DONE)
        dcnv4i_tasks_free(tasks);
    return verdict;
}

dcnv4i_exit dcnv4i_tasks_layers(const dcnv4i_settings *settings, dcnv4i_tasks *tasks) {
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    dcnv4i_task *task = NULL;
    if (settings->presets.count > 0)
        return dcnv4i_tasks_open(settings, tasks);
    *tasks = (dcnv4i_tasks){NULL, 0};
    dcnv4i_exit verdict = append(settings, tasks, &task);
    const char *const lacks = verdict == DCNV4I_DONE ? task->op->layer_lacks(settings) : NULL;
    if (lacks)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "a layer needs %s; %s is missing", task->op->layer_needs, lacks);
    if (verdict == DCNV4I_DONE) /* an empty batch is valid */
        verdict = dcnv4i_task_lay_out(task, "PROBLEM", layouts);
    if (verdict != DCNV4I_DONE)
        dcnv4i_tasks_free(tasks);
    return verdict;
}

void dcnv4i_tasks_free(dcnv4i_tasks *tasks) {
    free(tasks->items);
    *tasks = (dcnv4i_tasks){NULL, 0};
}
