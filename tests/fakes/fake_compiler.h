/* Compiles the text of a GPU's kernels for the host. */
#ifndef TESTS_FAKE_COMPILER_H
#define TESTS_FAKE_COMPILER_H

#include <stddef.h>

/* A shared library of a kernel's text, for free(), in which fake_kernels.h finds its kernels; NULL if the compiler refuses
 * it. architecture (sm_90, gfx942) is what the text is told it is for. *log is what the compiler said, for free(), or NULL. */
void *fake_compile(const char *text, const char *architecture, size_t *size, char **log);

#endif
