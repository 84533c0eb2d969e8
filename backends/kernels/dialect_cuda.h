/* The neutral vocabulary in CUDA C++, for NVRTC without any header. vectors_plain.h follows. */

#define DCN_INLINE static __device__ __forceinline__
#define DCN_GLOBAL
#define DCN_LOCAL
#define DCN_LOCAL_ARRAY __shared__
#define DCN_PRIVATE
#define DCN_RESTRICT __restrict__
#define DCN_ALIGN(bytes) __align__(bytes)
#define DCN_KERNEL(name, work_group) extern "C" __global__ void __launch_bounds__(work_group) name
#define DCN_BARRIER() __syncthreads()
#define DCN_GROUP_ID ((dcn_index)blockIdx.x)
#define DCN_LOCAL_ID ((int)threadIdx.x)
#define DCN_UNROLL _Pragma("unroll")
#define DCN_EXP expf
#define DCN_MAX fmaxf
#define DCN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define DCN_MAX_INDEX(a, b) ((a) > (b) ? (a) : (b))
#define DCN_INFINITY __int_as_float(0x7f800000)

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
typedef unsigned short dcn_item;

DCN_INLINE float dcn_decode(dcn_item item) {
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(item));
    return number;
}

DCN_INLINE dcn_item dcn_encode(float number) {
    dcn_item item;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(item) : "f"(number));
    return item;
}
#else
typedef unsigned short dcn_item;

DCN_INLINE float dcn_decode(dcn_item item) {
    return __uint_as_float((unsigned)item << 16);
}

/* The upper half of a float32, rounded to nearest, ties to even; a NaN stays one. */
DCN_INLINE dcn_item dcn_encode(float number) {
    const unsigned bits = __float_as_uint(number);
    return (dcn_item)((number != number ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
#endif

DCN_INLINE void dcn_atomic_add_one(float *target, float number) {
    atomicAdd(target, number);
}
