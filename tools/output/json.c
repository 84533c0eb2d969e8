#include "json.h"

#include <math.h>

/* The length in bytes of the UTF-8 sequence at text, 0 if it is invalid. */
static int sequence(const unsigned char *text) {
    const int length = text[0] < 0x80                      ? 1
                       : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                       : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                       : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                           : 0;
    for (int i = 1; i < length; ++i)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    const int second = length >= 3 ? text[1] : 0x80;
    const int broken = (text[0] == 0xe0 && second < 0xa0) || (text[0] == 0xed && second > 0x9f) ||
                       (text[0] == 0xf0 && second < 0x90) || (text[0] == 0xf4 && second > 0x8f);
    return broken ? 0 : length;
}

void dcnv4i_json_text(FILE *file, const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    fputc('"', file);
    while (*at) {
        const int length = sequence(at);
        if (length == 0)
            fputs("\\ufffd", file);
        else if (*at < ' ' || *at == 127)
            fprintf(file, "\\u%04x", *at);
        else if (*at == '"' || *at == '\\')
            fprintf(file, "\\%c", *at);
        else
            fwrite(at, 1, (size_t)length, file);
        at += length ? length : 1;
    }
    fputc('"', file);
}

void dcnv4i_json_number(FILE *file, double number) {
    if (isfinite(number))
        fprintf(file, "%.17g", number);
    else
        fputs("null", file);
}
