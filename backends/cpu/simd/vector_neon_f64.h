/* The vector operations of vector_scalar.h for AArch64's NEON: two doubles. */
#ifndef DCNV4I_CPU_VECTOR_NEON_F64_H
#define DCNV4I_CPU_VECTOR_NEON_F64_H

#define INSTRUCTION_SET neon
#include "real.h"

#include <arm_neon.h>
#include <stdint.h>

enum { LANES = 2, BLOCK = 8, HALF_BLOCK = 2 };

typedef float64x2_t vec;
typedef int64_t point_index;
typedef const double *quad;

static inline vec vload(const double *from) { return vld1q_f64(from); }
static inline void vstore(double *to, vec a) { vst1q_f64(to, a); }
static inline vec vset(double a) { return vdupq_n_f64(a); }
static inline vec vadd(vec a, vec b) { return vaddq_f64(a, b); }
static inline vec vsub(vec a, vec b) { return vsubq_f64(a, b); }
static inline vec vmul(vec a, vec b) { return vmulq_f64(a, b); }
static inline vec vfma(vec a, vec b, vec c) { return vfmaq_f64(c, a, b); }
static inline vec vfloor(vec a) { return vrndmq_f64(a); }

static inline vec vload_part(const double *from, int count) {
    return vsetq_lane_f64(count > 0 ? *from : 0, vdupq_n_f64(0), 0);
}
static inline void vstore_part(double *to, vec a, int count) {
    if (count > 0)
        *to = vgetq_lane_f64(a, 0);
}

static inline void vload_pairs(const double *from, vec *even, vec *odd) {
    const float64x2x2_t pairs = vld2q_f64(from);
    *even = pairs.val[0], *odd = pairs.val[1];
}

/* As in vector_neon.h, the variables are for clang's macros. */
static inline void vstore_pairs(double *to, vec even, vec odd) {
    const float64x2x2_t pairs = {{even, odd}};
    vst2q_f64(to, pairs);
}

static inline void vstore_quads(double *to, vec a, vec b, vec c, vec d) {
    const float64x2x4_t quads = {{a, b, c, d}};
    vst4q_f64(to, quads);
}

static inline void vload_quads(const double *from, vec *a, vec *b, vec *c, vec *d) {
    const float64x2x4_t quads = vld4q_f64(from);
    *a = quads.val[0], *b = quads.val[1], *c = quads.val[2], *d = quads.val[3];
}

static inline quad quad_load(const double *from) { return from; }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) { return vld1q_dup_f64(q + i); }

typedef struct dots {
    vec ab, cd;
} dots;
enum { DOTS_TOGETHER = 1 };
static inline dots dots_of(vec a, vec b, vec c, vec d) { return (dots){vpaddq_f64(a, b), vpaddq_f64(c, d)}; }
static inline void store_dots(double *to, dots a, int accumulate) {
    vstore(to, accumulate ? vadd(a.ab, vload(to)) : a.ab);
    vstore(to + 2, accumulate ? vadd(a.cd, vload(to + 2)) : a.cd);
}

static inline void store_dots_together(double *to, const dots *one, int accumulate) { store_dots(to, *one, accumulate); }

typedef uint64x2_t vmask;
static inline vmask vless(vec a, vec b) { return vcltq_f64(a, b); }
static inline vmask vequal(vec a, vec b) { return vceqq_f64(a, b); }
static inline vmask vfinite(vec a) { return vceqzq_f64(vsub(a, a)); }
static inline vmask vmask_and(vmask a, vmask b) { return vandq_u64(a, b); }
static inline vmask vmask_or(vmask a, vmask b) { return vorrq_u64(a, b); }
static inline vmask vmask_not(vmask a) { return veorq_u64(a, vdupq_n_u64(UINT64_MAX)); }
static inline int vmask_full(vmask a) { return (vgetq_lane_u64(a, 0) & vgetq_lane_u64(a, 1)) == UINT64_MAX; }
static inline vec vselect(vmask mask, vec a, vec b) { return vbslq_f64(mask, a, b); }
static inline vec vkeep(vmask mask, vec a) { return vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(a), mask)); }
static inline vec vdrop(vmask mask, vec a) { return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(a), mask)); }
static inline vec vmin(vec a, vec b) { return vminnmq_f64(a, b); }
static inline vec vmax(vec a, vec b) { return vmaxnmq_f64(a, b); }

static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    const int64x2_t columns = vcvtq_s64_f64(column), rows = vcvtq_s64_f64(row);
    to[0] = vgetq_lane_s64(columns, 0) * by_column + vgetq_lane_s64(rows, 0) * by_row;
    to[1] = vgetq_lane_s64(columns, 1) * by_column + vgetq_lane_s64(rows, 1) * by_row;
}

static inline void vclear_index(point_index *to, vmask known) {
    vst1q_s64(to, vornq_s64(vld1q_s64(to), vreinterpretq_s64_u64(known))); /* all bits set is −1 */
}

#endif
