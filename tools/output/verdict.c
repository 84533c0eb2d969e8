#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>

static char line[2048];

dcnv4i_exit dcnv4i_verdict(dcnv4i_exit status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(line, sizeof line, format, arguments) < 0)
        line[0] = '\0';
    va_end(arguments);
    for (char *c = line; *c; ++c)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    return status;
}

dcnv4i_exit dcnv4i_verdict_library(dcnv4_status status, const char *about) {
    dcnv4i_exit verdict = DCNV4I_BROKEN;
    switch (status) {
    case DCNV4_SUCCESS: return DCNV4I_DONE;
    case DCNV4_INVALID_ARGUMENT:
    case DCNV4_INVALID_PROBLEM:
    case DCNV4_UNSUPPORTED: verdict = DCNV4I_REFUSED; break;
    case DCNV4_DEVICE_UNAVAILABLE:
    case DCNV4_COMPILER_UNAVAILABLE: verdict = DCNV4I_MISSING; break;
    default: break;
    }
    return dcnv4i_verdict(verdict, "%s: %s", about, dcnv4_last_message());
}

const char *dcnv4i_verdict_line(void) {
    return line;
}
