/* dcnv4 compile: creates plans with the folder as the library's cache, once with the compiler and once without. */
#include "../cli/commands.h"
#include "compile_report.h"
#include "../operators/task_list.h"
#include "../system/system.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The compiled kernels in a folder. */
typedef struct holdings {
    int64_t files, bytes;
} holdings;

static holdings look(const char *folder) {
    holdings found;
    dcnv4i_folder_count(folder, ".kernel", &found.files, &found.bytes);
    return found;
}

/* Creates a plan of the layer for each combination of flags that has kernels of its own. */
static dcnv4i_exit make_plans(dcnv4_context *context, const char *target, dcnv4i_task task, const char *layer,
                              dcnv4i_kernel_rows *rows) {
    char about[96];
    snprintf(about, sizeof about, "--target %.64s", target);
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int choice = 0; choice < 4 && verdict == DCNV4I_DONE; ++choice) {
        dcnv4_plan *plan = NULL;
        task.forward_only = choice & 1;
        task.deterministic = choice >> 1;
        verdict = dcnv4i_verdict_library(task.op->plan(context, &task, &plan), about);
        if (verdict == DCNV4I_DONE)
            verdict = dcnv4i_rows_add(rows, target, layer, plan);
        dcnv4_plan_destroy(plan);
    }
    return verdict;
}

/* The library's name for a target: names of devices stay, sm_90 becomes cuda:sm_90, and gfx942 hip:gfx942. */
static void name_device(const char *target, char *device, size_t size) {
    const char *const backend = strncmp(target, "sm_", 3) == 0 ? "cuda:" : strncmp(target, "gfx", 3) == 0 ? "hip:" : "";
    snprintf(device, size, "%s%s", backend, target);
}

/* The words of the first problem of the list that is the same layer as this one; "" if all of them are. */
static void name_layer(const dcnv4i_tasks *tasks, int64_t number, char *words, size_t size) {
    const dcnv4i_task_operator *const op = tasks->items->op;
    int64_t first = 0, same = 0;
    for (int64_t i = 0; i < tasks->count; ++i)
        same += op->same_layer(&tasks->items[i], &tasks->items[number]);
    while (!op->same_layer(&tasks->items[first], &tasks->items[number]))
        ++first;
    *words = '\0';
    if (same < tasks->count)
        op->words(&tasks->items[first], words, size);
}

/* Creates the plans on a new context, which has no kernels in memory yet. */
static dcnv4i_exit make_on(const char *target, const dcnv4i_tasks *tasks, dcnv4i_kernel_rows *rows) {
    char device[96], about[96];
    dcnv4_context *context = NULL;
    name_device(target, device, sizeof device);
    snprintf(about, sizeof about, "--target %.64s", target);
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_context_create(device, &context), about);
    if (verdict == DCNV4I_DONE)
        for (int64_t i = 0; i < tasks->count && verdict == DCNV4I_DONE; ++i) {
            char words[96];
            name_layer(tasks, i, words, sizeof words);
            verdict = make_plans(context, target, tasks->items[i], words, rows);
        }
    dcnv4_context_destroy(context);
    return verdict;
}

/* Creates the plans with the compiler, and then without, to check that all kernels are in the folder. */
static dcnv4i_exit compile_for(const char *target, const dcnv4i_tasks *tasks, const char *folder,
                               dcnv4i_kernel_rows *rows) {
    dcnv4i_variable_set("DCNV4_COMPILER", NULL);
    dcnv4i_exit verdict = make_on(target, tasks, rows);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_variable_set("DCNV4_COMPILER", "off");
    verdict = make_on(target, tasks, rows);
    return verdict != DCNV4I_MISSING ? verdict
                                     : dcnv4i_verdict(DCNV4I_BROKEN,
                                                      "--output %s: no kernel could be kept there; the folder must be "
                                                      "this user's, and nobody else may write to it",
                                                      folder);
}

static dcnv4i_exit compile_target(const dcnv4i_settings *settings, const char *target, const dcnv4i_tasks *tasks,
                                  dcnv4i_kernel_rows *rows) {
    if (strcmp(target, "auto") == 0 || strcmp(target, "reference") == 0 || strncmp(target, "cpu", 3) == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "--target %s: this device does not compile; the cpu has its kernels already", target);
    const holdings before = look(settings->output);
    const dcnv4i_exit verdict = compile_for(target, tasks, settings->output, rows);
    const holdings after = look(settings->output);
    if (verdict == DCNV4I_DONE && settings->format == DCNV4I_TABLE)
        printf("%s: %" PRId64 " files, %" PRId64 " bytes more in %s\n", target, after.files - before.files,
               after.bytes - before.bytes, settings->output);
    return verdict;
}

/* Compiles for the comma-separated targets of one --target. If one has no compiler here, the others are still compiled;
 * the command then ends with the first such failure. */
static dcnv4i_exit compile_list(const dcnv4i_settings *settings, const char *list, const dcnv4i_tasks *tasks,
                                dcnv4i_kernel_rows *rows) {
    char missing[1024] = "";
    for (const char *at = list;; ++at) {
        const size_t length = strcspn(at, ",");
        char target[64];
        if (length == 0 || length >= sizeof target)
            return dcnv4i_verdict(
                DCNV4I_REFUSED, "--target is \"%s\"; names of 1 to %zu characters with commas between them are needed",
                list, sizeof target - 1);
        memcpy(target, at, length);
        target[length] = '\0';
        const dcnv4i_exit verdict = compile_target(settings, target, tasks, rows);
        if (verdict == DCNV4I_MISSING && !*missing)
            snprintf(missing, sizeof missing, "%s", dcnv4i_verdict_line());
        else if (verdict != DCNV4I_DONE && verdict != DCNV4I_MISSING)
            return verdict;
        at += length;
        if (*at == '\0')
            break;
    }
    return *missing ? dcnv4i_verdict(DCNV4I_MISSING, "%s", missing) : DCNV4I_DONE;
}

static dcnv4i_exit compile_all(const dcnv4i_settings *settings, const dcnv4i_tasks *tasks, dcnv4i_kernel_rows *rows) {
    char missing[1024] = "";
    for (int64_t i = 0; i < settings->targets.count; ++i) {
        const dcnv4i_exit verdict = compile_list(settings, settings->targets.items[i], tasks, rows);
        if (verdict == DCNV4I_MISSING && !*missing)
            snprintf(missing, sizeof missing, "%s", dcnv4i_verdict_line());
        else if (verdict != DCNV4I_DONE && verdict != DCNV4I_MISSING)
            return verdict;
    }
    return *missing ? dcnv4i_verdict(DCNV4I_MISSING, "%s", missing) : DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_compile(const dcnv4i_settings *settings) {
    dcnv4i_tasks tasks;
    dcnv4i_kernel_rows rows = {NULL, 0};
    dcnv4i_exit verdict = dcnv4i_tasks_layers(settings, &tasks);
    if (verdict == DCNV4I_DONE &&
        (strcmp(settings->output, "off") == 0 || !dcnv4i_variable_set("DCNV4_CACHE_DIR", settings->output)))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--output %s: no folder can have this name", settings->output);
    if (verdict == DCNV4I_DONE)
        verdict = compile_all(settings, &tasks, &rows);
    if (rows.count > 0 && (verdict == DCNV4I_DONE || verdict == DCNV4I_MISSING))
        dcnv4i_rows_print(&rows, settings->format);
    dcnv4i_rows_free(&rows);
    dcnv4i_tasks_free(&tasks);
    return verdict;
}
