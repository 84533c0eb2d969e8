/* Files that are written aside and then renamed, so that none is left behind unless the command succeeded. */
#ifndef DCNV4I_OUTPUT_FILE_H
#define DCNV4I_OUTPUT_FILE_H

#include "verdict.h"

#include <stdbool.h>
#include <stdio.h>

enum { DCNV4I_OUTPUTS_MOST = 4 };

/* Before any work: refuses a path that cannot become a regular file: a directory, a device, a missing folder. option is
 * for the line of the verdict. */
dcnv4i_exit dcnv4i_output_check(const char *option, const char *path);

/* Whether two paths are one file, or would be. */
bool dcnv4i_same_file(const char *one, const char *other);

/* A file beside path to write into, registered to be removed. */
dcnv4i_exit dcnv4i_output_open(const char *path, FILE **file);

/* Flushes and closes everything that was opened, then renames each to its path; or removes all of them. */
dcnv4i_exit dcnv4i_outputs_commit(void);

/* Removes everything that was opened and not committed. */
void dcnv4i_outputs_discard(void);

#endif
