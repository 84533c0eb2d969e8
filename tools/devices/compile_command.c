/* dcnv4 compile: plans are made with the folder as the library's cache, once with the compiler and once without. */
#include "../cli/commands.h"
#include "device_list.h"
#include "../tensors/layer.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a folder holds of compiled kernels. */
typedef struct holdings {
    int64_t files, bytes;
} holdings;

static holdings look(const char *folder) {
    holdings found = {0, 0};
    DIR *all = opendir(folder);
    for (const struct dirent *entry; all && (entry = readdir(all));) {
        struct stat about;
        const size_t length = strlen(entry->d_name), ending = strlen(".kernel");
        if (length > ending && strcmp(entry->d_name + length - ending, ".kernel") == 0 &&
            fstatat(dirfd(all), entry->d_name, &about, 0) == 0) {
            ++found.files;
            found.bytes += about.st_size;
        }
    }
    if (all)
        closedir(all);
    return found;
}

/* A plan of the layer for each choice that has kernels of its own. */
static dcnv4_status make_plans(dcnv4_context *context, dcnv4_problem problem) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int choice = 0; choice < 4 && status == DCNV4_SUCCESS; ++choice) {
        dcnv4_plan *plan = NULL;
        problem.forward_only = choice & 1;
        problem.deterministic = choice >> 1;
        status = dcnv4_plan_create(context, &problem, &plan);
        dcnv4_plan_destroy(plan);
    }
    return status;
}

/* On a context of its own, so that nothing is left in memory from before. */
static dcnv4_status make_on(const char *device, const dcnv4_problem *problem) {
    dcnv4_context *context = NULL;
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status == DCNV4_SUCCESS)
        status = make_plans(context, *problem);
    dcnv4_context_destroy(context);
    return status;
}

static dcnv4i_exit compile_for(const char *device, const dcnv4_problem *problem, const char *folder) {
    unsetenv("DCNV4_COMPILER");
    dcnv4_status status = make_on(device, problem);
    if (status != DCNV4_SUCCESS)
        return dcnv4i_verdict_library(status, device);
    setenv("DCNV4_COMPILER", "off", 1);
    status = make_on(device, problem);
    if (status == DCNV4_COMPILER_UNAVAILABLE)
        return dcnv4i_verdict(DCNV4I_BROKEN,
                              "--output %s: no kernel could be kept there; the folder must be this user's, "
                              "and nobody else may write to it",
                              folder);
    return dcnv4i_verdict_library(status, device);
}

static dcnv4i_exit compile_all(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                               const dcnv4_problem *problem) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < devices->count && verdict == DCNV4I_DONE; ++i) {
        const char *device = devices->items[i].name;
        if (strcmp(device, "reference") == 0 || strncmp(device, "cpu", 3) == 0)
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "--target %s: it has its kernels already, there is nothing to compile", device);
        const holdings before = look(settings->output);
        verdict = compile_for(device, problem, settings->output);
        const holdings after = look(settings->output);
        if (verdict == DCNV4I_DONE)
            printf("%s: %" PRId64 " files, %" PRId64 " bytes more in %s\n", device, after.files - before.files,
                   after.bytes - before.bytes, settings->output);
    }
    return verdict;
}

dcnv4i_exit dcnv4i_compile(const dcnv4i_settings *settings) {
    dcnv4_problem problem = dcnv4i_layer_problem(settings);
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4i_devices devices;
    problem.dtype = (int32_t)settings->dtype;
    problem.group_channels = settings->group_channels;
    /* Kernels do not depend on the size of an image; an empty batch is a legal one. */
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(&problem, &sizes), "PROBLEM");
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (strcmp(settings->output, "off") == 0 || setenv("DCNV4_CACHE_DIR", settings->output, 1) != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--output %s: no folder can have this name", settings->output);
    verdict = dcnv4i_devices_open(&settings->targets, NULL, &devices);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = compile_all(settings, &devices, &problem);
    dcnv4i_devices_free(&devices);
    return verdict;
}
