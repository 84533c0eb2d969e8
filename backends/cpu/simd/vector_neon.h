/* The vector operations of vector_scalar.h for AArch64's NEON: four floats. */
#ifndef DCNV4I_CPU_VECTOR_NEON_H
#define DCNV4I_CPU_VECTOR_NEON_H

#define INSTRUCTION_SET neon
#include "real.h"

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4, BLOCK = 4, HALF_BLOCK = 2 };

typedef float32x4_t vec;
typedef int32_t point_index;
typedef float32x4_t quad;

static inline vec vload(const float *from) { return vld1q_f32(from); }
static inline void vstore(float *to, vec a) { vst1q_f32(to, a); }
static inline vec vset(float a) { return vdupq_n_f32(a); }
static inline vec vadd(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec vsub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec vmul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
static inline vec vfloor(vec a) { return vrndmq_f32(a); }

#define HAS_VPOW2
static inline vec vpow2(vec a) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(a), vdupq_n_s32(127)), 23));
}

static inline vec vload_part(const float *from, int count) {
    float lanes[LANES] = {0};
    for (int i = 0; i < count; ++i)
        lanes[i] = from[i];
    return vload(lanes);
}

static inline void vstore_part(float *to, vec a, int count) {
    float lanes[LANES];
    vstore(lanes, a);
    for (int i = 0; i < count; ++i)
        to[i] = lanes[i];
}

static inline void vload_pairs(const float *from, vec *even, vec *odd) {
    const float32x4x2_t pairs = vld2q_f32(from);
    *even = pairs.val[0], *odd = pairs.val[1];
}

/* vst2q_f32 and vst4q_f32 are macros in clang, which would take the commas for their own. */
static inline void vstore_pairs(float *to, vec even, vec odd) {
    const float32x4x2_t pairs = {{even, odd}};
    vst2q_f32(to, pairs);
}

static inline void vstore_quads(float *to, vec a, vec b, vec c, vec d) {
    const float32x4x4_t quads = {{a, b, c, d}};
    vst4q_f32(to, quads);
}

static inline void vload_quads(const float *from, vec *a, vec *b, vec *c, vec *d) {
    const float32x4x4_t quads = vld4q_f32(from);
    *a = quads.val[0], *b = quads.val[1], *c = quads.val[2], *d = quads.val[3];
}

static inline quad quad_load(const float *from) { return vld1q_f32(from); }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) {
    return i == 0   ? vdupq_laneq_f32(q, 0)
           : i == 1 ? vdupq_laneq_f32(q, 1)
           : i == 2 ? vdupq_laneq_f32(q, 2)
                    : vdupq_laneq_f32(q, 3);
}

typedef vec dots;
enum { DOTS_TOGETHER = 1 };
static inline dots dots_of(vec a, vec b, vec c, vec d) { return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)); }
static inline void store_dots(float *to, dots a, int accumulate) { vstore(to, accumulate ? vadd(a, vload(to)) : a); }

static inline void store_dots_together(float *to, const dots *one, int accumulate) { store_dots(to, *one, accumulate); }

typedef uint32x4_t vmask;
static inline vmask vless(vec a, vec b) { return vcltq_f32(a, b); }
static inline vmask vequal(vec a, vec b) { return vceqq_f32(a, b); }
static inline vmask vfinite(vec a) { return vceqzq_f32(vsub(a, a)); }
static inline vmask vmask_and(vmask a, vmask b) { return vandq_u32(a, b); }
static inline vmask vmask_or(vmask a, vmask b) { return vorrq_u32(a, b); }
static inline vmask vmask_not(vmask a) { return vmvnq_u32(a); }
static inline int vmask_full(vmask a) { return vminvq_u32(a) == UINT32_MAX; }
static inline vec vselect(vmask mask, vec a, vec b) { return vbslq_f32(mask, a, b); }
static inline vec vkeep(vmask mask, vec a) { return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), mask)); }
static inline vec vdrop(vmask mask, vec a) { return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), mask)); }
static inline vec vmin(vec a, vec b) { return vminnmq_f32(a, b); }
static inline vec vmax(vec a, vec b) { return vmaxnmq_f32(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const int32x4_t columns = vmulq_n_s32(vcvtq_s32_f32(column), (int32_t)by_column);
    vst1q_s32(to, vmlaq_n_s32(columns, vcvtq_s32_f32(row), (int32_t)by_row));
}

static inline void vclear_index(point_index *to, vmask known) {
    vst1q_s32(to, vornq_s32(vld1q_s32(to), vreinterpretq_s32_u32(known))); /* all bits set is −1 */
}

/* ---- 16-bit storage ---------------------------------------------------------------------------------------------- */

typedef uint16x4_t vec16;

static inline vec16 vload16(const uint16_t *from) { return vld1_u16(from); }
static inline void vstore16(uint16_t *to, vec16 a) { vst1_u16(to, a); }

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

static inline vec vfrom_float16(vec16 a) { return vcvt_f32_f16(vreinterpret_f16_u16(a)); }
static inline vec16 vto_float16(vec a) { return vreinterpret_u16_f16(vcvt_f16_f32(a)); }
static inline vec vfrom_bfloat16(vec16 a) { return vreinterpretq_f32_u32(vshll_n_u16(a, 16)); }

/* As in vector_avx2.h. */
static inline vec16 vto_bfloat16(vec a) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a), top = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(top, vdupq_n_u32(1));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16);
    return vmovn_u32(vbslq_u32(vceqq_f32(a, a), rounded, vorrq_u32(top, vdupq_n_u32(0x40))));
}

#endif
