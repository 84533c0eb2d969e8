#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_message[512];

dcnv4_status dcnv4i_fail(dcnv4_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_message, sizeof last_message, format, arguments);
    va_end(arguments);
    return status;
}

const char *dcnv4_last_message(void) {
    return last_message;
}

/* No default, so that the compiler warns of a status that is missing here. */
const char *dcnv4_status_name(dcnv4_status status) {
    switch (status) {
    case DCNV4_SUCCESS: return "success";
    case DCNV4_INVALID_ARGUMENT: return "invalid argument";
    case DCNV4_INVALID_PROBLEM: return "invalid problem";
    case DCNV4_UNSUPPORTED: return "unsupported";
    case DCNV4_OUT_OF_MEMORY: return "out of memory";
    case DCNV4_DEVICE_UNAVAILABLE: return "device unavailable";
    case DCNV4_OUT_OF_DEVICE_MEMORY: return "out of device memory";
    case DCNV4_DEVICE_LOST: return "device lost";
    case DCNV4_DRIVER_ERROR: return "driver error";
    case DCNV4_COMPILER_UNAVAILABLE: return "compiler unavailable";
    case DCNV4_BUILD_FAILED: return "build failed";
    case DCNV4_FORKED: return "forked";
    }
    return "unknown status";
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *dcnv4_version(void) {
    return TEXT(DCNV4_VERSION_MAJOR) "." TEXT(DCNV4_VERSION_MINOR) "." TEXT(DCNV4_VERSION_PATCH);
}
