/* Text between UTF-8, which the library has, and UTF-16, which Windows takes. */
#ifndef DCNV4I_WINDOWS_TEXT_H
#define DCNV4I_WINDOWS_TEXT_H

#include <wchar.h>

/* For free(); NULL if there is no memory or the text is no UTF-8. */
wchar_t *dcnv4i_wide(const char *text);
char *dcnv4i_narrow(const wchar_t *text);

/* An environment variable, for free(); NULL if it is not set or empty. */
wchar_t *dcnv4i_wide_variable(const wchar_t *name);

/* The absolute form of a path, for free(); NULL on failure. The second is for calls alone: with its prefix it may be longer
 * than the 260 characters that Windows allows others. */
wchar_t *dcnv4i_wide_absolute(const char *path);
wchar_t *dcnv4i_wide_path(const char *path);

#endif
