/* The conversions of rows.h for the instruction set whose vector_*.h is included before. */
#include "../rows.h"

#include <stdbool.h>

#include "elements.inl"

/* One side of a conversion. */
typedef struct row_side {
    char *elements;
    int64_t stride; /* bytes */
    element_type type;
    bool is_prefetched;
} row_side;

/* A stride may be as large as memory where there is but one row, so its bytes are computed unsigned, which wraps. */
static ALWAYS_INLINE row_side row_side_of(void *elements, int64_t stride, const element_type type,
                                          const bool is_prefetched) {
    return (row_side){elements, (int64_t)((uint64_t)stride * (uint64_t)element_size(type)), type, is_prefetched};
}

static ALWAYS_INLINE void prefetch_row(const row_side *side) {
    if (side->is_prefetched)
        PREFETCH(side->elements, DCNV4I_ROWS_AHEAD, side->stride);
}

/* Copies rows of count elements. The end of a row that is no whole vector is copied by a vector that overlaps the
 * one before. */
static ALWAYS_INLINE void copy_rows_of(row_side from, row_side to, int64_t rows, const int64_t count) {
    for (int64_t row = 0; row < rows; ++row, from.elements += from.stride, to.elements += to.stride) {
        prefetch_row(&from);
        prefetch_row(&to);
        int64_t i = 0;
        UNROLL(4)
        for (; i + LANES <= count; i += LANES)
            store_elements(to.elements, i, load_elements(from.elements, i, from.type), to.type);
        if (i < count && count >= LANES)
            store_elements(to.elements, count - LANES, load_elements(from.elements, count - LANES, from.type), to.type);
        else if (i < count)
            store_elements_part(to.elements, load_elements_part(from.elements, (int)count, from.type), (int)count,
                                to.type);
    }
}

/* Copies rows with loops that are unrolled for the usual short ones: 16 or 32 channels of a group, offsets and
 * weights of nine points. */
static ALWAYS_INLINE void copy_rows(row_side from, row_side to, int64_t rows, int64_t count) {
    if (from.stride == count * element_size(from.type) &&
        to.stride == count * element_size(to.type)) { /* one long row */
        from.stride = to.stride = 0;
        copy_rows_of(from, to, 1, rows * count);
        return;
    }
    switch (LANES > 1 ? count : 0) {
    case 9: copy_rows_of(from, to, rows, 9); break;
    case 16: copy_rows_of(from, to, rows, 16); break;
    case 18: copy_rows_of(from, to, rows, 18); break;
    case 32: copy_rows_of(from, to, rows, 32); break;
    default: copy_rows_of(from, to, rows, count);
    }
}

static ALWAYS_INLINE void read_rows(const element_type type, const bool prefetches, const void *from,
                                    int64_t from_stride, void *to, int64_t to_stride, int64_t rows, int64_t count) {
    copy_rows(row_side_of((void *)from, from_stride, type, prefetches), row_side_of(to, to_stride, REALS, false), rows,
              count);
}

static ALWAYS_INLINE void write_rows(const element_type type, const bool prefetches, const void *from,
                                     int64_t from_stride, void *to, int64_t to_stride, int64_t rows, int64_t count) {
    copy_rows(row_side_of((void *)from, from_stride, REALS, false), row_side_of(to, to_stride, type, prefetches), rows,
              count);
}

/* Defines two dcnv4i_copy_rows that read or write elements of one type: one prefetches the side in storage, the other,
 * whose name ends with _near, finds it in a cache. */
#define COPY_ROWS_OF(function, direction, type, prefetches)                                                      \
    static void NAME(function)(const void *from, int64_t from_stride, void *to, int64_t to_stride, int64_t rows, \
                               int64_t count) {                                                                  \
        direction(type, prefetches, from, from_stride, to, to_stride, rows, count);                              \
    }
#define COPY_ROWS(function, direction, type)      \
    COPY_ROWS_OF(function, direction, type, true) \
    COPY_ROWS_OF(function##_near, direction, type, false)
COPY_ROWS(read_reals, read_rows, REALS)
COPY_ROWS(write_reals, write_rows, REALS)
#ifndef REAL_IS_DOUBLE
COPY_ROWS(read_float16, read_rows, FLOAT16S)
COPY_ROWS(read_bfloat16, read_rows, BFLOAT16S)
COPY_ROWS(write_float16, write_rows, FLOAT16S)
COPY_ROWS(write_bfloat16, write_rows, BFLOAT16S)
#endif
#undef COPY_ROWS
#undef COPY_ROWS_OF

extern const dcnv4i_rows NAME(dcnv4i_rows);
#ifdef REAL_IS_DOUBLE
const dcnv4i_rows NAME(dcnv4i_rows) = {
    .read = {[DCNV4_FLOAT64] = NAME(read_reals)},
    .write = {[DCNV4_FLOAT64] = NAME(write_reals)},
    .read_near = {[DCNV4_FLOAT64] = NAME(read_reals_near)},
    .write_near = {[DCNV4_FLOAT64] = NAME(write_reals_near)},
};
#else
const dcnv4i_rows NAME(dcnv4i_rows) = {
    .read = {[DCNV4_FLOAT32] = NAME(read_reals),
             [DCNV4_FLOAT16] = NAME(read_float16),
             [DCNV4_BFLOAT16] = NAME(read_bfloat16)},
    .write = {[DCNV4_FLOAT32] = NAME(write_reals),
              [DCNV4_FLOAT16] = NAME(write_float16),
              [DCNV4_BFLOAT16] = NAME(write_bfloat16)},
    .read_near = {[DCNV4_FLOAT32] = NAME(read_reals_near),
                  [DCNV4_FLOAT16] = NAME(read_float16_near),
                  [DCNV4_BFLOAT16] = NAME(read_bfloat16_near)},
    .write_near = {[DCNV4_FLOAT32] = NAME(write_reals_near),
                   [DCNV4_FLOAT16] = NAME(write_float16_near),
                   [DCNV4_BFLOAT16] = NAME(write_bfloat16_near)},
};
#endif
