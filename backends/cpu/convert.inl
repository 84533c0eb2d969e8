/* Rows of 16-bit numbers to and from float, for a vector_*.h that has words for LANES of them. */
#include "../../core/element.h"

static void read_float16(const void *storage, void *real_, int64_t count) {
    const uint16_t *from = storage;
    float *to = real_;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(to + i, vload_float16(from + i));
    for (; i < count; ++i)
        to[i] = (float)dcnv4i_decode16(from[i], 5, 10);
}

static void read_bfloat16(const void *storage, void *real_, int64_t count) {
    const uint16_t *from = storage;
    float *to = real_;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(to + i, vload_bfloat16(from + i));
    for (; i < count; ++i)
        to[i] = (float)dcnv4i_decode16(from[i], 8, 7);
}

static void write_float16(const void *real_, void *storage, int64_t count) {
    const float *from = real_;
    uint16_t *to = storage;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore_float16(to + i, vload(from + i));
    for (; i < count; ++i)
        to[i] = dcnv4i_encode16(from[i], 5, 10);
}

static void write_bfloat16(const void *real_, void *storage, int64_t count) {
    const float *from = real_;
    uint16_t *to = storage;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore_bfloat16(to + i, vload(from + i));
    for (; i < count; ++i)
        to[i] = dcnv4i_encode16(from[i], 8, 7);
}

static void fill_conversions(dcnv4i_kernels *kernels) {
    kernels->read_float16 = read_float16;
    kernels->read_bfloat16 = read_bfloat16;
    kernels->write_float16 = write_float16;
    kernels->write_bfloat16 = write_bfloat16;
}
