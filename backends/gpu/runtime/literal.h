/* Numbers as a kernel's text has them. */
#ifndef DCNV4I_LITERAL_H
#define DCNV4I_LITERAL_H

enum { DCNV4I_LITERAL_ROOM = 32 };

/* A finite number as a float32 in hexadecimal, "0x1.8p+0f", in text, which is returned: what is too large for one becomes
 * the largest. The same bytes in every locale and rounding mode, since they are part of a kernel's key. */
const char *dcnv4i_literal(double number, char text[DCNV4I_LITERAL_ROOM]);

#endif
