/* Statuses and the message that goes with one. */
#ifndef DCNV4I_STATUS_H
#define DCNV4I_STATUS_H

#include <dcnv4/dcnv4.h>

#if defined(__GNUC__)
#define DCNV4I_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define DCNV4I_PRINTF(text, first)
#endif

/* Sets this thread's message, cut to what fits, and returns status: `return dcnv4i_fail(DCNV4_…, "… %d …", n);` */
dcnv4_status dcnv4i_fail(dcnv4_status status, const char *format, ...) DCNV4I_PRINTF(2, 3);

#endif
