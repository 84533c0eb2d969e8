/* Conversions between storage (any dtype) and reals, what kernels compute in: float, or double for float64. */
#ifndef DCNV4I_CPU_ROWS_H
#define DCNV4I_CPU_ROWS_H

#include <dcnv4/dcnv4.h>

#include <stdint.h>

/* Copies rows of count elements each from storage to reals, or the other way. A stride is the distance from one row
 * to the next in elements of its own side. */
typedef void dcnv4i_copy_rows(const void *from, int64_t from_stride, void *to, int64_t to_stride, int64_t rows,
                              int64_t count);

/* The conversions of one instruction set, by the dtype of storage; NULL for dtypes whose real is another. Those that end
 * with _near do not prefetch storage: the caller has done so. */
typedef struct dcnv4i_rows {
    dcnv4i_copy_rows *read[DCNV4_FLOAT64 + 1], *write[DCNV4_FLOAT64 + 1];
    dcnv4i_copy_rows *read_near[DCNV4_FLOAT64 + 1], *write_near[DCNV4_FLOAT64 + 1];
} dcnv4i_rows;

/* How many rows ahead a conversion prefetches storage. Kernels convert about so many rows at a time, so that this is
 * what their next call converts. */
enum { DCNV4I_ROWS_AHEAD = 32 };

#endif
