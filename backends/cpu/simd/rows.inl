/* Rows of numbers from storage to reals and back, for a vector_*.h that has words for LANES of them. A row that ends within a
 * vector ends with one that overlaps the vector before; a shorter one is a part of a vector. The usual short rows (a group's
 * 16 or 32 channels, the pairs and weights of nine points) have loops without loops in them. `stored` is the side that is in
 * storage, from or to: the memory of what comes a box later is asked for. */
#define ROWS(name, from_type, to_type, load, convert, store, stored)                                                \
    static ALWAYS_INLINE void name##_of(const from_type *from, int64_t from_stride, to_type *to, int64_t to_stride, \
                                        int64_t rows, const int64_t count) {                                        \
        for (int64_t row = 0; row < rows; ++row, from += from_stride, to += to_stride) {                            \
            PREFETCH(stored, DCNV4I_BOX_PIXELS, stored##_stride);                                                   \
            int64_t i = 0;                                                                                          \
            UNROLL(4)                                                                                               \
            for (; i + LANES <= count; i += LANES)                                                                  \
                store(to + i, convert(load(from + i)));                                                             \
            if (i < count && count >= LANES)                                                                        \
                store(to + count - LANES, convert(load(from + count - LANES)));                                     \
            else if (i < count)                                                                                     \
                store##_part(to, convert(load##_part(from, (int)count)), (int)count);                               \
        }                                                                                                           \
    }                                                                                                               \
    static void name(const void *from, int64_t from_stride, void *to, int64_t to_stride, int64_t rows,              \
                     int64_t count) {                                                                               \
        if (from_stride == count && to_stride == count) { /* one long row */                                        \
            name##_of(from, 0, to, 0, 1, rows * count);                                                             \
            return;                                                                                                 \
        }                                                                                                           \
        switch (LANES > 1 ? count : 0) {                                                                            \
        case 9: name##_of(from, from_stride, to, to_stride, rows, 9); break;                                        \
        case 16: name##_of(from, from_stride, to, to_stride, rows, 16); break;                                      \
        case 18: name##_of(from, from_stride, to, to_stride, rows, 18); break;                                      \
        case 32: name##_of(from, from_stride, to, to_stride, rows, 32); break;                                      \
        default: name##_of(from, from_stride, to, to_stride, rows, count);                                          \
        }                                                                                                           \
    }

#define AS_IS(a) (a)
ROWS(read_reals, real, real, vload, AS_IS, vstore, from)
ROWS(write_reals, real, real, vload, AS_IS, vstore, to)
#undef AS_IS

#ifdef REAL_IS_DOUBLE
static void fill_rows(dcnv4i_kernels *kernels) {
    kernels->read[DCNV4_FLOAT64] = read_reals, kernels->write[DCNV4_FLOAT64] = write_reals;
}
#else
ROWS(read_float16, uint16_t, float, vload16, vfrom_float16, vstore, from)
ROWS(read_bfloat16, uint16_t, float, vload16, vfrom_bfloat16, vstore, from)
ROWS(write_float16, float, uint16_t, vload, vto_float16, vstore16, to)
ROWS(write_bfloat16, float, uint16_t, vload, vto_bfloat16, vstore16, to)

static void fill_rows(dcnv4i_kernels *kernels) {
    kernels->read[DCNV4_FLOAT32] = read_reals, kernels->write[DCNV4_FLOAT32] = write_reals;
    kernels->read[DCNV4_FLOAT16] = read_float16, kernels->write[DCNV4_FLOAT16] = write_float16;
    kernels->read[DCNV4_BFLOAT16] = read_bfloat16, kernels->write[DCNV4_BFLOAT16] = write_bfloat16;
}
#endif
