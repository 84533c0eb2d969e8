/* The neutral vocabulary in HIP C++, in the compiler's own words: no header is needed. vectors_plain.h follows. */

#define DCN_INLINE static __attribute__((device, always_inline)) inline
#define DCN_GLOBAL
#define DCN_LOCAL
#define DCN_LOCAL_ARRAY __attribute__((shared))
#define DCN_PRIVATE
#define DCN_RESTRICT __restrict__
#define DCN_ALIGN(bytes) __attribute__((aligned(bytes)))
#define DCN_KERNEL(name, work_group) \
    extern "C" __attribute__((global, amdgpu_flat_work_group_size(work_group, work_group))) void name
#define DCN_BARRIER()                                      \
    do {                                                   \
        __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup"); \
        __builtin_amdgcn_s_barrier();                      \
        __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup"); \
    } while (0)
#define DCN_GROUP_ID ((dcn_index)__builtin_amdgcn_workgroup_id_x())
#define DCN_LOCAL_ID ((int)__builtin_amdgcn_workitem_id_x())
#define DCN_UNROLL _Pragma("unroll")
#define DCN_EXP __builtin_expf
#define DCN_MAX __builtin_fmaxf
#define DCN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define DCN_MAX_INDEX(a, b) ((a) > (b) ? (a) : (b))
#define DCN_INFINITY __builtin_inff()

typedef long long dcn_long;
#if DCN_WIDE
typedef long long dcn_index;
#define DCN_INDEX_MAX 0x7fffffffffffffffLL
#else
typedef int dcn_index;
#define DCN_INDEX_MAX 0x7fffffff
#endif

#if DCN_DTYPE == DCN_FLOAT32
typedef float dcn_item;

DCN_INLINE float dcn_decode(dcn_item item) {
    return item;
}

DCN_INLINE dcn_item dcn_encode(float number) {
    return number;
}
#elif DCN_DTYPE == DCN_FLOAT16
typedef _Float16 dcn_item;

DCN_INLINE float dcn_decode(dcn_item item) {
    return (float)item;
}

DCN_INLINE dcn_item dcn_encode(float number) {
    return (dcn_item)number;
}
#else
typedef unsigned short dcn_item;

DCN_INLINE float dcn_decode(dcn_item item) {
    return __builtin_bit_cast(float, (unsigned)item << 16);
}

/* The upper half of a float32, rounded to nearest, ties to even; a NaN stays one. */
DCN_INLINE dcn_item dcn_encode(float number) {
    const unsigned bits = __builtin_bit_cast(unsigned, number);
    return (dcn_item)((number != number ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
#endif

DCN_INLINE void dcn_atomic_add_one(float *target, float number) {
    __hip_atomic_fetch_add(target, number, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
