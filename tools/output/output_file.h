/* Files that are written aside and then put in their places, all or none: until then, and after any failure, each place
 * holds what it held before. Whenever the program is killed, a place holds the whole old file or the whole new one. */
#ifndef DCNV4I_OUTPUT_FILE_H
#define DCNV4I_OUTPUT_FILE_H

#include "output_path.h"

#include <stdio.h>

enum { DCNV4I_OUTPUTS_MOST = 4 };

/* A file to write into, in the folder of path, that a failure or a signal removes. path stays the caller's until the end. */
dcnv4i_exit dcnv4i_output_open(const char *path, FILE **file);

/* Closes everything that was opened and puts each in its place, with the permissions of what it replaces; or removes all
 * of them. */
dcnv4i_exit dcnv4i_outputs_commit(void);

/* Removes everything that was opened and not committed. */
void dcnv4i_outputs_discard(void);

#endif
