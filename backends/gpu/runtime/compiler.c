#include "compiler.h"

#include <stdlib.h>
#include <string.h>

/* The first line of a log that says "error", or else its first line; "" if there is none. Modifies the log. */
static const char *main_line(char *log) {
    char *line = strstr(log, "error");
    while (line && line > log && line[-1] != '\n')
        --line;
    line = line ? line : log + strspn(log, "\r\n");
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

dcnv4_status dcnv4i_build_failed(const char *compiler, const char *target, char *log) {
    const char *line = main_line(log);
    return dcnv4i_fail(DCNV4_BUILD_FAILED, "%s refused a kernel for %s: %.256s", compiler, target,
                       *line ? line : "its log is empty");
}

/* A program's log, for free(); NULL if there is none. */
static char *log_of(const dcnv4i_compiler *c, void *program) {
    size_t size = 0;
    char *log = program && c->log_size(program, &size) == 0 && size < SIZE_MAX ? calloc(1, size + 1) : NULL;
    if (log && c->log(program, log) != 0)
        log[0] = '\0';
    return log;
}

/* Fails with the main line of the program's log, if it has one: an error's name may not say what to do about it. */
static dcnv4_status fail(const dcnv4i_compiler *c, void *program, const char *target, const char *what, int error) {
    char *log = log_of(c, program), none[] = "";
    const char *line = main_line(log ? log : none), *colon = *line ? ": " : "";
    dcnv4_status status;
    if (error == DCNV4I_RTC_OUT_OF_MEMORY)
        status = dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "%s got no memory to %s for %s%s%.256s", c->name, what, target, colon,
                             line);
    else
        status = dcnv4i_fail(DCNV4_DRIVER_ERROR, "%s failed to %s for %s: %s (error %d)%s%.256s", c->name, what, target,
                             c->error_text(error), error, colon, line);
    free(log);
    return status;
}

/* Fails with the log of a program that did not compile. */
static dcnv4_status refused(const dcnv4i_compiler *c, void *program, const char *target) {
    char *log = log_of(c, program), none[] = "";
    const dcnv4_status status = dcnv4i_build_failed(c->name, target, log ? log : none);
    free(log);
    return status;
}

static dcnv4_status take(const dcnv4i_compiler *c, void *program, const char *target, int (*size_of)(void *, size_t *),
                         int (*bytes_of)(void *, char *), dcnv4i_binary *result) {
    size_t size = 0;
    int error = size_of(program, &size);
    if (error == 0 && size == 0)
        return dcnv4i_fail(DCNV4_BUILD_FAILED, "%s made nothing for %s", c->name, target);
    char *bytes = error == 0 ? malloc(size) : NULL;
    if (error == 0 && !bytes)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a kernel of %zu bytes", size);
    if (error == 0)
        error = bytes_of(program, bytes);
    if (error != 0) {
        free(bytes);
        return fail(c, program, target, "hand over a kernel", error);
    }
    *result = (dcnv4i_binary){bytes, size};
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_compiler_run(const dcnv4i_compiler *c, const char *target, const char *source, int count,
                                 const char *const *options, dcnv4i_binary *binary, dcnv4i_binary *portable) {
    void *program = NULL;
    int error = c->create(&program, source, "dcnv4", 0, NULL, NULL);
    if (error != 0)
        return fail(c, NULL, target, "begin a kernel", error);
    dcnv4_status status = DCNV4_SUCCESS;
    error = c->compile(program, count, options);
    if (error != 0)
        status = error == DCNV4I_RTC_COMPILATION ? refused(c, program, target)
                                                 : fail(c, program, target, "compile a kernel", error);
    if (status == DCNV4_SUCCESS && binary)
        status = take(c, program, target, c->binary_size, c->binary, binary);
    if (status == DCNV4_SUCCESS && portable)
        status = take(c, program, target, c->portable_size, c->portable, portable);
    if (status != DCNV4_SUCCESS && binary) {
        free(binary->bytes);
        *binary = (dcnv4i_binary){NULL, 0};
    }
    c->destroy(&program);
    return status;
}
