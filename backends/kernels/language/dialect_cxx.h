/* What the dialects of CUDA and HIP share: C++ without address spaces or vector types. vectors_plain.h follows. */

#define DCN_GLOBAL
#define DCN_LOCAL
#define DCN_PRIVATE
#define DCN_RESTRICT __restrict__
#define DCN_UNROLL _Pragma("unroll")
#define DCN_UNROLL_BY_2 _Pragma("unroll 2")
#define DCN_UNROLL_BY_4 _Pragma("unroll 4")
#define DCN_UNROLL_NOT _Pragma("unroll 1")
#define DCN_MIN_INDEX(a, b) ((a) < (b) ? (a) : (b))
#define DCN_MAX_INDEX(a, b) ((a) > (b) ? (a) : (b))

typedef long long dcn_long;
#if DCN_WIDE
#define DCN_FARTHEST 0x1p63f
typedef long long dcn_index;
typedef unsigned long long dcn_unsigned;
#define DCN_INDEX_MAX 0x7fffffffffffffffLL
#else
#define DCN_FARTHEST 0x1p30f
typedef int dcn_index;
typedef unsigned dcn_unsigned;
#define DCN_INDEX_MAX 0x7fffffff
#endif

#if DCN_DTYPE == DCN_FLOAT32
typedef float dcn_element;

DCN_INLINE float dcn_decode(dcn_element item) {
    return item;
}

DCN_INLINE dcn_element dcn_encode(float number) {
    return number;
}
#elif DCN_DTYPE != DCN_FLOAT16
typedef unsigned short dcn_element;

DCN_INLINE float dcn_decode(dcn_element item) {
    return DCN_FLOAT_OF((unsigned)item << 16);
}

/* The upper half of a float32, rounded to nearest, ties to even; NaN stays NaN. */
DCN_INLINE dcn_element dcn_encode(float number) {
    const unsigned bits = DCN_BITS_OF(number);
    return (dcn_element)((number != number ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
#endif
