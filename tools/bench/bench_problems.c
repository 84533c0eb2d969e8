#include "bench_problems.h"

#include "../tensors/layer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The image sizes and channels of the paper's and the networks' layers; D is group_channels. */
static const struct {
    const char *preset;
    int batch, height, width, channels, group_channels;
} shapes[] = {
    {"paper", 64, 56, 56, 128, 32},
    {"paper", 64, 56, 56, 128, 16},
    {"paper", 64, 28, 28, 256, 32},
    {"paper", 64, 28, 28, 256, 16},
    {"paper", 64, 14, 14, 512, 32},
    {"paper", 64, 14, 14, 512, 16},
    {"paper", 64, 7, 7, 1024, 32},
    {"paper", 64, 7, 7, 1024, 16},
    {"detection", 1, 200, 320, 64, 16},
    {"detection", 1, 100, 160, 128, 16},
    {"detection", 1, 50, 80, 256, 16},
    {"detection", 1, 25, 40, 512, 16},
    {"detection", 1, 64, 64, 64, 16},
    {"flash_internimage_t", 64, 56, 56, 64, 16},
    {"flash_internimage_t", 64, 28, 28, 128, 16},
    {"flash_internimage_t", 64, 14, 14, 256, 16},
    {"flash_internimage_t", 64, 7, 7, 512, 16},
    {"flash_internimage_s", 64, 56, 56, 80, 16},
    {"flash_internimage_s", 64, 28, 28, 160, 16},
    {"flash_internimage_s", 64, 14, 14, 320, 16},
    {"flash_internimage_s", 64, 7, 7, 640, 16},
    {"flash_internimage_b", 64, 56, 56, 112, 16},
    {"flash_internimage_b", 64, 28, 28, 224, 16},
    {"flash_internimage_b", 64, 14, 14, 448, 16},
    {"flash_internimage_b", 64, 7, 7, 896, 16},
    {"flash_internimage_l", 16, 96, 96, 160, 16},
    {"flash_internimage_l", 16, 48, 48, 320, 16},
    {"flash_internimage_l", 16, 24, 24, 640, 16},
    {"flash_internimage_l", 16, 12, 12, 1280, 16},
    {"small", 1, 56, 56, 128, 32},
    {"small", 1, 56, 56, 128, 16},
    {"small", 1, 28, 28, 256, 32},
    {"small", 1, 28, 28, 256, 16},
    {"small", 1, 14, 14, 512, 32},
    {"small", 1, 14, 14, 512, 16},
    {"small", 1, 7, 7, 1024, 32},
    {"small", 1, 7, 7, 1024, 16},
    {"small", 1, 64, 64, 64, 16},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Appends a problem with the settings that the options give all problems. */
static dcnv4_problem *append(const dcnv4i_settings *settings, dcnv4i_problems *problems) {
    dcnv4_problem *items = realloc(problems->items, (size_t)(problems->count + 1) * sizeof *items);
    if (!items)
        return NULL;
    problems->items = items;
    dcnv4_problem *added = &items[problems->count++];
    *added = dcnv4i_layer_problem(settings);
    added->dtype = (int32_t)settings->dtype;
    added->forward_only = settings->pass == DCNV4_PASS_FORWARD;
    return added;
}

static dcnv4i_exit no_memory(void) {
    return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a list of problems");
}

static dcnv4i_exit append_preset(const dcnv4i_settings *settings, const char *name, size_t length,
                                 dcnv4i_problems *problems) {
    const int64_t before = problems->count;
    for (int i = 0; i < SHAPES; ++i) {
        if (strlen(shapes[i].preset) != length || memcmp(shapes[i].preset, name, length) != 0)
            continue;
        dcnv4_problem *p = append(settings, problems);
        if (!p)
            return no_memory();
        p->batch = shapes[i].batch, p->height = shapes[i].height, p->width = shapes[i].width;
        p->groups = shapes[i].channels / shapes[i].group_channels;
        p->group_channels = shapes[i].group_channels;
    }
    if (problems->count > before)
        return DCNV4I_DONE;
    char known[256] = "";
    for (int i = 0; i < SHAPES; ++i)
        if (i == 0 || strcmp(shapes[i].preset, shapes[i - 1].preset) != 0)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", shapes[i].preset);
    return dcnv4i_verdict(DCNV4I_REFUSED, "--preset is \"%.*s\"; known are %s", (int)(length < 64 ? length : 64), name,
                          known);
}

static dcnv4i_exit append_presets(const dcnv4i_settings *settings, const char *list, dcnv4i_problems *problems) {
    for (;;) {
        const size_t length = strcspn(list, ",");
        const dcnv4i_exit verdict = append_preset(settings, list, length, problems);
        if (verdict != DCNV4I_DONE || list[length] == '\0')
            return verdict;
        list += length + 1;
    }
}

static dcnv4i_exit append_size(const dcnv4i_settings *settings, dcnv4i_problems *problems) {
    if (settings->groups == 0 || settings->group_channels == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--size needs --groups and --group-channels; %s is missing",
                              settings->groups == 0 ? "--groups" : "--group-channels");
    dcnv4_problem *p = append(settings, problems);
    if (!p)
        return no_memory();
    p->batch = settings->size[0], p->height = settings->size[1], p->width = settings->size[2];
    p->group_channels = settings->group_channels;
    return DCNV4I_DONE;
}

static dcnv4i_exit check(const dcnv4i_problems *problems) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < problems->count && verdict == DCNV4I_DONE; ++i) {
        const dcnv4_problem *p = &problems->items[i];
        dcnv4_sizes sizes = DCNV4_SIZES_INIT;
        char about[96];
        snprintf(about, sizeof about, "%" PRId64 "x%" PRId64 "x%" PRId64, p->batch, p->height, p->width);
        verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(p, &sizes), about);
        if (verdict == DCNV4I_DONE && sizes.points == 0)
            verdict = dcnv4i_verdict(DCNV4I_REFUSED,
                                     "a kernel of 1x1 without its centre has 0 points; at least 1 is needed");
    }
    return verdict;
}

dcnv4i_exit dcnv4i_problems_open(const dcnv4i_settings *settings, dcnv4i_problems *problems) {
    *problems = (dcnv4i_problems){NULL, 0};
    const bool sized = settings->size[0] > 0, described = settings->groups > 0 || settings->group_channels > 0;
    if (!sized && described)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s goes with --size, which is not given",
                              settings->groups > 0 ? "--groups" : "--group-channels");
    dcnv4i_exit verdict = sized ? append_size(settings, problems) : DCNV4I_DONE;
    if (!sized && settings->presets.count == 0)
        verdict = append_presets(settings, "small", problems);
    for (int64_t i = 0; i < settings->presets.count && verdict == DCNV4I_DONE; ++i)
        verdict = append_presets(settings, settings->presets.items[i], problems);
    if (verdict == DCNV4I_DONE)
        verdict = check(problems);
    if (verdict != DCNV4I_DONE)
        dcnv4i_problems_free(problems);
    return verdict;
}

void dcnv4i_problems_free(dcnv4i_problems *problems) {
    free(problems->items);
    *problems = (dcnv4i_problems){NULL, 0};
}
