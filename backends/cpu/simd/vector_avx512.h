/* The vector operations of vector_scalar.h for AVX-512 with its F, BW, DQ and VL parts: sixteen floats. */
#ifndef DCNV4I_CPU_VECTOR_AVX512_H
#define DCNV4I_CPU_VECTOR_AVX512_H

#define INSTRUCTION_SET avx512
#include "real.h"

#include <immintrin.h>
#include <stdint.h>

#define SCATTER_READS_WEIGHTS
enum { LANES = 16, BLOCK = 4, HALF_BLOCK = 2 };

typedef __m512 vec;
typedef int32_t point_index;
typedef __m512 quad; /* in all four quarters */

static inline vec vload(const float *from) { return _mm512_loadu_ps(from); }
static inline void vstore(float *to, vec a) { _mm512_storeu_ps(to, a); }
static inline vec vset(float a) { return _mm512_set1_ps(a); }
static inline vec vadd(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vsub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vmul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline vec vfloor(vec a) { return _mm512_floor_ps(a); }

#define HAS_VPOW2
static inline vec vpow2(vec a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvttps_epi32(a), _mm512_set1_epi32(127)), 23));
}

static inline __mmask16 first_lanes(int count) { return (__mmask16)((1u << count) - 1); }
static inline vec vload_part(const float *from, int count) { return _mm512_maskz_loadu_ps(first_lanes(count), from); }
static inline void vstore_part(float *to, vec a, int count) { _mm512_mask_storeu_ps(to, first_lanes(count), a); }

static inline void vload_pairs(const float *from, vec *even, vec *odd) {
    const vec a = vload(from), b = vload(from + 16);
    const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *even = _mm512_permutex2var_ps(a, evens, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_or_si512(evens, _mm512_set1_epi32(1)), b);
}

static inline void vstore_pairs(float *to, vec even, vec odd) {
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    vstore(to, _mm512_permutex2var_ps(even, first, odd));
    vstore(to + 16, _mm512_permutex2var_ps(even, _mm512_add_epi32(first, _mm512_set1_epi32(8)), odd));
}

static inline vec low_halves(vec a, vec b) { return _mm512_shuffle_f32x4(a, b, 0x44); }
static inline vec high_halves(vec a, vec b) { return _mm512_shuffle_f32x4(a, b, 0xee); }

static inline void vstore_quads(float *to, vec a, vec b, vec c, vec d) {
    /* ab: eight of a, eight of b. */
    const __m512i first = _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));
    const vec ab = low_halves(a, b), cd = low_halves(c, d), more_ab = high_halves(a, b), more_cd = high_halves(c, d);
    vstore(to, _mm512_permutex2var_ps(ab, first, cd));
    vstore(to + 16, _mm512_permutex2var_ps(ab, second, cd));
    vstore(to + 32, _mm512_permutex2var_ps(more_ab, first, more_cd));
    vstore(to + 48, _mm512_permutex2var_ps(more_ab, second, more_cd));
}

static inline void vload_quads(const float *from, vec *a, vec *b, vec *c, vec *d) {
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(2));
    const vec q0 = vload(from), q1 = vload(from + 16), q2 = vload(from + 32), q3 = vload(from + 48);
    const vec ab = _mm512_permutex2var_ps(q0, first, q1), more_ab = _mm512_permutex2var_ps(q2, first, q3);
    const vec cd = _mm512_permutex2var_ps(q0, second, q1), more_cd = _mm512_permutex2var_ps(q2, second, q3);
    *a = low_halves(ab, more_ab), *b = high_halves(ab, more_ab);
    *c = low_halves(cd, more_cd), *d = high_halves(cd, more_cd);
}

static inline quad quad_load(const float *from) { return _mm512_broadcast_f32x4(_mm_loadu_ps(from)); }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) {
    return i == 0   ? _mm512_permute_ps(q, 0x00)
           : i == 1 ? _mm512_permute_ps(q, 0x55)
           : i == 2 ? _mm512_permute_ps(q, 0xaa)
                    : _mm512_permute_ps(q, 0xff);
}

typedef vec dots; /* in each quarter, sums over some of the lanes */
enum { DOTS_TOGETHER = 4 };
static inline dots dots_of(vec a, vec b, vec c, vec d) {
    const vec ab = vadd(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const vec cd = vadd(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    return vadd(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
}

static inline void store_dots(float *to, dots a, int accumulate) {
    const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    _mm_storeu_ps(to, accumulate ? _mm_add_ps(sums, _mm_loadu_ps(to)) : sums);
}

static inline void store_dots_together(float *to, const dots *four, int accumulate) {
    const vec first = vadd(low_halves(four[0], four[1]), high_halves(four[0], four[1]));
    const vec second = vadd(low_halves(four[2], four[3]), high_halves(four[2], four[3]));
    const vec sums = vadd(_mm512_shuffle_f32x4(first, second, 0x88), _mm512_shuffle_f32x4(first, second, 0xdd));
    vstore(to, accumulate ? vadd(sums, vload(to)) : sums);
}

typedef __mmask16 vmask;
static inline vmask vless(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vmask vequal(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vmask vfinite(vec a) { return _mm512_cmp_ps_mask(vsub(a, a), _mm512_setzero_ps(), _CMP_EQ_OQ); }
static inline vmask vmask_and(vmask a, vmask b) { return (vmask)(a & b); }
static inline vmask vmask_or(vmask a, vmask b) { return (vmask)(a | b); }
static inline vmask vmask_not(vmask a) { return (vmask)~a; }
static inline int vmask_full(vmask a) { return a == 0xffff; }
static inline vec vselect(vmask mask, vec a, vec b) { return _mm512_mask_mov_ps(b, mask, a); }
static inline vec vkeep(vmask mask, vec a) { return _mm512_maskz_mov_ps(mask, a); }
static inline vec vdrop(vmask mask, vec a) { return _mm512_maskz_mov_ps((vmask)~mask, a); }
static inline vec vmin(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec vmax(vec a, vec b) { return _mm512_max_ps(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const __m512i columns = _mm512_mullo_epi32(_mm512_cvttps_epi32(column), _mm512_set1_epi32((int32_t)by_column));
    const __m512i rows = _mm512_mullo_epi32(_mm512_cvttps_epi32(row), _mm512_set1_epi32((int32_t)by_row));
    _mm512_storeu_si512(to, _mm512_add_epi32(rows, columns));
}

static inline void vclear_index(point_index *to, vmask known) {
    _mm512_storeu_si512(to, _mm512_mask_mov_epi32(_mm512_set1_epi32(-1), known, _mm512_loadu_si512(to)));
}

/* ---- 16-bit storage ---------------------------------------------------------------------------------------------- */

typedef __m256i vec16;

static inline vec16 vload16(const uint16_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
static inline void vstore16(uint16_t *to, vec16 a) { _mm256_storeu_si256((__m256i *)to, a); }
static inline vec16 vload16_part(const uint16_t *from, int count) {
    return _mm256_maskz_loadu_epi16(first_lanes(count), from);
}
static inline void vstore16_part(uint16_t *to, vec16 a, int count) {
    _mm256_mask_storeu_epi16(to, first_lanes(count), a);
}

static inline vec vfrom_float16(vec16 a) { return _mm512_cvtph_ps(a); }
static inline vec16 vto_float16(vec a) { return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec vfrom_bfloat16(vec16 a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
}

/* As in vector_avx2.h. The AVX512-BF16 instructions cannot be used: they flush subnormals to zero. */
static inline vec16 vto_bfloat16(vec a) {
    const __m512i bits = _mm512_castps_si512(a), top = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const vmask is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    const __m512i words = _mm512_mask_or_epi32(rounded, is_nan, top, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(words);
}

#endif
