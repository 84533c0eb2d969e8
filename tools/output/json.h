/* Writes JSON strings and numbers; the caller writes the punctuation. */
#ifndef DCNV4I_JSON_H
#define DCNV4I_JSON_H

#include <stdio.h>

/* A string with its quotes; bytes that are not valid UTF-8 become U+FFFD. */
void dcnv4i_json_text(FILE *file, const char *text);

/* A number that reads back as the same float64; null for NaN and infinities, which JSON lacks. */
void dcnv4i_json_number(FILE *file, double number);

#endif
