/* The vector operations of vector_scalar.h for AVX2 with FMA: four doubles. */
#ifndef DCNV4I_CPU_VECTOR_AVX2_F64_H
#define DCNV4I_CPU_VECTOR_AVX2_F64_H

#define INSTRUCTION_SET avx2
#include "real.h"

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 4, BLOCK = 4, HALF_BLOCK = 2 };

typedef __m256d vec;
typedef int32_t point_index;
typedef const double *quad;

static inline vec vload(const double *from) { return _mm256_loadu_pd(from); }
static inline void vstore(double *to, vec a) { _mm256_storeu_pd(to, a); }
static inline vec vset(double a) { return _mm256_set1_pd(a); }
static inline vec vadd(vec a, vec b) { return _mm256_add_pd(a, b); }
static inline vec vsub(vec a, vec b) { return _mm256_sub_pd(a, b); }
static inline vec vmul(vec a, vec b) { return _mm256_mul_pd(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return _mm256_fmadd_pd(a, b, c); }
static inline vec vfloor(vec a) { return _mm256_floor_pd(a); }

static inline __m256i first_lanes(int count) {
    static const int64_t mask[8] = {-1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(mask + 4 - count));
}

static inline vec vload_part(const double *from, int count) { return _mm256_maskload_pd(from, first_lanes(count)); }
static inline void vstore_part(double *to, vec a, int count) { _mm256_maskstore_pd(to, first_lanes(count), a); }

static inline vec join_low(vec a, vec b) { return _mm256_permute2f128_pd(a, b, 0x20); }
static inline vec join_high(vec a, vec b) { return _mm256_permute2f128_pd(a, b, 0x31); }

static inline void vload_pairs(const double *from, vec *even, vec *odd) {
    const vec a = vload(from), b = vload(from + 4), low = join_low(a, b), high = join_high(a, b);
    *even = _mm256_unpacklo_pd(low, high);
    *odd = _mm256_unpackhi_pd(low, high);
}

static inline void vstore_pairs(double *to, vec even, vec odd) {
    const vec low = _mm256_unpacklo_pd(even, odd), high = _mm256_unpackhi_pd(even, odd);
    vstore(to, join_low(low, high));
    vstore(to + 4, join_high(low, high));
}

static inline void vstore_quads(double *to, vec a, vec b, vec c, vec d) {
    const vec ab02 = _mm256_unpacklo_pd(a, b), ab13 = _mm256_unpackhi_pd(a, b);
    const vec cd02 = _mm256_unpacklo_pd(c, d), cd13 = _mm256_unpackhi_pd(c, d);
    vstore(to, join_low(ab02, cd02));
    vstore(to + 4, join_low(ab13, cd13));
    vstore(to + 8, join_high(ab02, cd02));
    vstore(to + 12, join_high(ab13, cd13));
}

static inline void vload_quads(const double *from, vec *a, vec *b, vec *c, vec *d) {
    const vec q0 = vload(from), q1 = vload(from + 4), q2 = vload(from + 8), q3 = vload(from + 12);
    const vec ab02 = join_low(q0, q2), ab13 = join_low(q1, q3), cd02 = join_high(q0, q2), cd13 = join_high(q1, q3);
    *a = _mm256_unpacklo_pd(ab02, ab13), *b = _mm256_unpackhi_pd(ab02, ab13);
    *c = _mm256_unpacklo_pd(cd02, cd13), *d = _mm256_unpackhi_pd(cd02, cd13);
}

/* Broadcasts are loads: from a register they would take a permutation across both halves, which is slower. */
static inline quad quad_load(const double *from) { return from; }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) { return _mm256_broadcast_sd(q + i); }

typedef vec dots;
enum { DOTS_TOGETHER = 1 };
static inline dots dots_of(vec a, vec b, vec c, vec d) {
    const vec ab = vadd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    const vec cd = vadd(_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
    return vadd(join_low(ab, cd), join_high(ab, cd));
}

static inline void store_dots(double *to, dots a, int accumulate) { vstore(to, accumulate ? vadd(a, vload(to)) : a); }

static inline void store_dots_together(double *to, const dots *one, int accumulate) { store_dots(to, *one, accumulate); }

typedef __m256d vmask;
static inline vmask vless(vec a, vec b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
static inline vmask vequal(vec a, vec b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
static inline vmask vfinite(vec a) { return _mm256_cmp_pd(vsub(a, a), _mm256_setzero_pd(), _CMP_EQ_OQ); }
static inline vmask vmask_and(vmask a, vmask b) { return _mm256_and_pd(a, b); }
static inline vmask vmask_or(vmask a, vmask b) { return _mm256_or_pd(a, b); }
static inline vmask vmask_not(vmask a) { return _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi32(-1))); }
static inline int vmask_full(vmask a) { return _mm256_movemask_pd(a) == 0xf; }
static inline vec vselect(vmask mask, vec a, vec b) { return _mm256_blendv_pd(b, a, mask); }
static inline vec vkeep(vmask mask, vec a) { return _mm256_and_pd(mask, a); }
static inline vec vdrop(vmask mask, vec a) { return _mm256_andnot_pd(mask, a); }
static inline vec vmin(vec a, vec b) { return _mm256_min_pd(a, b); }
static inline vec vmax(vec a, vec b) { return _mm256_max_pd(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const __m128i columns = _mm_mullo_epi32(_mm256_cvttpd_epi32(column), _mm_set1_epi32((int32_t)by_column));
    const __m128i rows = _mm_mullo_epi32(_mm256_cvttpd_epi32(row), _mm_set1_epi32((int32_t)by_row));
    _mm_storeu_si128((__m128i *)to, _mm_add_epi32(rows, columns));
}

static inline void vclear_index(point_index *to, vmask known) {
    const __m256 halves = _mm256_castpd_ps(vmask_not(known)); /* each lane's two halves are alike */
    const __m128 unknown = _mm_shuffle_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1), 0x88);
    const __m128i index = _mm_loadu_si128((const __m128i *)to);
    _mm_storeu_si128((__m128i *)to, _mm_or_si128(index, _mm_castps_si128(unknown)));
}

#endif
