#include "literal.h"

#include "../../../core/element.h"

#include <stdio.h>

enum { EXPONENT_BITS = 8, FRACTION_BITS = 23, BIAS = 127 };

const char *dcnv4i_literal(double number, char text[DCNV4I_LITERAL_ROOM]) {
    const uint32_t one = UINT32_C(1) << FRACTION_BITS, infinite = UINT32_C(255) << FRACTION_BITS;
    const uint32_t bits = dcnv4i_encode(number, EXPONENT_BITS, FRACTION_BITS);
    const char *const sign = bits >> 31 ? "-" : "";
    uint32_t magnitude = bits & ~(UINT32_C(1) << 31);
    if (magnitude == 0) {
        snprintf(text, DCNV4I_LITERAL_ROOM, "%s0x0p+0f", sign);
        return text;
    }
    if (magnitude >= infinite)
        magnitude = infinite - 1;
    int exponent = (int)(magnitude >> FRACTION_BITS) - BIAS;
    uint32_t fraction = magnitude & (one - 1);
    if (exponent == -BIAS) { /* a subnormal has no implicit leading one */
        for (++exponent; fraction < one; fraction <<= 1)
            --exponent;
        fraction -= one;
    }
    int digits = 6;
    for (fraction <<= 1; digits > 0 && fraction % 16 == 0; --digits)
        fraction /= 16;
    if (digits > 0)
        snprintf(text, DCNV4I_LITERAL_ROOM, "%s0x1.%0*xp%+df", sign, digits, (unsigned)fraction, exponent);
    else
        snprintf(text, DCNV4I_LITERAL_ROOM, "%s0x1p%+df", sign, exponent);
    return text;
}
