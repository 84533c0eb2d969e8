/* A growing text, for the source of kernels. */
#ifndef DCNV4I_TEXT_H
#define DCNV4I_TEXT_H

#include "../../../core/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct dcnv4i_text {
    char *bytes; /* for free(); NULL for good once memory ran out */
    size_t length, room;
} dcnv4i_text;

dcnv4i_text dcnv4i_text_empty(void);

/* Appends one line of up to 255 characters. */
void dcnv4i_text_append(dcnv4i_text *to, const char *format, ...) DCNV4I_PRINTF(2, 3);

/* #define DCN_name number */
void dcnv4i_text_define(dcnv4i_text *to, const char *name, int64_t number);

/* #define DCN_name as a float32. A finite number too large for one becomes the largest, so that 0 times it stays 0. */
void dcnv4i_text_define_real(dcnv4i_text *to, const char *name, double number);

#endif
