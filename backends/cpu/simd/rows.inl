/* The conversions of rows.h for the instruction set whose vector_*.h is included before. */
#include "../rows.h"

#include <stdbool.h>

#include "elements.inl"

/* One side of a conversion. The side in storage is prefetched. */
typedef struct row_side {
    char *elements;
    int64_t stride; /* bytes */
    element_type type;
    bool in_storage;
} row_side;

/* A stride may be as large as memory where there is but one row, so its bytes are computed unsigned, which wraps. */
static ALWAYS_INLINE row_side row_side_of(void *elements, int64_t stride, const element_type type,
                                          const bool in_storage) {
    return (row_side){elements, (int64_t)((uint64_t)stride * (uint64_t)element_size(type)), type, in_storage};
}

static ALWAYS_INLINE void prefetch_row(const row_side *side) {
    if (side->in_storage)
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

static ALWAYS_INLINE void read_rows(const element_type type, const void *from, int64_t from_stride, void *to,
                                    int64_t to_stride, int64_t rows, int64_t count) {
    copy_rows(row_side_of((void *)from, from_stride, type, true), row_side_of(to, to_stride, REALS, false), rows,
              count);
}

static ALWAYS_INLINE void write_rows(const element_type type, const void *from, int64_t from_stride, void *to,
                                     int64_t to_stride, int64_t rows, int64_t count) {
    copy_rows(row_side_of((void *)from, from_stride, REALS, false), row_side_of(to, to_stride, type, true), rows,
              count);
}

/* Defines a dcnv4i_copy_rows that reads or writes elements of one type. */
#define COPY_ROWS(function, direction, type)                                                                     \
    static void NAME(function)(const void *from, int64_t from_stride, void *to, int64_t to_stride, int64_t rows, \
                               int64_t count) {                                                                  \
        direction(type, from, from_stride, to, to_stride, rows, count);                                          \
    }
COPY_ROWS(read_reals, read_rows, REALS)
COPY_ROWS(write_reals, write_rows, REALS)
#ifndef REAL_IS_DOUBLE
COPY_ROWS(read_float16, read_rows, FLOAT16S)
COPY_ROWS(read_bfloat16, read_rows, BFLOAT16S)
COPY_ROWS(write_float16, write_rows, FLOAT16S)
COPY_ROWS(write_bfloat16, write_rows, BFLOAT16S)
#endif
#undef COPY_ROWS

extern const dcnv4i_rows NAME(dcnv4i_rows);
#ifdef REAL_IS_DOUBLE
const dcnv4i_rows NAME(dcnv4i_rows) = {
    .read = {[DCNV4_FLOAT64] = NAME(read_reals)},
    .write = {[DCNV4_FLOAT64] = NAME(write_reals)},
};
#else
const dcnv4i_rows NAME(dcnv4i_rows) = {
    .read = {[DCNV4_FLOAT32] = NAME(read_reals),
             [DCNV4_FLOAT16] = NAME(read_float16),
             [DCNV4_BFLOAT16] = NAME(read_bfloat16)},
    .write = {[DCNV4_FLOAT32] = NAME(write_reals),
              [DCNV4_FLOAT16] = NAME(write_float16),
              [DCNV4_BFLOAT16] = NAME(write_bfloat16)},
};
#endif
