/* Rows of 16-bit numbers to and from float, for a vector_*.h that has words for LANES of them. A row that ends within a
 * vector ends with one that overlaps the vector before; a shorter one is done in plain C. */
#include "../../core/element.h"

#define CONVERT(name, from_type, to_type, vector, plain)                                                 \
    static void name(const void *from_, int64_t from_stride, void *to_, int64_t to_stride, int64_t rows, \
                     int64_t count) {                                                                    \
        const from_type *from = from_;                                                                   \
        to_type *to = to_;                                                                               \
        for (int64_t row = 0; row < rows; ++row, from += from_stride, to += to_stride) {                 \
            int64_t i = 0;                                                                               \
            for (; i + LANES <= count; i += LANES)                                                       \
                vector(to + i, from + i);                                                                \
            if (i < count && count >= LANES)                                                             \
                vector(to + count - LANES, from + count - LANES);                                        \
            else                                                                                         \
                for (; i < count; ++i)                                                                   \
                    to[i] = plain(from[i]);                                                              \
        }                                                                                                \
    }
#define READ_FLOAT16(to, from) vstore(to, vload_float16(from))
#define READ_BFLOAT16(to, from) vstore(to, vload_bfloat16(from))
#define WRITE_FLOAT16(to, from) vstore_float16(to, vload(from))
#define WRITE_BFLOAT16(to, from) vstore_bfloat16(to, vload(from))
#define PLAIN_READ_FLOAT16(a) (float)dcnv4i_decode16(a, 5, 10)
#define PLAIN_READ_BFLOAT16(a) (float)dcnv4i_decode16(a, 8, 7)
#define PLAIN_WRITE_FLOAT16(a) dcnv4i_encode16(a, 5, 10)
#define PLAIN_WRITE_BFLOAT16(a) dcnv4i_encode16(a, 8, 7)
CONVERT(read_float16, uint16_t, float, READ_FLOAT16, PLAIN_READ_FLOAT16)
CONVERT(read_bfloat16, uint16_t, float, READ_BFLOAT16, PLAIN_READ_BFLOAT16)
CONVERT(write_float16, float, uint16_t, WRITE_FLOAT16, PLAIN_WRITE_FLOAT16)
CONVERT(write_bfloat16, float, uint16_t, WRITE_BFLOAT16, PLAIN_WRITE_BFLOAT16)

static void fill_conversions(dcnv4i_kernels *kernels) {
    kernels->read_float16 = read_float16;
    kernels->read_bfloat16 = read_bfloat16;
    kernels->write_float16 = write_float16;
    kernels->write_bfloat16 = write_bfloat16;
}
