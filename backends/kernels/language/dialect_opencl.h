/* The vocabulary in OpenCL C 1.2. */

#define DCN_INLINE static inline
/* A function that is compiled once; PoCL compiles a kernel three times, with everything that is inlined. */
#define DCN_NOINLINE static __attribute__((noinline))
#define DCN_GLOBAL __global
#define DCN_LOCAL __local
#define DCN_LOCAL_ARRAY __local
#define DCN_PRIVATE __private
#define DCN_RESTRICT restrict
#define DCN_ALIGN(bytes) __attribute__((aligned(bytes)))
#define DCN_KERNEL(name, work_group) __kernel __attribute__((reqd_work_group_size(work_group, 1, 1))) void name
#define DCN_KERNEL_WITH_REGISTERS(name, work_group, registers) DCN_KERNEL(name, work_group)
#define DCN_BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define DCN_GROUP_ID ((dcn_index)get_group_id(0))
#define DCN_LOCAL_ID ((int)get_local_id(0))
#define DCN_GROUP_ID_RECOMPUTED DCN_GROUP_ID
#define DCN_LOCAL_ID_RECOMPUTED DCN_LOCAL_ID
#define DCN_UNROLL _Pragma("unroll")
#if DCN_RUN > 1
#define DCN_UNROLL_LOADS
#else
#define DCN_UNROLL_LOADS DCN_UNROLL
#endif
#define DCN_UNROLL_BY_2 _Pragma("unroll 2")
#define DCN_UNROLL_BY_4 _Pragma("unroll 4")
#define DCN_UNROLL_NOT _Pragma("unroll 1")
#define DCN_EXP exp
#define DCN_MIN fmin
#define DCN_MAX fmax
#define DCN_ABS fabs
#define DCN_FLOOR floor
#define DCN_SATURATE(number) DCN_MIN(DCN_MAX(number, 0.0f), 1.0f)
#define DCN_MIN_INDEX min
#define DCN_PIN(number) ((void)0)
#define DCN_MULTIPLY_HIGH mul_hi
#define DCN_MAX_INDEX max
#define DCN_INFINITY INFINITY

typedef long dcn_long;
#if DCN_WIDE
#define DCN_FARTHEST 0x1p63f
typedef long dcn_index;
typedef ulong dcn_unsigned;
#define DCN_INDEX_MAX LONG_MAX
#else
#define DCN_FARTHEST 0x1p30f
typedef int dcn_index;
typedef uint dcn_unsigned;
#define DCN_INDEX_MAX INT_MAX
#endif

/* ---- Vectors: DCN_VECTOR is 1, 2, 4, 8 or 16 floats -------------------------------------------------------------- */

#define DCN_PASTE_(a, b) a##b
#define DCN_PASTE(a, b) DCN_PASTE_(a, b)
#if DCN_VECTOR == 1
#define DCN_N(name) name
#define DCN_VLOAD(type, at, tensor) ((tensor)[at])
#define DCN_VSTORE(type, vector, at, tensor) ((tensor)[at] = (vector))
#else
#define DCN_N(name) DCN_PASTE(name, DCN_VECTOR)
#if DCN_ALIGNED
#define DCN_VLOAD(type, at, tensor) (*(const DCN_GLOBAL DCN_N(type) *)((tensor) + (at)))
#define DCN_VSTORE(type, vector, at, tensor) (*(DCN_GLOBAL DCN_N(type) *)((tensor) + (at)) = (vector))
#else
#define DCN_VLOAD(type, at, tensor) DCN_N(vload)(0, (tensor) + (at))
#if DCN_RUN > 1
/* PoCL's vstore writes four floats at a time, whatever the CPU can. */
#define DCN_VSTORE(type, vector, at, tensor) (((DCN_GLOBAL dcn_packed_##type *)((tensor) + (at)))->items = (vector))
typedef struct __attribute__((packed)) {
    DCN_N(float) items;
} dcn_packed_float;
typedef struct __attribute__((packed)) {
    DCN_N(ushort) items;
} dcn_packed_ushort;
#else
#define DCN_VSTORE(type, vector, at, tensor) DCN_N(vstore)(vector, 0, (tensor) + (at))
#endif
#endif
#endif
#if DCN_ALIGNED && DCN_VECTOR > 1
#define DCN_VLOAD_HALF DCN_N(vloada_half)
#define DCN_VSTORE_HALF DCN_PASTE(DCN_N(vstorea_half), _rte)
#else
#define DCN_VLOAD_HALF DCN_N(vload_half)
#define DCN_VSTORE_HALF DCN_PASTE(DCN_N(vstore_half), _rte)
#endif
typedef DCN_N(float) dcn_vector;

DCN_INLINE dcn_vector dcn_zero(void) {
    return (dcn_vector)(0.0f);
}

DCN_INLINE dcn_vector dcn_scale(float factor, dcn_vector a) {
    return factor * a;
}

/* factor·a + b; fused where the device does that as fast. */
DCN_INLINE dcn_vector dcn_fma(float factor, dcn_vector a, dcn_vector b) {
    return factor * a + b;
}

/* 0 in the first `count` components. */
#if DCN_VECTOR > 1
DCN_INLINE dcn_vector dcn_without_firsts(dcn_vector a, int count) {
    const int number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return DCN_N(vload)(0, number) >= count ? a : 0.0f;
}
#endif

#define dcn_unpaired(a) (a) /* see vectors_plain.h */

/* Partial sums of a dot product, to be added up at the end: at most 8 of them. */
#if DCN_VECTOR == 16
typedef float8 dcn_partials;

DCN_INLINE dcn_partials dcn_add_products(dcn_vector a, dcn_vector b, dcn_partials sum) {
    return a.hi * b.hi + (a.lo * b.lo + sum);
}
#else
typedef dcn_vector dcn_partials;

DCN_INLINE dcn_partials dcn_add_products(dcn_vector a, dcn_vector b, dcn_partials sum) {
    return a * b + sum;
}
#endif

DCN_INLINE dcn_partials dcn_no_products(void) {
    return (dcn_partials)(0.0f);
}

/* 0 for a finite number, NaN for every other: of several a sum tells whether all are finite. 0·number is 0 for an infinite one too
 * where rusticl compiles it (Mesa 22.3.6). */
#define DCN_ZERO_OR_NAN(number) ((number) - (number))

DCN_INLINE dcn_partials dcn_add_zero_or_nan(dcn_vector a, dcn_partials sum) {
#if DCN_VECTOR == 16
    return DCN_ZERO_OR_NAN(a.hi) + (DCN_ZERO_OR_NAN(a.lo) + sum);
#else
    return DCN_ZERO_OR_NAN(a) + sum;
#endif
}

/* sum + Σ a·b. */
DCN_INLINE float dcn_dot(dcn_vector a, dcn_vector b, float sum) {
#if DCN_VECTOR == 16
    const float8 c = a.lo * b.lo + a.hi * b.hi;
    return sum + dot(c.lo + c.hi, (float4)(1.0f));
#elif DCN_VECTOR == 8
    return sum + dot(a.lo, b.lo) + dot(a.hi, b.hi);
#else
    return sum + dot(a, b);
#endif
}

/* Whether no component is infinite or NaN. */
DCN_INLINE int dcn_finite(dcn_vector a) {
#if DCN_VECTOR == 1
    return isfinite(a);
#else
    return all(isfinite(a));
#endif
}

/* Whether all components are 0, and none NaN. */
DCN_INLINE int dcn_are_zero8(float8 a) {
    return dot(a.lo * a.lo + a.hi * a.hi, (float4)(1.0f)) == 0.0f;
}

DCN_INLINE int dcn_are_zero(dcn_partials a) {
#if DCN_VECTOR >= 8
    return dcn_are_zero8(a);
#else
    return dot(a, a) == 0.0f;
#endif
}

/* From each half of a and b, the first or last two components of both: interleaved (zip), or as pairs (join). */
DCN_INLINE float8 dcn_zip_firsts(float8 a, float8 b) {
    return (float8)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5);
}

DCN_INLINE float8 dcn_zip_lasts(float8 a, float8 b) {
    return (float8)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7);
}

DCN_INLINE float8 dcn_join_firsts(float8 a, float8 b) {
    return (float8)(a.s0, a.s1, b.s0, b.s1, a.s4, a.s5, b.s4, b.s5);
}

DCN_INLINE float8 dcn_join_lasts(float8 a, float8 b) {
    return (float8)(a.s2, a.s3, b.s2, b.s3, a.s6, a.s7, b.s6, b.s7);
}

/* sum[i] = the sum of the components of a[i], i = 0 … 3. */
DCN_INLINE void dcn_sum4(const DCN_PRIVATE dcn_partials *a, DCN_PRIVATE float *sum) {
#if DCN_VECTOR >= 8
    const float8 p = dcn_zip_firsts(a[0], a[1]) + dcn_zip_lasts(a[0], a[1]);
    const float8 q = dcn_zip_firsts(a[2], a[3]) + dcn_zip_lasts(a[2], a[3]);
    const float8 halves = dcn_join_firsts(p, q) + dcn_join_lasts(p, q);
    vstore4(halves.lo + halves.hi, 0, sum);
#elif DCN_VECTOR == 4
    const float4 p = a[0], q = a[1], r = a[2], s = a[3];
    const float4 pq = (float4)(p.x, q.x, p.y, q.y) + (float4)(p.z, q.z, p.w, q.w);
    const float4 rs = (float4)(r.x, s.x, r.y, s.y) + (float4)(r.z, s.z, r.w, s.w);
    vstore4((float4)(pq.x, pq.y, rs.x, rs.y) + (float4)(pq.z, pq.w, rs.z, rs.w), 0, sum);
#elif DCN_VECTOR == 2
    for (int i = 0; i < 4; ++i)
        sum[i] = a[i].x + a[i].y;
#else
    for (int i = 0; i < 4; ++i)
        sum[i] = a[i];
#endif
}

/* ---- Elements: float32; float16 through the built-ins that need no extension; bfloat16 as bits ------------------- */

#if DCN_DTYPE == DCN_FLOAT32
typedef float dcn_element;
#elif DCN_DTYPE == DCN_FLOAT16
typedef half dcn_element;
#else
typedef ushort dcn_element;

/* The upper half of a float32, rounded to nearest, ties to even; NaN stays NaN. */
DCN_INLINE DCN_N(ushort) dcn_to_bfloat16(dcn_vector a) {
    const DCN_N(uint) bits = DCN_N(as_uint)(a);
    const DCN_N(uint) rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    const DCN_N(uint) quiet = bits | 0x400000u;
#if DCN_VECTOR == 1
    const uint kept = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
#else
    const DCN_N(uint) kept = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
#endif
    return DCN_N(convert_ushort)(kept >> 16);
}

DCN_INLINE ushort dcn_to_bfloat16_one(float a) {
    const uint bits = as_uint(a);
    return (ushort)(((bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
#endif

/* One element. */
DCN_INLINE float dcn_read(const DCN_GLOBAL dcn_element *tensor, dcn_index at) {
#if DCN_DTYPE == DCN_FLOAT32
    return tensor[at];
#elif DCN_DTYPE == DCN_FLOAT16
    return vload_half(0, tensor + at);
#else
    return as_float((uint)tensor[at] << 16);
#endif
}

DCN_INLINE void dcn_write(DCN_GLOBAL dcn_element *tensor, dcn_index at, float number) {
#if DCN_DTYPE == DCN_FLOAT32
    tensor[at] = number;
#elif DCN_DTYPE == DCN_FLOAT16
    vstore_half_rte(number, 0, tensor + at);
#else
    tensor[at] = dcn_to_bfloat16_one(number);
#endif
}

/* The address of an element is given in units: here, bytes; 32 bits unless DCN_WIDE. */
#define DCN_ELEMENT_UNITS (DCN_DTYPE == DCN_FLOAT32 ? 4u : 2u)
#define DCN_AT_UNIT(row, place) ((const DCN_GLOBAL dcn_element *)((const DCN_GLOBAL char *)(row) + (place)))
#define DCN_FOLD_INTO_ROWS(upper, lower, own) ((void)0)

/* DCN_VECTOR elements. */
DCN_INLINE dcn_vector dcn_load(const DCN_GLOBAL dcn_element *tensor, dcn_index at) {
#if DCN_DTYPE == DCN_FLOAT32
    return DCN_VLOAD(float, at, tensor);
#elif DCN_DTYPE == DCN_FLOAT16
    return DCN_VLOAD_HALF(0, tensor + at);
#else
    return DCN_N(as_float)(DCN_N(convert_uint)(DCN_VLOAD(ushort, at, tensor)) << 16);
#endif
}

/* Operands of a dot product. */
typedef dcn_vector dcn_factors;
#define dcn_load_factors dcn_load
#define dcn_dot_factors dcn_dot

DCN_INLINE void dcn_store(DCN_GLOBAL dcn_element *tensor, dcn_index at, dcn_vector a) {
#if DCN_DTYPE == DCN_FLOAT32
    DCN_VSTORE(float, a, at, tensor);
#elif DCN_DTYPE == DCN_FLOAT16
    DCN_VSTORE_HALF(a, 0, tensor + at);
#else
    DCN_VSTORE(ushort, dcn_to_bfloat16(a), at, tensor);
#endif
}

/* The same for float32 sums. */
DCN_INLINE dcn_vector dcn_load_sum(const DCN_GLOBAL float *sums, dcn_index at) {
    return DCN_VLOAD(float, at, sums);
}

DCN_INLINE void dcn_store_sum(DCN_GLOBAL float *sums, dcn_index at, dcn_vector a) {
    DCN_VSTORE(float, a, at, sums);
}

/* Increments a counter atomically. Returns its old value. */
DCN_INLINE int dcn_increment(DCN_LOCAL int *counter) {
    return atomic_inc(counter);
}

/* ---- Atomic additions: the best that the device has -------------------------------------------------------------- */

#if DCN_ATOMICS == DCN_ATOMICS_EXTENSION
#pragma OPENCL EXTENSION cl_ext_float_atomics : enable
DCN_INLINE void dcn_atomic_add_one(DCN_GLOBAL float *target, float number) {
    atomic_fetch_add_explicit((volatile DCN_GLOBAL atomic_float *)target, number, memory_order_relaxed,
                              memory_scope_device);
}
#elif DCN_ATOMICS == DCN_ATOMICS_PTX
DCN_INLINE void dcn_atomic_add_one(DCN_GLOBAL float *target, float number) {
    __asm__ volatile("red.global.add.f32 [%0], %1;" ::"l"(target), "f"(number) : "memory");
}
#else
DCN_INLINE void dcn_atomic_add_one(DCN_GLOBAL float *target, float number) {
    volatile DCN_GLOBAL uint *const bits = (volatile DCN_GLOBAL uint *)target;
    uint seen = 0, before; /* a guess; a plain read would be a data race */
    do {
        before = seen;
        seen = atomic_cmpxchg(bits, before, as_uint(as_float(before) + number));
    } while (seen != before);
}
#endif

DCN_INLINE void dcn_atomic_add(DCN_GLOBAL float *sums, dcn_index at, dcn_vector a) {
#if DCN_VECTOR == 1
    dcn_atomic_add_one(sums + at, a);
#else
    float part[DCN_VECTOR];
    DCN_N(vstore)(a, 0, part);
    DCN_UNROLL
    for (int i = 0; i < DCN_VECTOR; ++i)
        dcn_atomic_add_one(sums + at + i, part[i]);
#endif
}
