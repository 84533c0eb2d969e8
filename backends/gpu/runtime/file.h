/* Files, in whatever process the library finds itself: one whose stdin, stdout or stderr is closed, so that a file would get
 * that number and what is printed; and one that may write no large files, which a signal would end. */
#ifndef DCNV4I_FILE_H
#define DCNV4I_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* open() for reading, of anything without waiting for it. −1 if it cannot be had. */
int dcnv4i_file_open(const char *path);

/* A new file for writing, this user's alone. The XXXXXX at the end of its path become what no other file's are. −1 if it
 * cannot be had. */
int dcnv4i_file_create(char *path);

/* Whether all of length bytes were read or written. */
bool dcnv4i_file_read(int file, void *bytes, size_t length);
bool dcnv4i_file_write(int file, const void *bytes, size_t length);

#endif
