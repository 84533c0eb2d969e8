/* print_source DIALECT targets: the names of the targets of a dialect, cuda or hip, a line each; but for those whose code
 * is another's.
 * print_source DIALECT PART DTYPE GROUPS GROUP_CHANNELS KERNEL SOFTMAX DETERMINISTIC [ALIGNED [LOCAL_MEMORY]]: the text of a
 * part for its devices; aligned, and with as much local memory as they have, if left out.
 * print_source DIALECT attention PART DTYPE HEADS HEAD_CHANNELS POINTS SOFTMAX DETERMINISTIC ALIGNED: likewise for multi-scale
 * deformable attention, with float32 locations in four levels of POINTS points each. */
#include "../../backends/gpu/runtime/kernel_text.h"
#include "../../backends/gpu/deform_conv/source.h"
#include "../../backends/gpu/ms_deform_attn/attention_source.h"
#include "../../backends/gpu/runtime/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_targets(const char *dialect) {
    for (const dcnv4i_target *t = NULL; (t = dcnv4i_target_next(dialect, t));)
        if (!t->like)
            puts(t->name);
    return 0;
}

static int print(const char *dialect, dcnv4i_recipe recipe) {
    const bool cuda = strcmp(dialect, "cuda") == 0;
    char *source = dcnv4i_recipe_source(&recipe, cuda ? dcnv4i_vocabulary_cuda : dcnv4i_vocabulary_hip);
    free(recipe.constants);
    const int result = source && puts(source) >= 0 ? 0 : 1;
    free(source);
    return result;
}

static int print_attention(char **argv) {
    dcnv4_msda_problem asked = DCNV4_MSDA_PROBLEM_INIT;
    dcnv4_msda_level levels[4];
    dcnv4i_ms_deform_attn problem;
    const dcnv4i_limits limits = dcnv4i_target_limits(argv[1]);
    const dcnv4_msda_part part = (dcnv4_msda_part)atoi(argv[3]);
    for (int l = 0; l < 4; ++l)
        levels[l] = (dcnv4_msda_level){2, 2, 4 * l, atoi(argv[7])};
    asked.dtype = atoi(argv[4]), asked.location_dtype = DCNV4_FLOAT32;
    asked.levels = levels, asked.level_count = 4, asked.value_length = 16, asked.batch = asked.queries = 1;
    asked.heads = atoi(argv[5]), asked.head_channels = atoi(argv[6]);
    asked.softmax = atoi(argv[8]), asked.deterministic = atoi(argv[9]);
    if (dcnv4i_ms_deform_attn_check(&asked, &problem) != DCNV4_SUCCESS) {
        fprintf(stderr, "%s\n", dcnv4_last_message());
        return 1;
    }
    const dcnv4i_attn_geometry geometry = dcnv4i_attn_geometry_of(&limits, &problem, part, atoi(argv[10]) != 0);
    return print(argv[1], dcnv4i_attn_recipe(&limits, &problem, part, &geometry));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[2], "targets") == 0)
        return print_targets(argv[1]);
    if (argc == 11 && strcmp(argv[2], "attention") == 0)
        return print_attention(argv);
    if (argc < 9 || argc > 11)
        return 2;
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    dcnv4i_deform_conv problem;
    dcnv4i_limits limits = dcnv4i_target_limits(argv[1]);
    if (argc > 10)
        limits.local_memory = atoi(argv[10]);
    const dcnv4_part part = (dcnv4_part)atoi(argv[2]);
    asked.dtype = atoi(argv[3]);
    asked.groups = atoi(argv[4]), asked.group_channels = atoi(argv[5]);
    asked.kernel_h = asked.kernel_w = atoi(argv[6]);
    asked.softmax = atoi(argv[7]), asked.deterministic = atoi(argv[8]);
    if (dcnv4i_deform_conv_check(&asked, &problem) != DCNV4_SUCCESS) {
        fprintf(stderr, "%s\n", dcnv4_last_message());
        return 1;
    }
    const bool aligned = argc < 10 || atoi(argv[9]) != 0;
    const dcnv4i_geometry geometry = dcnv4i_geometry_of(&limits, &problem, part, aligned);
    return print(argv[1], dcnv4i_deform_conv_recipe(&limits, &problem, 1u << part, &geometry));
}
