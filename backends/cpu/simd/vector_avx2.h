/* The vector operations of vector_scalar.h for AVX2 with FMA and F16C: eight floats. */
#ifndef DCNV4I_CPU_VECTOR_AVX2_H
#define DCNV4I_CPU_VECTOR_AVX2_H

#define INSTRUCTION_SET avx2
#include "real.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, BLOCK = 4, HALF_BLOCK = 2 };

typedef __m256 vec;
typedef int32_t point_index;
typedef __m256 quad; /* in both halves */

static inline vec vload(const float *from) { return _mm256_loadu_ps(from); }
static inline void vstore(float *to, vec a) { _mm256_storeu_ps(to, a); }
static inline vec vset(float a) { return _mm256_set1_ps(a); }
static inline vec vadd(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vsub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vmul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vfloor(vec a) { return _mm256_floor_ps(a); }

#define HAS_VPOW2
static inline vec vpow2(vec a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvttps_epi32(a), _mm256_set1_epi32(127)), 23));
}

static inline __m256i first_lanes(int count) {
    static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(mask + 8 - count));
}

static inline vec vload_part(const float *from, int count) { return _mm256_maskload_ps(from, first_lanes(count)); }
static inline void vstore_part(float *to, vec a, int count) { _mm256_maskstore_ps(to, first_lanes(count), a); }

static inline vec join_low(vec a, vec b) { return _mm256_permute2f128_ps(a, b, 0x20); }
static inline vec join_high(vec a, vec b) { return _mm256_permute2f128_ps(a, b, 0x31); }

static inline void vload_pairs(const float *from, vec *even, vec *odd) {
    const vec a = vload(from), b = vload(from + 8), low = join_low(a, b), high = join_high(a, b);
    *even = _mm256_shuffle_ps(low, high, 0x88);
    *odd = _mm256_shuffle_ps(low, high, 0xdd);
}

static inline void vstore_pairs(float *to, vec even, vec odd) {
    const vec low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    vstore(to, join_low(low, high));
    vstore(to + 8, join_high(low, high));
}

static inline void vstore_quads(float *to, vec a, vec b, vec c, vec d) {
    const vec ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    const vec cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    const vec q04 = _mm256_shuffle_ps(ab_low, cd_low, 0x44), q15 = _mm256_shuffle_ps(ab_low, cd_low, 0xee);
    const vec q26 = _mm256_shuffle_ps(ab_high, cd_high, 0x44), q37 = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
    vstore(to, join_low(q04, q15));
    vstore(to + 8, join_low(q26, q37));
    vstore(to + 16, join_high(q04, q15));
    vstore(to + 24, join_high(q26, q37));
}

static inline void vload_quads(const float *from, vec *a, vec *b, vec *c, vec *d) {
    const vec q01 = vload(from), q23 = vload(from + 8), q45 = vload(from + 16), q67 = vload(from + 24);
    const vec q04 = join_low(q01, q45), q15 = join_high(q01, q45), q26 = join_low(q23, q67), q37 = join_high(q23, q67);
    const vec ab_low = _mm256_unpacklo_ps(q04, q15), cd_low = _mm256_unpackhi_ps(q04, q15);
    const vec ab_high = _mm256_unpacklo_ps(q26, q37), cd_high = _mm256_unpackhi_ps(q26, q37);
    *a = _mm256_shuffle_ps(ab_low, ab_high, 0x44);
    *b = _mm256_shuffle_ps(ab_low, ab_high, 0xee);
    *c = _mm256_shuffle_ps(cd_low, cd_high, 0x44);
    *d = _mm256_shuffle_ps(cd_low, cd_high, 0xee);
}

/* Broadcasts come from a register by shuffles: loads would compete with those of value for the load ports. */
static inline quad quad_load(const float *from) { return _mm256_broadcast_ps((const __m128 *)from); }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) {
    return i == 0   ? _mm256_permute_ps(q, 0x00)
           : i == 1 ? _mm256_permute_ps(q, 0x55)
           : i == 2 ? _mm256_permute_ps(q, 0xaa)
                    : _mm256_permute_ps(q, 0xff);
}

typedef vec dots; /* in each half, sums over some of the lanes */
enum { DOTS_TOGETHER = 2 };
static inline dots dots_of(vec a, vec b, vec c, vec d) {
    const vec ab = vadd(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const vec cd = vadd(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    return vadd(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
}

static inline void store_dots(float *to, dots a, int accumulate) {
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    _mm_storeu_ps(to, accumulate ? _mm_add_ps(sums, _mm_loadu_ps(to)) : sums);
}

static inline void store_dots_together(float *to, const dots *two, int accumulate) {
    const vec sums = vadd(_mm256_permute2f128_ps(two[0], two[1], 0x20), _mm256_permute2f128_ps(two[0], two[1], 0x31));
    vstore(to, accumulate ? vadd(sums, vload(to)) : sums);
}

typedef __m256 vmask;
static inline vmask vless(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vmask vequal(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vmask vfinite(vec a) { return _mm256_cmp_ps(vsub(a, a), _mm256_setzero_ps(), _CMP_EQ_OQ); }
static inline vmask vmask_and(vmask a, vmask b) { return _mm256_and_ps(a, b); }
static inline vmask vmask_or(vmask a, vmask b) { return _mm256_or_ps(a, b); }
static inline vmask vmask_not(vmask a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
static inline int vmask_full(vmask a) { return _mm256_movemask_ps(a) == 0xff; }
static inline vec vselect(vmask mask, vec a, vec b) { return _mm256_blendv_ps(b, a, mask); }
static inline vec vkeep(vmask mask, vec a) { return _mm256_and_ps(mask, a); }
static inline vec vdrop(vmask mask, vec a) { return _mm256_andnot_ps(mask, a); }
static inline vec vmin(vec a, vec b) { return _mm256_min_ps(a, b); }
static inline vec vmax(vec a, vec b) { return _mm256_max_ps(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const __m256i columns = _mm256_mullo_epi32(_mm256_cvttps_epi32(column), _mm256_set1_epi32((int32_t)by_column));
    const __m256i rows = _mm256_mullo_epi32(_mm256_cvttps_epi32(row), _mm256_set1_epi32((int32_t)by_row));
    _mm256_storeu_si256((__m256i *)to, _mm256_add_epi32(rows, columns));
}

static inline void vclear_index(point_index *to, vmask known) {
    const __m256i index = _mm256_loadu_si256((const __m256i *)to);
    _mm256_storeu_si256((__m256i *)to, _mm256_or_si256(index, _mm256_castps_si256(vmask_not(known))));
}

/* ---- 16-bit storage ---------------------------------------------------------------------------------------------- */

typedef __m128i vec16;

static inline vec16 vload16(const uint16_t *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline void vstore16(uint16_t *to, vec16 a) { _mm_storeu_si128((__m128i *)to, a); }

static inline vec16 vload16_part(const uint16_t *from, int count) {
    uint16_t whole[LANES] = {0};
    memcpy(whole, from, (size_t)count * sizeof *from);
    return vload16(whole);
}

static inline void vstore16_part(uint16_t *to, vec16 a, int count) {
    uint16_t whole[LANES];
    vstore16(whole, a);
    memcpy(to, whole, (size_t)count * sizeof *to);
}

static inline vec vfrom_float16(vec16 a) { return _mm256_cvtph_ps(a); }
static inline vec16 vto_float16(vec a) { return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec vfrom_bfloat16(vec16 a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
}

/* Rounds to nearest, ties to even: adds just under half of the dropped bits' unit, or half if the kept bits are odd.
 * A NaN is made quiet instead, since the addition could turn it into an infinity. */
static inline vec16 vto_bfloat16(vec a) {
    const __m256i bits = _mm256_castps_si256(a), top = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, quiet, is_nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
    return _mm256_castsi256_si128(packed);
}

#endif
