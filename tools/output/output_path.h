/* Where an output file will be, and whether it can be written there. */
#ifndef DCNV4I_OUTPUT_PATH_H
#define DCNV4I_OUTPUT_PATH_H

#include "verdict.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Resolves all symbolic links of a path; the file itself need not exist. False with errno if a file cannot be there. */
bool dcnv4i_output_target(const char *path, char target[PATH_MAX]);

/* Before any work: refuses a path that cannot become a regular file: a directory, a device, a missing folder, the file
 * that stdout or stderr goes to. option is for the verdict's line. */
dcnv4i_exit dcnv4i_output_check(const char *option, const char *path);

/* Whether two paths are, or would be, the same file. */
bool dcnv4i_same_file(const char *one, const char *other);

#endif
