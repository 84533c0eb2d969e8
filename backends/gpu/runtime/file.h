/* File access that is safe in any process: in one whose stdin, stdout or stderr is closed, where an opened file would
 * get that descriptor and receive what is printed; and in one with a file-size limit, where a signal would end it. */
#ifndef DCNV4I_FILE_H
#define DCNV4I_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* open() for reading, which never blocks. −1 on failure. */
int dcnv4i_file_open(const char *path);

/* Creates a file for writing that only this user can access. The XXXXXX at the end of its path are replaced by a unique
 * suffix. −1 on failure. */
int dcnv4i_file_create(char *path);

/* Whether all of length bytes were read or written. */
bool dcnv4i_file_read(int file, void *bytes, size_t length);
bool dcnv4i_file_write(int file, const void *bytes, size_t length);

#endif
