/* What a mistaken word was probably meant to be. */
#ifndef DCNV4I_NEAREST_H
#define DCNV4I_NEAREST_H

#include <stddef.h>

/* The name that was probably meant by the first length characters of a word; NULL if none is near. names ends with
 * NULL. Leading dashes do not count: "-o", "--out" and "--ouptut" are near "--output". */
const char *dcnv4i_nearest(const char *word, size_t length, const char *const *names);

#endif
