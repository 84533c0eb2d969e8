/* Text that grows, for the source of kernels. */
#ifndef DCNV4I_TEXT_H
#define DCNV4I_TEXT_H

#include "../../../core/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct dcnv4i_text {
    char *bytes; /* for free(); NULL once there was no memory, and then for good */
    size_t length, room;
} dcnv4i_text;

dcnv4i_text dcnv4i_text_empty(void);

/* Appends one line of up to 255 characters. */
void dcnv4i_text_append(dcnv4i_text *to, const char *format, ...) DCNV4I_PRINTF(2, 3);

/* #define DCN_name number */
void dcnv4i_text_define(dcnv4i_text *to, const char *name, int64_t number);

/* #define DCN_name as a float32 that means the same: a finite number too large for one still leaves 0 at 0. */
void dcnv4i_text_define_real(dcnv4i_text *to, const char *name, double number);

#endif
