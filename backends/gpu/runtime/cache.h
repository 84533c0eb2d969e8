/* The cache on disk: compiled kernels, choices among tactics, and outcomes of self-checks. An entry is used only if
 * every byte of it is intact and it was written for this very key. */
#ifndef DCNV4I_CACHE_H
#define DCNV4I_CACHE_H

#include <stddef.h>

/* The folder to use, for free(), created if missing: $DCNV4_CACHE_DIR, or dcnv4 in $XDG_CACHE_HOME or ~/.cache (on
 * Windows in %LOCALAPPDATA%). NULL if DCNV4_CACHE_DIR is "off", the folder cannot be created, or another user owns it or
 * may write to it. Files that processes killed during a write left there are removed after an hour. */
char *dcnv4i_cache_folder(void);

/* The kinds of entries: suffixes of their files' names. */
#define DCNV4I_CACHE_KERNEL ".kernel"
#define DCNV4I_CACHE_CHOICE ".choice"
#define DCNV4I_CACHE_CHECK ".check"

/* The key of an entry, for free(): an identity, which says what it is for, and a hash of the source. NULL if there is
 * no memory. */
char *dcnv4i_cache_key(const char *identity, const char *source);

/* An entry's binary, for free(); NULL if there is no intact one for this key. */
void *dcnv4i_cache_read(const char *folder, const char *kind, const char *key, size_t *size);

/* Writes an entry under a temporary name and renames it, so that readers see all of it or nothing. A failure leaves
 * nothing behind and is no error: the kernel is compiled again next time. */
void dcnv4i_cache_write(const char *folder, const char *kind, const char *key, const void *binary, size_t size);

/* Removes an entry, if there is one. */
void dcnv4i_cache_remove(const char *folder, const char *kind, const char *key);

#endif
