/* The neutral vocabulary in HIP C++, in the compiler's own words: no header is needed. dialect_cxx.h and vectors_plain.h
 * follow. */

#define DCN_INLINE static __attribute__((device, always_inline)) inline
#define DCN_LOCAL_ARRAY __attribute__((shared))
#define DCN_ALIGN(bytes) __attribute__((aligned(bytes)))
#define DCN_KERNEL(name, work_group) \
    extern "C" __attribute__((global, amdgpu_flat_work_group_size(work_group, work_group))) void name
#define DCN_KERNEL_OF(name, work_group, registers) DCN_KERNEL(name, work_group)
#define DCN_BARRIER()                                      \
    do {                                                   \
        __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup"); \
        __builtin_amdgcn_s_barrier();                      \
        __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup"); \
    } while (0)
#define DCN_GROUP_ID ((dcn_index)__builtin_amdgcn_workgroup_id_x())
#define DCN_LOCAL_ID ((int)__builtin_amdgcn_workitem_id_x())
/* The same, but what is made of a work-item's number is not kept in registers from before. */
#define DCN_GROUP_ID_AGAIN DCN_GROUP_ID
#define DCN_LOCAL_ID_AGAIN (dcn_local_id_again() & 1023)
#define DCN_KEEP(number) ((void)0)
/* Of loops whose loads should be in flight together; of all iterations, they take all registers and more. */
#define DCN_UNROLL_TAPS _Pragma("unroll 3")
#define DCN_EXP __builtin_expf
#define DCN_MIN __builtin_fminf
#define DCN_MAX __builtin_fmaxf
#define DCN_ABS __builtin_fabsf
#define DCN_FLOOR __builtin_floorf
#define DCN_MULTIPLY_HIGH(a, b) ((unsigned)((unsigned long long)(a) * (b) >> 32))
#define DCN_SATURATE(number) DCN_MIN(DCN_MAX(number, 0.0f), 1.0f)
#define DCN_INFINITY __builtin_inff()
#define DCN_BITS_OF(number) __builtin_bit_cast(unsigned, number)
#define DCN_FLOAT_OF(bits) __builtin_bit_cast(float, bits)

DCN_INLINE int dcn_local_id_again(void) {
    int id = DCN_LOCAL_ID;
    asm("" : "+v"(id));
    return id;
}

#if DCN_DTYPE == DCN_FLOAT16
typedef _Float16 dcn_item;

/* Keeps the compiler from pairing a sum with another (gfx90a, gfx942): it would convert float16 beforehand, which v_fma_mix
 * does as it adds. */
#define DCN_UNPAIRED(sum) asm("" : "+v"(sum))

DCN_INLINE float dcn_decode(dcn_item item) {
    return (float)item;
}

DCN_INLINE dcn_item dcn_encode(float number) {
    return (dcn_item)number;
}
#endif

/* A place is a number of bytes, of 32 bits unless DCN_WIDE, which an access adds to a row that is the same for all. */
#define DCN_PLACES (DCN_DTYPE == DCN_FLOAT32 ? 4u : 2u)
#define DCN_AT_PLACE(row, place) ((const DCN_GLOBAL dcn_item *)((const DCN_GLOBAL char *)(row) + (place)))
#define DCN_BEGIN_ROWS(upper, lower, own) ((void)0)

/* Counts one more in local memory. Returns how many there were. */
DCN_INLINE int dcn_count(int *counter) {
    return __hip_atomic_fetch_add(counter, 1, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
}

DCN_INLINE void dcn_atomic_add_one(float *target, float number) {
    __hip_atomic_fetch_add(target, number, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
