/* NVRTC and hipRTC, which have the same functions under different names: they compile source text to a binary, without
 * a device. */
#ifndef DCNV4I_COMPILER_H
#define DCNV4I_COMPILER_H

#include "driver.h"

/* Error numbers of both. */
enum { DCNV4I_RTC_OUT_OF_MEMORY = 1, DCNV4I_RTC_COMPILATION = 6 };

typedef struct dcnv4i_compiler {
    char name[32];   /* with its version: "NVRTC 13.0" */
    int32_t version; /* 100 · major + minor */
    int (*create)(void **program, const char *source, const char *name, int headers, const char *const *texts,
                  const char *const *names);
    int (*compile)(void *program, int count, const char *const *options);
    int (*destroy)(void **program);
    int (*binary_size)(void *program, size_t *size);
    int (*binary)(void *program, char *bytes);
    int (*portable_size)(void *program, size_t *size); /* (optional) PTX */
    int (*portable)(void *program, char *bytes);       /* (optional) */
    int (*log_size)(void *program, size_t *size);
    int (*log)(void *program, char *bytes);
    const char *(*error_text)(int error);
} dcnv4i_compiler;

/* Compiles for a target; binary and portable may be NULL. A failure's message has the main line of the log. */
dcnv4_status dcnv4i_compiler_run(const dcnv4i_compiler *compiler, const char *target, const char *source, int count,
                                 const char *const *options, dcnv4i_binary *binary, dcnv4i_binary *portable);

/* Returns DCNV4_BUILD_FAILED, with the first line of a compiler's log that says "error", or else its first line.
 * Modifies the log. */
dcnv4_status dcnv4i_build_failed(const char *compiler, const char *target, char *log);

#endif
