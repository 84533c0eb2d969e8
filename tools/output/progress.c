#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void dcnv4i_progress(const char *format, ...) {
    if (!isatty(STDERR_FILENO))
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\x1b[K", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
}

void dcnv4i_progress_end(void) {
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
}
