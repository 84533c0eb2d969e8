/* Arithmetic on indices, the same in every language; it follows a dialect. dcn_index is signed and has 32 bits, or
 * 64 where DCN_WIDE; dcn_unsigned is the unsigned type of the same width. */

/* a + b and a·b. 64-bit operands can overflow: then a position becomes a negative number, which is outside every
 * image, and the product belongs to a block that does not exist. Unsigned arithmetic makes that defined. */
#if DCN_WIDE
#define DCN_SUM(a, b) ((dcn_index)((dcn_unsigned)(a) + (dcn_unsigned)(b)))
#define DCN_PRODUCT(a, b) ((dcn_index)((dcn_unsigned)(a) * (dcn_unsigned)(b)))
#else
#define DCN_SUM(a, b) ((a) + (b))
#define DCN_PRODUCT(a, b) ((a) * (b))
#endif

/* Rounds towards −∞. The conversion rounds towards 0, which is one too many for negative fractions. */
DCN_INLINE dcn_index dcn_floor(float position) {
    const dcn_index whole = (dcn_index)position;
    return whole - (position < (float)whole);
}

/* Whether 0 ≤ number < size. */
DCN_INLINE int dcn_within(dcn_index number, dcn_index size) {
    return (dcn_unsigned)number < (dcn_unsigned)size;
}

/* number / divisor in three instructions, with the reciprocal that the host computes (dcnv4i_reciprocal); for
 * numbers below 2³¹. 64-bit indices are divided by the hardware. */
DCN_INLINE dcn_unsigned dcn_quotient(dcn_unsigned number, dcn_unsigned divisor, dcn_long reciprocal) {
#if DCN_WIDE
    return number / divisor;
#else
    return DCN_MULTIPLY_HIGH(2 * number, (dcn_unsigned)reciprocal) >> (dcn_unsigned)(reciprocal >> 32);
#endif
}
