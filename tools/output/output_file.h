/* Files that are written under other names and then renamed to their paths, all or none: until then, and after any
 * failure, each path holds what it held before. Whenever the program is killed, a path holds the whole old file or the
 * whole new one. */
#ifndef DCNV4I_OUTPUT_FILE_H
#define DCNV4I_OUTPUT_FILE_H

#include "output_path.h"

#include <stdio.h>

enum { DCNV4I_OUTPUTS_MOST = 4 };

/* Opens a file in the folder of path, which a failure or a signal removes. path must stay valid until the commit. */
dcnv4i_exit dcnv4i_output_open(const char *path, FILE **file);

/* Closes all opened files and renames each to its path, with the permissions of the file that it replaces; on failure
 * removes all of them. */
dcnv4i_exit dcnv4i_outputs_commit(void);

/* Removes all files that were opened and not committed. */
void dcnv4i_outputs_discard(void);

#endif
