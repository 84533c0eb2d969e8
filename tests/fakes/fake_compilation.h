/* Stands in for NVRTC and hipRTC, whose functions differ in name alone. */
#ifndef TESTS_FAKE_COMPILATION_H
#define TESTS_FAKE_COMPILATION_H

#include "fake_modules.h"

typedef enum fake_text { FAKE_LOG, FAKE_BINARY, FAKE_ASSEMBLY, FAKE_TEXTS } fake_text;

/* Errors of both compilers. */
enum { FAKE_COMPILATION_FAILED = 6, FAKE_INVALID_OPTION = 5, FAKE_INVALID_PROGRAM = 4 };

int32_t fake_program_create(void **program, const char *source);

/* Makes a binary, and assembly as text, for the architecture that the options name; NULL is refused. */
int32_t fake_program_compile(void *program, const char *architecture);

/* Fails with an error and this log. */
int32_t fake_program_fail(void *program, const char *log, int32_t error);

int32_t fake_program_size(void *program, fake_text text, size_t *size);
int32_t fake_program_copy(void *program, fake_text text, char *to);
int32_t fake_program_destroy(void **program);

/* The rest of the option that begins with prefix; NULL if there is none. */
const char *fake_option(int count, const char *const *options, const char *prefix);

#endif
