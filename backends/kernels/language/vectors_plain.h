/* Vectors for languages that have none: arrays of DCN_VECTOR floats with unrolled loops. The dialect above converts
 * single elements: dcn_decode and dcn_encode, between float32 and the element as it is stored. */

typedef struct dcn_vector {
    float part[DCN_VECTOR];
} dcn_vector;

#define DCN_EACH(i) \
    DCN_UNROLL      \
    for (int i = 0; i < DCN_VECTOR; ++i)

DCN_INLINE dcn_vector dcn_zero(void) {
    dcn_vector zero;
    DCN_EACH(i) zero.part[i] = 0.0f;
    return zero;
}

DCN_INLINE dcn_vector dcn_scale(float factor, dcn_vector a) {
    DCN_EACH(i) a.part[i] *= factor;
    return a;
}

/* factor·a + b. */
DCN_INLINE dcn_vector dcn_fma(float factor, dcn_vector a, dcn_vector b) {
#if DCN_PAIRS && DCN_ALIGNED && DCN_VECTOR % 2 == 0 /* elements loaded one by one are not in pairs of registers */
    DCN_UNROLL
    for (int i = 0; i < DCN_VECTOR; i += 2)
        dcn_fma_two(b.part + i, factor, a.part + i);
#else
    DCN_EACH(i) b.part[i] += factor * a.part[i];
#endif
    return b;
}

/* The same vector, hidden from a compiler that would otherwise pack its sums in pairs, which is slower. */
DCN_INLINE dcn_vector dcn_unpaired(dcn_vector a) {
#ifdef DCN_UNPAIRED
    DCN_EACH(i) DCN_UNPAIRED(a.part[i]);
#endif
    return a;
}

/* Partial sums of a dot product, to be added up at the end. */
typedef dcn_vector dcn_partials;

DCN_INLINE dcn_partials dcn_add_products(dcn_vector a, dcn_vector b, dcn_partials sum) {
    DCN_EACH(i) sum.part[i] += a.part[i] * b.part[i];
    return sum;
}

DCN_INLINE dcn_partials dcn_no_products(void) {
    return dcn_zero();
}

/* sum + Σ a·b. */
DCN_INLINE float dcn_dot(dcn_vector a, dcn_vector b, float sum) {
    DCN_EACH(i) sum += a.part[i] * b.part[i];
    return sum;
}

/* 0 for a finite number, NaN for every other: of several a sum tells whether all are finite. */
#define DCN_ZERO_OR_NAN(number) (0.0f * (number))

/* Whether no component is infinite or NaN. */
DCN_INLINE int dcn_finite(dcn_vector a) {
    float nothing = 0.0f;
    DCN_EACH(i) nothing += DCN_ZERO_OR_NAN(a.part[i]);
    return nothing == 0.0f;
}

/* sum[i] = the sum of the components of a[i], i = 0 … 3. */
DCN_INLINE void dcn_sum4(const dcn_partials *a, float *sum) {
    DCN_UNROLL
    for (int v = 0; v < 4; ++v) {
        sum[v] = a[v].part[0];
        DCN_UNROLL
        for (int i = 1; i < DCN_VECTOR; ++i)
            sum[v] += a[v].part[i];
    }
}

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

/* How wide a vector is accessed: at once, up to 16 bytes, if the caller's buffers are aligned; else element by
 * element. */
#if DCN_ALIGNED
#define DCN_ACCESS_BYTES(type) (DCN_VECTOR * sizeof(type) < 16 ? DCN_VECTOR * sizeof(type) : 16)
#else
#define DCN_ACCESS_BYTES(type) sizeof(type)
#endif

typedef struct DCN_ALIGN(DCN_ACCESS_BYTES(dcn_element)) dcn_elements {
    dcn_element part[DCN_VECTOR];
} dcn_elements;

#define DCN_HAS_WORDS (DCN_DTYPE != DCN_FLOAT32 && DCN_DTYPE != DCN_FLOAT16 && DCN_ALIGNED && DCN_VECTOR % 2 == 0)
#if DCN_HAS_WORDS
/* Two bfloat16 in a word: a shift makes a float32 of the lower one, a mask of the upper one. From separate 16-bit
 * elements compilers would shift the upper one down and up again. */
typedef struct DCN_ALIGN(DCN_ACCESS_BYTES(dcn_element)) dcn_words {
    unsigned part[DCN_VECTOR / 2];
} dcn_words;
#endif

typedef struct DCN_ALIGN(DCN_ACCESS_BYTES(float)) dcn_sums {
    float part[DCN_VECTOR];
} dcn_sums;

DCN_INLINE float dcn_read(const dcn_element *tensor, dcn_index at) {
    return dcn_decode(tensor[at]);
}

DCN_INLINE void dcn_write(dcn_element *tensor, dcn_index at, float number) {
    tensor[at] = dcn_encode(number);
}

DCN_INLINE dcn_vector dcn_load(const dcn_element *tensor, dcn_index at) {
    dcn_vector a;
#if DCN_HAS_WORDS
    const dcn_words words = *(const dcn_words *)(tensor + at);
    DCN_EACH(i) a.part[i] = DCN_FLOAT_OF(i % 2 ? words.part[i / 2] & 0xffff0000u : words.part[i / 2] << 16);
#else
    const dcn_elements items = *(const dcn_elements *)(tensor + at);
    DCN_EACH(i) a.part[i] = dcn_decode(items.part[i]);
#endif
    return a;
}

/* Operands of a dot product: elements as they are stored if the device multiplies these, else float32. */
#if DCN_MULTIPLIES_ELEMENTS
typedef dcn_elements dcn_factors;

DCN_INLINE dcn_factors dcn_load_factors(const dcn_element *tensor, dcn_index at) {
    return *(const dcn_elements *)(tensor + at);
}

DCN_INLINE float dcn_dot_factors(dcn_factors a, dcn_factors b, float sum) {
    DCN_EACH(i) sum = dcn_fma_elements(a.part[i], b.part[i], sum);
    return sum;
}
#else
typedef dcn_vector dcn_factors;
#define dcn_load_factors dcn_load
#define dcn_dot_factors dcn_dot
#endif

DCN_INLINE void dcn_store(dcn_element *tensor, dcn_index at, dcn_vector a) {
    dcn_elements items;
    DCN_EACH(i) items.part[i] = dcn_encode(a.part[i]);
    *(dcn_elements *)(tensor + at) = items;
}

DCN_INLINE dcn_vector dcn_load_sum(const float *sums, dcn_index at) {
    const dcn_sums found = *(const dcn_sums *)(sums + at);
    dcn_vector a;
    DCN_EACH(i) a.part[i] = found.part[i];
    return a;
}

DCN_INLINE void dcn_store_sum(float *sums, dcn_index at, dcn_vector a) {
    dcn_sums stored;
    DCN_EACH(i) stored.part[i] = a.part[i];
    *(dcn_sums *)(sums + at) = stored;
}

DCN_INLINE void dcn_atomic_add(float *sums, dcn_index at, dcn_vector a) {
#if DCN_ATOMIC_QUADS && DCN_ALIGNED && DCN_VECTOR % 4 == 0
    DCN_UNROLL
    for (int i = 0; i < DCN_VECTOR; i += 4)
        dcn_atomic_add_four(sums + at + i, a.part + i);
#else
    DCN_EACH(i) dcn_atomic_add_one(sums + at + i, a.part[i]);
#endif
}
