/* The table of levels, from options or from files of int64 numbers. */
#include "attn_task.h"

#include <inttypes.h>

/* Reads a whole file of [L] or [L, 2] numbers ≥ 0 into the list; axes: "[L, 2]". */
static dcnv4i_exit read_table(const char *path, int rank, const char *axes, dcnv4i_numbers *list) {
    int64_t numbers[2 * DCNV4_MSDA_MAX_LEVELS];
    dcnv4i_npy npy;
    FILE *file = NULL;
    char has[256];
    dcnv4i_exit verdict = dcnv4i_npy_open(path, DCNV4I_INTEGERS, &npy, &file);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_npy_shape(npy.rank, npy.shape, has, sizeof has);
    if (npy.rank != rank || (rank == 2 && npy.shape[1] != 2))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; %s is needed", path, has, axes);
    else if (npy.shape[0] < 1 || npy.shape[0] > DCNV4_MSDA_MAX_LEVELS)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s has %" PRId64 " levels; 1 to %d are possible", path, npy.shape[0],
                                 DCNV4_MSDA_MAX_LEVELS);
    else
        verdict = dcnv4i_npy_read(path, file, &npy, numbers);
    fclose(file);
    list->count = verdict == DCNV4I_DONE ? npy.shape[0] : 0;
    for (int64_t i = 0; i < list->count * rank; ++i) {
        list->items[i / rank][i % rank] = numbers[i];
        if (numbers[i] < 0)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s has %" PRId64 " for level %" PRId64 "; at least 0 is needed",
                                  path, numbers[i], i / rank);
    }
    return verdict;
}

/* Takes a list from its option or from a file, not both. */
static dcnv4i_exit take(const char *option, const dcnv4i_numbers *given, const char *file_option, const char *path,
                        int rank, dcnv4i_numbers *list) {
    *list = *given;
    if (path && given->count > 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s and %s %s say the same; one of them is needed", option, file_option,
                              path);
    return path ? read_table(path, rank, rank == 2 ? "[L, 2]" : "[L]", list) : DCNV4I_DONE;
}

static dcnv4i_exit check_count(const char *name, int64_t count, int64_t levels) {
    return count == levels
               ? DCNV4I_DONE
               : dcnv4i_verdict(DCNV4I_REFUSED, "%s has %" PRId64 " levels, there are %" PRId64, name, count, levels);
}

/* Sets sizes and starts; S becomes what the levels need. */
static dcnv4i_exit place(const dcnv4i_numbers *sizes, const dcnv4i_numbers *starts, dcnv4i_task *task) {
    int64_t next = 0;
    for (int64_t l = 0; l < sizes->count; ++l) {
        const int64_t height = sizes->items[l][0], width = sizes->items[l][1];
        const int64_t start = starts->count > 0 ? starts->items[l][0] : next;
        if (width > 0 && height > (INT64_MAX - start) / width)
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "level %" PRId64 " of %" PRId64 "x%" PRId64 " places from place %" PRId64
                                  " on is larger than can be addressed",
                                  l, height, width, start);
        task->levels[l].height = height, task->levels[l].width = width, task->levels[l].start = start;
        next = start + height * width;
        if (next > task->attn.value_length)
            task->attn.value_length = next;
    }
    task->attn.level_count = sizes->count;
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_attn_levels(const dcnv4i_settings *settings, dcnv4i_task *task) {
    const dcnv4i_numbers *const points = &settings->points;
    dcnv4i_numbers sizes, starts;
    dcnv4i_exit verdict = take("--levels", &settings->levels, "--spatial-shapes", settings->spatial_shapes, 2, &sizes);
    if (verdict == DCNV4I_DONE)
        verdict = take("--starts", &settings->starts, "--level-start-index", settings->level_start_index, 1, &starts);
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (sizes.count == 0 && settings->command == DCNV4I_COMPILE) /* sizes do not matter there */
        for (; sizes.count < points->count; ++sizes.count)
            sizes.items[sizes.count][0] = sizes.items[sizes.count][1] = 0;
    if (starts.count > 0)
        verdict = check_count(settings->level_start_index ? settings->level_start_index : "--starts", starts.count,
                              sizes.count);
    if (verdict == DCNV4I_DONE && points->count > 1)
        verdict = check_count("--points", points->count, sizes.count);
    if (verdict == DCNV4I_DONE)
        verdict = place(&sizes, &starts, task);
    for (int64_t l = 0; verdict == DCNV4I_DONE && points->count > 0 && l < sizes.count; ++l)
        task->levels[l].points = points->items[points->count > 1 ? l : 0][0];
    return verdict;
}
