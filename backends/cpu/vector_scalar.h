/* The vector vocabulary of the kernels, in plain C: a vector of one lane. What each word means is said here; the other
 * vector_*.h say the same in an instruction set's words.
 *
 * A `quad` holds four numbers that belong to one point, one for each corner of its cell. */
#ifndef DCNV4I_CPU_VECTOR_SCALAR_H
#define DCNV4I_CPU_VECTOR_SCALAR_H

#include "real.h"

#include <stdint.h>

enum {
    LANES = 1,       /* reals in a vector */
    BLOCK = 16,      /* vectors of channels that are worked on at a time */
    HALF_BLOCK = 4   /* … and in what a block leaves over */
};

typedef real vec;
typedef int64_t point_index; /* of a pixel in an image */
typedef const real *quad;

static inline vec vload(const real *from) { return *from; }
static inline void vstore(real *to, vec a) { *to = a; }
static inline vec vset(real a) { return a; }
static inline vec vadd(vec a, vec b) { return a + b; }
static inline vec vsub(vec a, vec b) { return a - b; }
static inline vec vmul(vec a, vec b) { return a * b; }
static inline vec vfloor(vec a) { return real_floor(a); }
static inline vec vfma(vec a, vec b, vec c) { return real_fma(a, b, c); }

/* The first count < LANES lanes; the others are 0 and not read, or not written. */
static inline vec vload_part(const real *from, int count) { return count ? *from : 0; }
static inline void vstore_part(real *to, vec a, int count) { if (count) *to = a; }

/* LANES pairs (even, odd) that lie one after the other. */
static inline void vload_pairs(const real *from, vec *even, vec *odd) { *even = from[0], *odd = from[1]; }
static inline void vstore_pairs(real *to, vec even, vec odd) { to[0] = even, to[1] = odd; }

/* LANES quads that lie one after the other: a has the first number of each, d the last. */
static inline void vstore_quads(real *to, vec a, vec b, vec c, vec d) { to[0] = a, to[1] = b, to[2] = c, to[3] = d; }
static inline void vload_quads(const real *from, vec *a, vec *b, vec *c, vec *d) {
    *a = from[0], *b = from[1], *c = from[2], *d = from[3];
}

/* Which lanes something is so for. */
typedef int vmask;
static inline int vmask_full(vmask a) { return a; }
static inline vmask vfinite(vec a) { return a - a == 0; }

/* One quad, and one of its numbers in every lane. */
static inline quad quad_load(const real *from) { return from; }
static inline vec quad_0(quad q) { return q[0]; }
static inline vec quad_1(quad q) { return q[1]; }
static inline vec quad_2(quad q) { return q[2]; }
static inline vec quad_3(quad q) { return q[3]; }

/* The quad of the sums over the lanes of a, b, c and d; added to the one that is there where `more` says so. */
static inline void quad_store_sums(real *to, vec a, vec b, vec c, vec d, int more) {
    if (more)
        vstore_quads(to, to[0] + a, to[1] + b, to[2] + c, to[3] + d);
    else
        vstore_quads(to, a, b, c, d);
}

/* For points at (x, y), whose floors are (column, row), with weight m: the number (row − first_row)·width + column of the
 * upper left corner where all four corners are among the pixels that `inner` says and m is finite, −1 elsewhere. Nothing
 * that is not known to be in range becomes an integer. */
typedef struct inner_cells {
    real column_end;           /* columns below this have a right neighbour */
    real row_begin, row_end;   /* rows from the first up to this have a lower neighbour */
    int64_t first_row, width;
} inner_cells;

static inline void vstore_index(point_index *to, vec x, vec y, vec column, vec row, vec m, const inner_cells *inner) {
    const int is_inner = x >= 0 && x < inner->column_end && y >= inner->row_begin && y < inner->row_end && vfinite(m);
    *to = is_inner ? ((int64_t)row - inner->first_row) * inner->width + (int64_t)column : -1;
}

/* a where x is > −1 and < width and y > −1 and < height, 0 elsewhere, also for NaNs. */
static inline vec vkeep_counting(vec a, vec x, vec y, real width, real height) {
    return x > -1 && x < width && y > -1 && y < height ? a : 0;
}

#endif
