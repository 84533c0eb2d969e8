/* Numbers as literals of a kernel's text. */
#ifndef DCNV4I_LITERAL_H
#define DCNV4I_LITERAL_H

enum { DCNV4I_LITERAL_ROOM = 32 };

/* Writes a finite number to text as a hexadecimal float32, "0x1.8p+0f", and returns text; a number too large for a
 * float32 becomes the largest. It is the same in every locale and rounding mode, since it is part of a kernel's key. */
const char *dcnv4i_literal(double number, char text[DCNV4I_LITERAL_ROOM]);

#endif
