/* Included before everything else, so that the AVX-512 kernels compile for and run on a processor without AVX-512: SIMD
 * Everywhere implements each intrinsic in plain C. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/sse.h>
#include <simde/x86/avx2.h>
#include <simde/x86/fma.h>
#include <simde/x86/f16c.h>
#include <simde/x86/avx512.h>

/* Intrinsics that SIMDe 0.7.4 lacks, lane by lane. */
#include <string.h>

static inline simde__m512 masked_load(simde__mmask16 mask, const float *from) {
    float lanes[16] = {0};
    for (int i = 0; i < 16; ++i)
        if (mask >> i & 1)
            lanes[i] = from[i];
    return simde_mm512_loadu_ps(lanes);
}

static inline void masked_store(float *to, simde__mmask16 mask, simde__m512 a) {
    float lanes[16];
    simde_mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; ++i)
        if (mask >> i & 1)
            to[i] = lanes[i];
}

static inline simde__m512i truncate_lanes(simde__m512 a) {
    float lanes[16];
    int32_t whole[16];
    simde_mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; ++i)
        whole[i] = lanes[i] >= -0x1p31f && lanes[i] < 0x1p31f ? (int32_t)lanes[i] : INT32_MIN;
    return simde_mm512_loadu_si512(whole);
}

static inline simde__m512 permute_quarters(simde__m512 a, int choice) {
    float lanes[16], chosen[16];
    simde_mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; ++i)
        chosen[i] = lanes[(i & ~3) + (choice >> 2 * (i & 3) & 3)];
    return simde_mm512_loadu_ps(chosen);
}

static inline simde__m512 shuffle_quarters(simde__m512 a, simde__m512 b, int choice) {
    float lanes[32], chosen[16];
    simde_mm512_storeu_ps(lanes, a);
    simde_mm512_storeu_ps(lanes + 16, b);
    for (int i = 0; i < 4; ++i)
        memcpy(chosen + 4 * i, lanes + (i < 2 ? 0 : 16) + 4 * (choice >> 2 * i & 3), 16);
    return simde_mm512_loadu_ps(chosen);
}

static inline simde__m512i widen_words(simde__m256i a) {
    uint16_t narrow[16];
    int32_t wide[16];
    simde_mm256_storeu_si256((simde__m256i *)narrow, a);
    for (int i = 0; i < 16; ++i)
        wide[i] = narrow[i];
    return simde_mm512_loadu_si512(wide);
}

static inline simde__m256i narrow_words(simde__m512i a) {
    int32_t wide[16];
    uint16_t narrow[16];
    simde_mm512_storeu_si512(wide, a);
    for (int i = 0; i < 16; ++i)
        narrow[i] = (uint16_t)wide[i];
    return simde_mm256_loadu_si256((const simde__m256i *)narrow);
}

static inline simde__m512 widen_halves(simde__m256i a) {
    uint16_t narrow[16];
    float wide[16];
    simde_mm256_storeu_si256((simde__m256i *)narrow, a);
    for (int i = 0; i < 2; ++i)
        _mm256_storeu_ps(wide + 8 * i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(narrow + 8 * i))));
    return simde_mm512_loadu_ps(wide);
}

static inline simde__m256i narrow_halves(simde__m512 a) {
    float wide[16];
    uint16_t narrow[16];
    simde_mm512_storeu_ps(wide, a);
    for (int i = 0; i < 2; ++i)
        _mm_storeu_si128((__m128i *)(narrow + 8 * i), _mm256_cvtps_ph(_mm256_loadu_ps(wide + 8 * i), 0));
    return simde_mm256_loadu_si256((const simde__m256i *)narrow);
}

static inline simde__m256i masked_load_words(simde__mmask16 mask, const uint16_t *from) {
    uint16_t words[16] = {0};
    for (int i = 0; i < 16; ++i)
        if (mask >> i & 1)
            words[i] = from[i];
    return simde_mm256_loadu_si256((const simde__m256i *)words);
}

static inline void masked_store_words(uint16_t *to, simde__mmask16 mask, simde__m256i a) {
    uint16_t words[16];
    simde_mm256_storeu_si256((simde__m256i *)words, a);
    for (int i = 0; i < 16; ++i)
        if (mask >> i & 1)
            to[i] = words[i];
}

static inline __m256 half_of(simde__m512 a, int upper) {
    float lanes[16];
    simde_mm512_storeu_ps(lanes, a);
    return _mm256_loadu_ps(lanes + 8 * upper);
}

/* ---- Doubles ----------------------------------------------------------------------------------------------------- */

static inline simde__m512d masked_load_doubles(simde__mmask8 mask, const double *from) {
    double lanes[8] = {0};
    for (int i = 0; i < 8; ++i)
        if (mask >> i & 1)
            lanes[i] = from[i];
    return simde_mm512_loadu_pd(lanes);
}

static inline void masked_store_doubles(double *to, simde__mmask8 mask, simde__m512d a) {
    double lanes[8];
    simde_mm512_storeu_pd(lanes, a);
    for (int i = 0; i < 8; ++i)
        if (mask >> i & 1)
            to[i] = lanes[i];
}

static inline __m256d half_of_doubles(simde__m512d a, int upper) {
    double lanes[8];
    simde_mm512_storeu_pd(lanes, a);
    return _mm256_loadu_pd(lanes + 4 * upper);
}

static inline __m256i truncate_doubles(simde__m512d a) {
    double lanes[8];
    int32_t whole[8];
    simde_mm512_storeu_pd(lanes, a);
    for (int i = 0; i < 8; ++i)
        whole[i] = lanes[i] >= -0x1p31 && lanes[i] < 0x1p31 ? (int32_t)lanes[i] : INT32_MIN;
    return _mm256_loadu_si256((const __m256i *)whole);
}

/* Pairs of lanes: two of a, then two of b. */
static inline simde__m512d shuffle_pairs(simde__m512d a, simde__m512d b, int choice) {
    double from[16], lanes[8];
    simde_mm512_storeu_pd(from, a);
    simde_mm512_storeu_pd(from + 8, b);
    for (int i = 0; i < 8; ++i)
        lanes[i] = from[8 * (i / 4) + 2 * (choice >> 2 * (i / 2) & 3) + i % 2];
    return simde_mm512_loadu_pd(lanes);
}

static inline __m256i masked_move_words(__m256i a, simde__mmask8 mask, __m256i b) {
    int32_t lanes[8], others[8];
    _mm256_storeu_si256((__m256i *)lanes, a);
    _mm256_storeu_si256((__m256i *)others, b);
    for (int i = 0; i < 8; ++i)
        if (mask >> i & 1)
            lanes[i] = others[i];
    return _mm256_loadu_si256((const __m256i *)lanes);
}

#define _mm512_maskz_loadu_pd masked_load_doubles
#define _mm512_mask_storeu_pd masked_store_doubles
#define _mm512_castpd512_pd256(a) half_of_doubles(a, 0)
#define _mm512_extractf64x4_pd half_of_doubles
#define _mm512_cvttpd_epi32 truncate_doubles
#define _mm512_shuffle_f64x2 shuffle_pairs
#define _mm256_mask_mov_epi32 masked_move_words
#define _mm512_maskz_loadu_ps masked_load
#define _mm512_mask_storeu_ps masked_store
#define _mm256_maskz_loadu_epi16 masked_load_words
#define _mm256_mask_storeu_epi16 masked_store_words
#define _mm512_castps512_ps256(a) half_of(a, 0)
#define _mm512_extractf32x8_ps half_of
#define _mm512_cvttps_epi32 truncate_lanes
#define _mm512_permute_ps permute_quarters
#define _mm512_shuffle_f32x4 shuffle_quarters
#define _mm512_cvtepu16_epi32 widen_words
#define _mm512_cvtepi32_epi16 narrow_words
#define _mm512_cvtph_ps widen_halves
#define _mm512_cvtps_ph(a, rounding) narrow_halves(a)
