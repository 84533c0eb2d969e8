/* Prints the default geometries of the kernels for the models' layers: for each dtype, D and part, the choice of each
 * device; by number of groups where that matters. */
#include "../../backends/gpu/deform_conv/tactics.h"
#include "../../backends/gpu/runtime/target.h"

#include <stdio.h>
#include <string.h>

/* D, then the groups of the paper's, the detectors' and FlashInternImage's layers. */
static const struct {
    int channels, groups[16];
} layers[] = {{16, {4, 5, 7, 8, 10, 14, 16, 20, 28, 32, 40, 56, 64, 80}}, {32, {4, 8, 16, 32}}};

static const char *const dtypes[] = {"f32", "f16", "bf16"};
static const char *const parts[] = {"output", "grad_offset_mask", "grad_value"};

enum { LAYERS = sizeof layers / sizeof *layers, CHOICE = 2048 };

typedef struct device {
    const char *name, *backend; /* NULL: limits are its own */
    dcnv4i_limits limits;
} device;

static const device devices[] = {
    {"H200", "cuda", {.units = 132}},
    {"A100", "cuda", {.units = 108}},
    {"T4", "cuda", {.units = 40}},
    {"MI300X", "hip", {.units = 304}},
    {"RX7900XTX", "hip", {.units = 96}},
    {"an OpenCL GPU of 256 work-items and 32 KiB", NULL, {.work_group = 256, .local_memory = 32768, .units = 16}},
    {"PoCL", NULL, {.cpu = true, .work_group = 4096, .local_memory = 524288, .units = 2}},
};

enum { DEVICES = sizeof devices / sizeof *devices };

static dcnv4i_limits limits_of(const device *d) {
    dcnv4i_limits limits = d->backend ? dcnv4i_target_limits(d->backend) : d->limits;
    limits.units = d->limits.units;
    return limits;
}

static int words_of(const device *d, int dtype, int depth, int group_count, dcnv4_part part, char *words) {
    const dcnv4i_limits limits = limits_of(d);
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    dcnv4i_deform_conv problem;
    asked.dtype = dtype, asked.group_channels = depth, asked.groups = group_count;
    if (dcnv4i_deform_conv_check(&asked, &problem) != DCNV4_SUCCESS)
        return 1;
    const dcnv4i_geometry geometry = dcnv4i_geometry_of(&limits, &problem, part, true);
    dcnv4i_geometry_describe(&geometry, part, words);
    return 0;
}

/* The choice, in a line for each sequence of group counts that share it; a single line does not list them. */
static int choice_of(const device *d, int dtype, int layer, dcnv4_part part, char choice[CHOICE]) {
    char words[DCNV4I_GEOMETRY_DESCRIPTION], before[DCNV4I_GEOMETRY_DESCRIPTION] = "", list[256] = "";
    choice[0] = '\0';
    for (const int *group = layers[layer].groups; *group; ++group) {
        if (words_of(d, dtype, layers[layer].channels, *group, part, words) != 0)
            return 1;
        if (*list && strcmp(words, before) != 0) {
            snprintf(choice + strlen(choice), CHOICE - strlen(choice), "    %s; G%s\n", before, list);
            list[0] = '\0';
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), " %d", *group);
        strcpy(before, words);
    }
    snprintf(choice + strlen(choice), CHOICE - strlen(choice), *choice ? "    %s; G%s\n" : "    %s\n", before, list);
    return 0;
}

static int print_layer(int dtype, int layer, dcnv4_part part) {
    static char choices[DEVICES][CHOICE];
    for (int d = 0; d < DEVICES; ++d)
        if (choice_of(&devices[d], dtype, layer, part, choices[d]) != 0)
            return 1;
    for (int d = 0; d < DEVICES; ++d) {
        int first = 0;
        while (strcmp(choices[first], choices[d]) != 0)
            ++first;
        if (first < d)
            continue;
        printf("%s, D %d, %s: %s", parts[part], layers[layer].channels, dtypes[dtype], devices[d].name);
        for (int other = d + 1; other < DEVICES; ++other)
            if (strcmp(choices[other], choices[d]) == 0)
                printf(", %s", devices[other].name);
        printf("\n%s", choices[d]);
    }
    return 0;
}

int main(void) {
    int failed = 0;
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part)
        for (int layer = 0; layer < LAYERS; ++layer)
            for (int dtype = 0; dtype < 3; ++dtype)
                failed |= print_layer(dtype, layer, (dcnv4_part)part);
    return failed | (fflush(stdout) != 0);
}
