/* Stands in for NVRTC and hipRTC, whose functions differ in name alone. */
#ifndef TESTS_FAKE_COMPILATION_H
#define TESTS_FAKE_COMPILATION_H

#include "fake_modules.h"

typedef enum fake_text { FAKE_LOG, FAKE_BINARY, FAKE_ASSEMBLY, FAKE_TEXTS } fake_text;

/* Of both compilers. */
enum { FAKE_COMPILATION_FAILED = 6, FAKE_INVALID_OPTION = 5, FAKE_INVALID_PROGRAM = 4 };

int32_t fake_program_create(void **program, const char *source);

/* architecture is what the options ask for; NULL is refused. A binary is made for it, and assembly, which is text. */
int32_t fake_program_compile(void *program, const char *architecture);

int32_t fake_program_size(void *program, fake_text text, size_t *size);
int32_t fake_program_copy(void *program, fake_text text, char *to);
int32_t fake_program_destroy(void **program);

/* What follows prefix in the option that begins with it; NULL if there is none. */
const char *fake_option(int count, const char *const *options, const char *prefix);

#endif
