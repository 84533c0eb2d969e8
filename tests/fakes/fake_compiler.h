/* Compiles the text of a GPU's kernels for the host. */
#ifndef TESTS_FAKE_COMPILER_H
#define TESTS_FAKE_COMPILER_H

#include <stddef.h>

/* A shared library made from a kernel's text, for free(), in which fake_kernels.h finds the kernels; NULL if the
 * compiler refuses it. architecture (sm_90, gfx942) is the text's target. *log is the compiler's output, for free(), or
 * NULL. */
void *fake_compile(const char *text, const char *architecture, size_t *size, char **log);

#endif
