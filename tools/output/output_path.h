/* Where a file that the command writes will be, and whether it can be. */
#ifndef DCNV4I_OUTPUT_PATH_H
#define DCNV4I_OUTPUT_PATH_H

#include "verdict.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The file that a path stands for, with no symbolic link left in it; the file itself need not be there. False if there is
 * no such place, and errno says why. */
bool dcnv4i_output_target(const char *path, char target[PATH_MAX]);

/* Before any work: refuses a path that cannot become a regular file: a directory, a device, a missing folder, the file that
 * stdout or stderr goes to. option is for the line of the verdict. */
dcnv4i_exit dcnv4i_output_check(const char *option, const char *path);

/* Whether two paths are one file, or would be. */
bool dcnv4i_same_file(const char *one, const char *other);

#endif
