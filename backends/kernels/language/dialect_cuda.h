/* The vocabulary in CUDA C++, for NVRTC without any header. dialect_cxx.h and vectors_plain.h follow. */

#define DCN_INLINE static __device__ __forceinline__
#define DCN_LOCAL_ARRAY __shared__
#define DCN_ALIGN(bytes) __align__(bytes)
#define DCN_KERNEL(name, work_group) extern "C" __global__ void __launch_bounds__(work_group) name
/* Caps registers per thread. Without a cap ptxas aims for a higher occupancy and spills one or two registers for it. */
#define DCN_KERNEL_WITH_REGISTERS(name, work_group, registers) \
    extern "C" __global__ void __launch_bounds__(work_group, 65536 / (registers) / (work_group)) name
#define DCN_BARRIER() __syncthreads()
#define DCN_GROUP_ID ((dcn_index)blockIdx.x)
#define DCN_LOCAL_ID ((int)(threadIdx.x & 1023u)) /* the mask tells the compiler the range */
/* The same, read once more from the special registers, so that nothing derived from them stays in registers until
 * here. */
#define DCN_GROUP_ID_RECOMPUTED ((dcn_index)dcn_group_id_recomputed())
#define DCN_LOCAL_ID_RECOMPUTED ((int)(dcn_local_id_recomputed() & 1023u))
/* Keeps an index in a register; the compiler would rather recompute it. */
#if DCN_WIDE
#define DCN_PIN(number) asm volatile("" : "+l"(number))
#else
#define DCN_PIN(number) asm volatile("" : "+r"(number))
#endif
/* For loops over points whose loads should be in flight together: unrolled completely, ptxas schedules the loads. */
#define DCN_UNROLL_LOADS DCN_UNROLL
#define DCN_EXP expf
#define DCN_MIN fminf
#define DCN_MAX fmaxf
#define DCN_ABS fabsf
#define DCN_FLOOR floorf
#define DCN_SATURATE __saturatef
#define DCN_MULTIPLY_HIGH __umulhi
#define DCN_INFINITY __int_as_float(0x7f800000)
#define DCN_BITS_OF(number) __float_as_uint(number)
#define DCN_FLOAT_OF(bits) __uint_as_float(bits)

#if DCN_DTYPE == DCN_FLOAT16
typedef unsigned short dcn_element;

DCN_INLINE float dcn_decode(dcn_element item) {
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(item));
    return number;
}

DCN_INLINE dcn_element dcn_encode(float number) {
    dcn_element item;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(item) : "f"(number));
    return item;
}
#endif

DCN_INLINE unsigned dcn_group_id_recomputed(void) {
    unsigned id;
    asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(id));
    return id;
}

DCN_INLINE unsigned dcn_local_id_recomputed(void) {
    unsigned id;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(id));
    return id;
}

#if __CUDA_ARCH__ >= 1000
/* Two multiply-adds in one instruction on sm_100; on sm_120 the compiler splits it. */
#define DCN_PAIRS 1
typedef unsigned long long dcn_pair;

DCN_INLINE dcn_pair dcn_pair_of(float a, float b) {
    dcn_pair pair;
    asm("mov.b64 %0, {%1, %2};" : "=l"(pair) : "f"(a), "f"(b));
    return pair;
}

/* sum[i] += factor·a[i], i = 0, 1. */
DCN_INLINE void dcn_fma_two(float *sum, float factor, const float *a) {
    dcn_pair two;
    asm("fma.rn.f32x2 %0, %1, %2, %3;"
        : "=l"(two)
        : "l"(dcn_pair_of(factor, factor)), "l"(dcn_pair_of(a[0], a[1])), "l"(dcn_pair_of(sum[0], sum[1])));
    asm("mov.b64 {%0, %1}, %2;" : "=f"(sum[0]), "=f"(sum[1]) : "l"(two));
}

#if DCN_DTYPE != DCN_FLOAT32
#define DCN_MULTIPLIES_ELEMENTS 1
/* sum + a·b of elements as they are stored, whose product a float32 holds exactly. */
DCN_INLINE float dcn_fma_elements(unsigned short a, unsigned short b, float sum) {
#if DCN_DTYPE == DCN_FLOAT16
    asm("fma.rn.f32.f16 %0, %1, %2, %0;" : "+f"(sum) : "h"(a), "h"(b));
#else
    asm("fma.rn.f32.bf16 %0, %1, %2, %0;" : "+f"(sum) : "h"(a), "h"(b));
#endif
    return sum;
}
#endif
#endif

/* The address of an element is given in units: here, elements. DCN_FOLD_INTO_ROWS adds the lane's own offset to the
 * row pointers, and hides that from the compiler, so that each address takes one instruction. The hidden pointers
 * have to be declared global again. */
#define DCN_ELEMENT_UNITS 1
#define DCN_AT_UNIT(row, place) ((row) + (place))
#define DCN_FOLD_INTO_ROWS(upper, lower, own)                                     \
    do {                                                                          \
        upper += own, lower += own, own = 0;                                      \
        asm("" : "+l"(upper), "+l"(lower));                                       \
        __builtin_assume(__isGlobal(upper)), __builtin_assume(__isGlobal(lower)); \
    } while (0)

/* Increments a counter in local memory atomically. Returns its old value. */
DCN_INLINE int dcn_increment(int *counter) {
    return atomicAdd(counter, 1);
}

DCN_INLINE void dcn_atomic_add_one(float *target, float number) {
    atomicAdd(target, number);
}

/* Four at once; target is aligned to 16 bytes. */
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ >= 1201
#define DCN_ATOMIC_QUADS 1
DCN_INLINE void dcn_atomic_add_four(float *target, const float *number) {
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(target), "f"(number[0]), "f"(number[1]),
                 "f"(number[2]), "f"(number[3])
                 : "memory");
}
#endif
