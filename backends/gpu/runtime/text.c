#include "text.h"
#include "literal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dcnv4i_text dcnv4i_text_empty(void) {
    return (dcnv4i_text){calloc(1, 1), 0, 1};
}

void dcnv4i_text_append(dcnv4i_text *to, const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const size_t length = (size_t)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const size_t needed = to->length + length + 1;
    char *const grown = !to->bytes || length >= sizeof line ? NULL
                        : needed > to->room                 ? realloc(to->bytes, 2 * needed)
                                                            : to->bytes;
    if (!grown) {
        free(to->bytes);
        to->bytes = NULL;
        return;
    }
    to->room = needed > to->room ? 2 * needed : to->room;
    to->bytes = grown;
    memcpy(to->bytes + to->length, line, length + 1);
    to->length += length;
}

void dcnv4i_text_define(dcnv4i_text *to, const char *name, int64_t number) {
    dcnv4i_text_append(to, "#define DCN_%s %" PRId64 "%s\n", name, number, number > INT32_MAX ? "L" : "");
}

void dcnv4i_text_define_real(dcnv4i_text *to, const char *name, double number) {
    char literal[DCNV4I_LITERAL_ROOM];
    if (isnan(number))
        dcnv4i_text_append(to, "#define DCN_%s (DCN_INFINITY - DCN_INFINITY)\n", name);
    else if (isinf(number))
        dcnv4i_text_append(to, "#define DCN_%s (%sDCN_INFINITY)\n", name, number < 0 ? "-" : "");
    else
        dcnv4i_text_append(to, "#define DCN_%s (%s)\n", name, dcnv4i_literal(number, literal));
}
