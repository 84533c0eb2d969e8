/* Loads and stores of elements as they are stored, for the instruction set whose vector_*.h is included before. */
#ifndef DCNV4I_CPU_ELEMENTS_INL
#define DCNV4I_CPU_ELEMENTS_INL

/* The types of stored elements. */
typedef enum element_type { REALS, FLOAT16S, BFLOAT16S } element_type;

static ALWAYS_INLINE int64_t element_size(element_type type) {
    return type == REALS ? sizeof(real) : sizeof(uint16_t);
}

#ifdef REAL_IS_DOUBLE
static ALWAYS_INLINE vec load_elements(const void *from, int64_t i, const element_type type) {
    (void)type;
    return vload((const real *)from + i);
}

static ALWAYS_INLINE vec load_elements_part(const void *from, int count, const element_type type) {
    (void)type;
    return vload_part(from, count);
}

static ALWAYS_INLINE void store_elements(void *to, int64_t i, vec a, const element_type type) {
    (void)type;
    vstore((real *)to + i, a);
}

static ALWAYS_INLINE void store_elements_part(void *to, vec a, int count, const element_type type) {
    (void)type;
    vstore_part(to, a, count);
}
#else
static ALWAYS_INLINE vec from_16_bits(vec16 a, const element_type type) {
    return type == FLOAT16S ? vfrom_float16(a) : vfrom_bfloat16(a);
}

static ALWAYS_INLINE vec16 to_16_bits(vec a, const element_type type) {
    return type == FLOAT16S ? vto_float16(a) : vto_bfloat16(a);
}

/* LANES elements from number i on, and the first count < LANES. */
static ALWAYS_INLINE vec load_elements(const void *from, int64_t i, const element_type type) {
    return type == REALS ? vload((const real *)from + i) : from_16_bits(vload16((const uint16_t *)from + i), type);
}

static ALWAYS_INLINE vec load_elements_part(const void *from, int count, const element_type type) {
    return type == REALS ? vload_part(from, count) : from_16_bits(vload16_part(from, count), type);
}

static ALWAYS_INLINE void store_elements(void *to, int64_t i, vec a, const element_type type) {
    if (type == REALS)
        vstore((real *)to + i, a);
    else
        vstore16((uint16_t *)to + i, to_16_bits(a, type));
}

static ALWAYS_INLINE void store_elements_part(void *to, vec a, int count, const element_type type) {
    if (type == REALS)
        vstore_part(to, a, count);
    else
        vstore16_part(to, to_16_bits(a, type), count);
}
#endif

#endif
