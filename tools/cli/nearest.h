/* What a mistaken word was probably meant to be. */
#ifndef DCNV4I_NEAREST_H
#define DCNV4I_NEAREST_H

#include <stddef.h>

/* The one of the names, NULL after the last, that the first length characters of a word are probably meant to be; NULL if
 * none is near. Dashes in front do not count: "-o", "--out" and "--ouptut" are near "--output". */
const char *dcnv4i_nearest(const char *word, size_t length, const char *const *names);

#endif
