/* The vector operations of vector_scalar.h for AVX-512 with its F, BW, DQ and VL parts: eight doubles. */
#ifndef DCNV4I_CPU_VECTOR_AVX512_F64_H
#define DCNV4I_CPU_VECTOR_AVX512_F64_H

#define INSTRUCTION_SET avx512
#include "real.h"

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 8, BLOCK = 4, HALF_BLOCK = 2 };

typedef __m512d vec;
typedef int32_t point_index;
typedef const double *quad;

static inline vec vload(const double *from) { return _mm512_loadu_pd(from); }
static inline void vstore(double *to, vec a) { _mm512_storeu_pd(to, a); }
static inline vec vset(double a) { return _mm512_set1_pd(a); }
static inline vec vadd(vec a, vec b) { return _mm512_add_pd(a, b); }
static inline vec vsub(vec a, vec b) { return _mm512_sub_pd(a, b); }
static inline vec vmul(vec a, vec b) { return _mm512_mul_pd(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return _mm512_fmadd_pd(a, b, c); }
static inline vec vfloor(vec a) { return _mm512_floor_pd(a); }

static inline __mmask8 first_lanes(int count) { return (__mmask8)((1u << count) - 1); }
static inline vec vload_part(const double *from, int count) { return _mm512_maskz_loadu_pd(first_lanes(count), from); }
static inline void vstore_part(double *to, vec a, int count) { _mm512_mask_storeu_pd(to, first_lanes(count), a); }

static inline void vload_pairs(const double *from, vec *even, vec *odd) {
    const vec a = vload(from), b = vload(from + 8);
    *even = _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
    *odd = _mm512_permutex2var_pd(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
}

static inline void vstore_pairs(double *to, vec even, vec odd) {
    vstore(to, _mm512_permutex2var_pd(even, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), odd));
    vstore(to + 8, _mm512_permutex2var_pd(even, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), odd));
}

static inline void vstore_quads(double *to, vec a, vec b, vec c, vec d) {
    /* ab and cd: of two points each. */
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    const vec ab = _mm512_permutex2var_pd(a, low, b), cd = _mm512_permutex2var_pd(c, low, d);
    const vec more_ab = _mm512_permutex2var_pd(a, high, b), more_cd = _mm512_permutex2var_pd(c, high, d);
    vstore(to, _mm512_permutex2var_pd(ab, first, cd));
    vstore(to + 8, _mm512_permutex2var_pd(ab, second, cd));
    vstore(to + 16, _mm512_permutex2var_pd(more_ab, first, more_cd));
    vstore(to + 24, _mm512_permutex2var_pd(more_ab, second, more_cd));
}

static inline void vload_quads(const double *from, vec *a, vec *b, vec *c, vec *d) {
    /* ab: four of a, four of b. */
    const __m512i first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
    const __m512i second = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    const vec q01 = vload(from), q23 = vload(from + 8), q45 = vload(from + 16), q67 = vload(from + 24);
    const vec ab = _mm512_permutex2var_pd(q01, first, q23), more_ab = _mm512_permutex2var_pd(q45, first, q67);
    const vec cd = _mm512_permutex2var_pd(q01, second, q23), more_cd = _mm512_permutex2var_pd(q45, second, q67);
    *a = _mm512_shuffle_f64x2(ab, more_ab, 0x44), *b = _mm512_shuffle_f64x2(ab, more_ab, 0xee);
    *c = _mm512_shuffle_f64x2(cd, more_cd, 0x44), *d = _mm512_shuffle_f64x2(cd, more_cd, 0xee);
}

/* As in vector_avx2_f64.h. */
static inline quad quad_load(const double *from) { return from; }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) { return vset(q[i]); }

typedef vec dots; /* in each half, sums over some of the lanes */
enum { DOTS_TOGETHER = 2 };
static inline dots dots_of(vec a, vec b, vec c, vec d) {
    const vec ab = vadd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    const vec cd = vadd(_mm512_unpacklo_pd(c, d), _mm512_unpackhi_pd(c, d));
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i second = _mm512_add_epi64(first, _mm512_set1_epi64(2));
    return vadd(_mm512_permutex2var_pd(ab, first, cd), _mm512_permutex2var_pd(ab, second, cd));
}

static inline void store_dots(double *to, dots a, int accumulate) {
    const __m256d sums = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    _mm256_storeu_pd(to, accumulate ? _mm256_add_pd(sums, _mm256_loadu_pd(to)) : sums);
}

static inline void store_dots_together(double *to, const dots *two, int accumulate) {
    const vec sums = vadd(_mm512_shuffle_f64x2(two[0], two[1], 0x44), _mm512_shuffle_f64x2(two[0], two[1], 0xee));
    vstore(to, accumulate ? vadd(sums, vload(to)) : sums);
}

typedef __mmask8 vmask;
static inline vmask vless(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
static inline vmask vequal(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
static inline vmask vfinite(vec a) { return _mm512_cmp_pd_mask(vsub(a, a), _mm512_setzero_pd(), _CMP_EQ_OQ); }
static inline vmask vmask_and(vmask a, vmask b) { return (vmask)(a & b); }
static inline vmask vmask_or(vmask a, vmask b) { return (vmask)(a | b); }
static inline vmask vmask_not(vmask a) { return (vmask)~a; }
static inline int vmask_full(vmask a) { return a == 0xff; }
static inline vec vselect(vmask mask, vec a, vec b) { return _mm512_mask_mov_pd(b, mask, a); }
static inline vec vkeep(vmask mask, vec a) { return _mm512_maskz_mov_pd(mask, a); }
static inline vec vdrop(vmask mask, vec a) { return _mm512_maskz_mov_pd((vmask)~mask, a); }
static inline vec vmin(vec a, vec b) { return _mm512_min_pd(a, b); }
static inline vec vmax(vec a, vec b) { return _mm512_max_pd(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const __m256i columns = _mm256_mullo_epi32(_mm512_cvttpd_epi32(column), _mm256_set1_epi32((int32_t)by_column));
    const __m256i rows = _mm256_mullo_epi32(_mm512_cvttpd_epi32(row), _mm256_set1_epi32((int32_t)by_row));
    _mm256_storeu_si256((__m256i *)to, _mm256_add_epi32(rows, columns));
}

static inline void vclear_index(point_index *to, vmask known) {
    const __m256i index = _mm256_loadu_si256((const __m256i *)to);
    _mm256_storeu_si256((__m256i *)to, _mm256_mask_mov_epi32(_mm256_set1_epi32(-1), known, index));
}

#endif
