/* print_source DIALECT PART DTYPE GROUPS GROUP_CHANNELS KERNEL SOFTMAX DETERMINISTIC [LOCAL_MEMORY]: the text of a part for
 * a GPU with so many bytes of local memory; 49152 if left out. */
#include "../../backends/gpu/kernel_text.h"
#include "../../backends/gpu/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 9 && argc != 10)
        return 2;
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    dcnv4i_problem problem;
    const dcnv4i_limits limits = {.work_group = 1024, .local_memory = argc > 9 ? atoi(argv[9]) : 49152, .units = 100};
    const dcnv4i_part part = (dcnv4i_part)atoi(argv[2]);
    asked.dtype = atoi(argv[3]);
    asked.groups = atoi(argv[4]), asked.group_channels = atoi(argv[5]);
    asked.kernel_h = asked.kernel_w = atoi(argv[6]);
    asked.softmax = atoi(argv[7]), asked.deterministic = atoi(argv[8]);
    if (dcnv4i_problem_check(&asked, &problem) != DCNV4_SUCCESS) {
        fprintf(stderr, "%s\n", dcnv4_last_message());
        return 1;
    }
    const bool cuda = strcmp(argv[1], "cuda") == 0;
    const dcnv4i_geometry geometry = dcnv4i_geometry_of(&limits, &problem, part, true);
    char *source = dcnv4i_program_source(cuda ? dcnv4i_words_cuda : dcnv4i_words_hip, &limits, &problem, 1u << part,
                                         &geometry);
    const int result = source && puts(source) >= 0 ? 0 : 1;
    free(source);
    return result;
}
