/* The vector operations that the kernels are written in, in plain C with vectors of one lane. They are documented here;
 * the other vector_*.h implement the same ones with the instructions of one set.
 *
 * A `quad` holds four numbers of one point, one for each corner of its cell. */
#ifndef DCNV4I_CPU_VECTOR_SCALAR_H
#define DCNV4I_CPU_VECTOR_SCALAR_H

#define INSTRUCTION_SET portable
#include "real.h"

#include <stdint.h>

enum {
    LANES = 1,       /* reals in a vector */
    BLOCK = 16,      /* vectors of channels that are processed together, in registers */
    HALF_BLOCK = 4   /* the same for the channels that whole blocks leave over */
};

typedef real vec;
typedef int64_t point_index; /* where a point's cell is in an image, see image_frame; −1 for none */
typedef const real *quad;

static inline vec vload(const real *from) { return *from; }
static inline void vstore(real *to, vec a) { *to = a; }
static inline vec vset(real a) { return a; }
static inline vec vadd(vec a, vec b) { return a + b; }
static inline vec vsub(vec a, vec b) { return a - b; }
static inline vec vmul(vec a, vec b) { return a * b; }
static inline vec vfloor(vec a) { return real_floor(a); }
static inline vec vfma(vec a, vec b, vec c) { return real_fma(a, b, c); }

/* Where HAS_VPOW2 is defined, vpow2(a) is 2^a, for whole numbers from −126 to 127. */

/* The first count < LANES lanes: a load makes the others 0 and does not read them, a store does not write them. */
static inline vec vload_part(const real *from, int count) { return count ? *from : 0; }
static inline void vstore_part(real *to, vec a, int count) { if (count) *to = a; }

/* LANES numbers of 16 bits; vfrom_float16, vto_float16, vfrom_bfloat16 and vto_bfloat16 convert them. */
typedef uint16_t vec16;
static inline vec16 vload16(const uint16_t *from) { return *from; }
static inline void vstore16(uint16_t *to, vec16 a) { *to = a; }
static inline vec16 vload16_part(const uint16_t *from, int count) { return count ? *from : 0; }
static inline void vstore16_part(uint16_t *to, vec16 a, int count) { if (count) *to = a; }

/* LANES consecutive pairs (even, odd). */
static inline void vload_pairs(const real *from, vec *even, vec *odd) { *even = from[0], *odd = from[1]; }
static inline void vstore_pairs(real *to, vec even, vec odd) { to[0] = even, to[1] = odd; }

/* LANES consecutive quads: a has the first number of each, d the last. */
static inline void vstore_quads(real *to, vec a, vec b, vec c, vec d) { to[0] = a, to[1] = b, to[2] = c, to[3] = d; }
static inline void vload_quads(const real *from, vec *a, vec *b, vec *c, vec *d) {
    *a = from[0], *b = from[1], *c = from[2], *d = from[3];
}

/* A mask of lanes. Comparisons with a NaN are false. */
typedef int vmask;
static inline vmask vless(vec a, vec b) { return a < b; }
static inline vmask vequal(vec a, vec b) { return a == b; }
static inline vmask vfinite(vec a) { return a - a == 0; }
static inline vmask vmask_and(vmask a, vmask b) { return a & b; }
static inline vmask vmask_or(vmask a, vmask b) { return a | b; }
static inline vmask vmask_not(vmask a) { return !a; }
static inline int vmask_full(vmask a) { return a; }

/* Where the mask is set, and where it is not: a and b; a and 0; 0 and a. */
static inline vec vselect(vmask mask, vec a, vec b) { return mask ? a : b; }
static inline vec vkeep(vmask mask, vec a) { return mask ? a : 0; }
static inline vec vdrop(vmask mask, vec a) { return mask ? 0 : a; }

/* These return b where a is NaN; b must not be NaN. */
static inline vec vmin(vec a, vec b) { return a < b ? a : b; }
static inline vec vmax(vec a, vec b) { return a > b ? a : b; }

/* Stores column·by_column + row·by_row, all whole numbers; makes it −1 where the mask is not set. */
static inline void vstore_index(point_index *to, vec column, vec row, int64_t by_column, int64_t by_row) {
    *to = (int64_t)column * by_column + (int64_t)row * by_row;
}
static inline void vclear_index(point_index *to, vmask known) { *to = known ? *to : -1; }

/* Loads a quad; broadcasts one of its numbers to every lane. */
static inline quad quad_load(const real *from) { return from; }
static ALWAYS_INLINE vec quad_lane(quad q, const int i) { return q[i]; }

/* Sums over the lanes of four vectors, perhaps not yet added up completely. */
typedef struct dots {
    real sum[4];
} dots;
static inline dots dots_of(vec a, vec b, vec c, vec d) { return (dots){{a, b, c, d}}; }

/* Stores such sums as a quad, or adds them to the quad that is there. */
static inline void store_dots(real *to, dots a, int accumulate) {
    for (int i = 0; i < 4; ++i)
        to[i] = accumulate ? to[i] + a.sum[i] : a.sum[i];
}

/* The same for this many, to quads one behind the other: that may take less. */
enum { DOTS_TOGETHER = 1 };

static inline void store_dots_together(real *to, const dots *one, int accumulate) { store_dots(to, *one, accumulate); }

#endif
