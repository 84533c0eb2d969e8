/* Tensors of more memory than there is, for indices of more than 32 bits. */
#ifndef TESTS_SPARSE_H
#define TESTS_SPARSE_H

#include <stddef.h>

/* Zeros in address space alone: pages are allocated where something is written. Fails the test instead of
 * returning NULL; skips it where a sanitizer has taken the addresses. */
void *sparse_map(size_t bytes);
void sparse_unmap(void *tensor, size_t bytes);

#endif
