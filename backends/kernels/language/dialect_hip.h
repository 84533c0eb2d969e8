/* The vocabulary in HIP C++, by the compiler's attributes and built-ins: no header is needed. dialect_cxx.h and
 * vectors_plain.h follow. */

#define DCN_INLINE static __attribute__((device, always_inline)) inline
#define DCN_LOCAL_ARRAY __attribute__((shared))
#define DCN_ALIGN(bytes) __attribute__((aligned(bytes)))
#define DCN_KERNEL(name, work_group) \
    extern "C" __attribute__((global, amdgpu_flat_work_group_size(work_group, work_group))) void name
#define DCN_KERNEL_WITH_REGISTERS(name, work_group, registers) DCN_KERNEL(name, work_group)
#define DCN_BARRIER()                                          \
    do {                                                       \
        __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup"); \
        __builtin_amdgcn_s_barrier();                          \
        __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup"); \
    } while (0)
#define DCN_GROUP_ID ((dcn_index)__builtin_amdgcn_workgroup_id_x())
#define DCN_LOCAL_ID ((int)__builtin_amdgcn_workitem_id_x())
/* The same, but nothing derived from the work-item's index stays in registers until here. */
#define DCN_GROUP_ID_RECOMPUTED DCN_GROUP_ID
#define DCN_LOCAL_ID_RECOMPUTED (dcn_local_id_recomputed() & 1023)
#define DCN_PIN(number) ((void)0)
/* For loops over points whose loads should be in flight together. Unrolled completely, the loads take more registers
 * than there are. */
#define DCN_UNROLL_LOADS _Pragma("unroll 3")
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

DCN_INLINE int dcn_local_id_recomputed(void) {
    int id = DCN_LOCAL_ID;
    asm("" : "+v"(id));
    return id;
}

#if DCN_DTYPE == DCN_FLOAT16
typedef _Float16 dcn_element;

/* Keeps the compiler from packing two sums into one v_pk_fma (gfx90a, gfx942): that needs float16 converted
 * beforehand, while v_fma_mix converts as it adds. */
#define DCN_UNPAIRED(sum) asm("" : "+v"(sum))

DCN_INLINE float dcn_decode(dcn_element item) {
    return (float)item;
}

DCN_INLINE dcn_element dcn_encode(float number) {
    return (dcn_element)number;
}
#endif

/* The address of an element is given in units: here, bytes; 32 bits unless DCN_WIDE. An access adds it to a row
 * pointer, which is the same for all lanes and lies in scalar registers. */
#define DCN_ELEMENT_UNITS (DCN_DTYPE == DCN_FLOAT32 ? 4u : 2u)
#define DCN_AT_UNIT(row, place) ((const DCN_GLOBAL dcn_element *)((const DCN_GLOBAL char *)(row) + (place)))
#define DCN_FOLD_INTO_ROWS(upper, lower, own) ((void)0)

/* Increments a counter in local memory atomically. Returns its old value. */
DCN_INLINE int dcn_increment(int *counter) {
    return __hip_atomic_fetch_add(counter, 1, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
}

DCN_INLINE void dcn_atomic_add_one(float *target, float number) {
    __hip_atomic_fetch_add(target, number, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
