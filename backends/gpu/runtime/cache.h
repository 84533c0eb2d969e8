/* Compiled kernels, and what was chosen among them, on disk. An entry is believed only if every byte of it is as it was written, for this very key. */
#ifndef DCNV4I_CACHE_H
#define DCNV4I_CACHE_H

#include <stddef.h>

/* The folder to use, for free(), made if it was not there: $DCNV4_CACHE_DIR, or dcnv4 in $XDG_CACHE_HOME or ~/.cache. NULL
 * if DCNV4_CACHE_DIR is "off", or it cannot be had, or someone else owns it or may write to it. What processes that were
 * killed in the middle of a write have left there is removed an hour later. */
char *dcnv4i_cache_folder(void);

/* What an entry is; its file's name ends with it. */
#define DCNV4I_CACHE_KERNEL ".kernel"
#define DCNV4I_CACHE_CHOICE ".choice"
#define DCNV4I_CACHE_CHECK ".check"

/* The key of a kernel: who compiles it and for what, and a hash of the source; for free(). NULL if there is no memory. */
char *dcnv4i_cache_key(const char *identity, const char *source);

/* An entry's binary, for free(); NULL if there is none that is whole and was written for this key. */
void *dcnv4i_cache_read(const char *folder, const char *kind, const char *key, size_t *size);

/* Writes an entry, aside and then under its name, so that readers see all of it or nothing. A failure leaves nothing
 * behind and is no error: the kernel is compiled again next time. */
void dcnv4i_cache_write(const char *folder, const char *kind, const char *key, const void *binary, size_t size);

/* Removes an entry, if there is one. */
void dcnv4i_cache_remove(const char *folder, const char *kind, const char *key);

#endif
