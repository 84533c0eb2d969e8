/* print_source DIALECT targets: the names of the targets of a dialect, cuda or hip, a line each.
 * print_source DIALECT PART DTYPE GROUPS GROUP_CHANNELS KERNEL SOFTMAX DETERMINISTIC [ALIGNED [LOCAL_MEMORY]]: the text of a
 * part for its devices; aligned, and with as much local memory as they have, if left out. */
#include "../../backends/gpu/runtime/kernel_text.h"
#include "../../backends/gpu/deform_conv/source.h"
#include "../../backends/gpu/runtime/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_targets(const char *dialect) {
    for (const dcnv4i_target *t = NULL; (t = dcnv4i_target_next(dialect, t));)
        puts(t->name);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[2], "targets") == 0)
        return print_targets(argv[1]);
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
    const bool cuda = strcmp(argv[1], "cuda") == 0, aligned = argc < 10 || atoi(argv[9]) != 0;
    const dcnv4i_geometry geometry = dcnv4i_geometry_of(&limits, &problem, part, aligned);
    dcnv4i_recipe recipe = dcnv4i_deform_conv_recipe(&limits, &problem, 1u << part, &geometry);
    char *source = dcnv4i_recipe_source(&recipe, cuda ? dcnv4i_vocabulary_cuda : dcnv4i_vocabulary_hip);
    free(recipe.constants);
    const int result = source && puts(source) >= 0 ? 0 : 1;
    free(source);
    return result;
}
