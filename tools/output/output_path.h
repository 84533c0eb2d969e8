/* Where an output file will be, and whether it can be written there. */
#ifndef DCNV4I_OUTPUT_PATH_H
#define DCNV4I_OUTPUT_PATH_H

#include "verdict.h"

#include <stdbool.h>

/* Before any work: refuses a path that cannot become a regular file: a directory, a device, a missing folder, the file
 * that stdout or stderr goes to. option is for the verdict's line. */
dcnv4i_exit dcnv4i_output_check(const char *option, const char *path);

/* Whether two paths are, or would be, the same file. */
bool dcnv4i_same_file(const char *one, const char *other);

#endif
