/* Text in UTF-16, which Windows takes, and its errors as numbers of errno. */
#ifndef DCNV4I_WINDOWS_WIDE_H
#define DCNV4I_WINDOWS_WIDE_H

#include "system.h"

#include <wchar.h>

enum { DCNV4I_WIDE_ROOM = DCNV4I_PATH_ROOM + 16 };

/* A path for Windows's calls: whole, and with the prefix that lets it have more than 260 characters. */
bool dcnv4i_wide_name(const char *path, wchar_t wide[DCNV4I_WIDE_ROOM]);

/* The whole form of a path, without that prefix. */
bool dcnv4i_wide_whole(const char *path, wchar_t whole[DCNV4I_WIDE_ROOM]);

/* Sets errno from GetLastError(), and returns false. */
bool dcnv4i_windows_failed(void);

#endif
