/* How a command ends: its exit status and the one line that explains it. */
#ifndef DCNV4I_VERDICT_H
#define DCNV4I_VERDICT_H

#include <dcnv4/dcnv4.h>

#if defined(__GNUC__)
#define DCNV4I_VERDICT_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define DCNV4I_VERDICT_FORMAT(text, first)
#endif

/* Exit statuses, and what every function of the command returns that can fail. */
typedef enum dcnv4i_exit {
    DCNV4I_DONE = 0,
    DCNV4I_BROKEN = 1,  /* it ran, and the result is wrong or it broke */
    DCNV4I_REFUSED = 2, /* bad usage or bad input */
    DCNV4I_MISSING = 3  /* the device asked for is not available */
} dcnv4i_exit;

/* Keeps the line and returns status: `return dcnv4i_verdict(DCNV4I_REFUSED, "%s has …", path);`. Unprintable characters
 * (a file name may contain a newline) become '?', so that it stays one line. */
dcnv4i_exit dcnv4i_verdict(dcnv4i_exit status, const char *format, ...) DCNV4I_VERDICT_FORMAT(2, 3);

/* The verdict on a failed call of the library: about, then the library's message. */
dcnv4i_exit dcnv4i_verdict_library(dcnv4_status status, const char *about);

/* The line of the latest verdict, or "". */
const char *dcnv4i_verdict_line(void);

#endif
