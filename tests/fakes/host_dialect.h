/* Included before a kernel's CUDA or HIP text; maps the language's keywords and built-ins to the host's C++. The text
 * that runs is the one that a device's compiler would get, including its dialect header.
 *
 * Not tested by this: a device's instructions (fake_compiler.c turns inline PTX into calls of the functions below, and
 * AMD's built-ins are macros), memory ordering, waves, and speed. */

/* ---- What fake_kernels.c sees of a compiled text: a host_kernel for each kernel, and these --------------------------- */

struct host_kernel {
    const char *kinds; /* a letter per argument: 'p' a pointer, 'n' another 8 bytes, '?' neither */
    unsigned work_group;
    void (*run)(void **arguments);
};

#pragma GCC visibility push(default)
extern "C" {
struct {
    unsigned group, item, groups, work_group;
} host_here;
void (*host_barrier)(void);
#if defined(_WIN32) /* sections of one name before the $ are put together in the order of what follows it */
#define HOST_SHARED "shared$m"
static char host_first [[gnu::section("shared$a"), gnu::used]] = 1,
                                                   host_last [[gnu::section("shared$z"), gnu::used]] = 1;
char *host_shared_begin = &host_first, *host_shared_end = &host_last;
#else
#define HOST_SHARED "host_shared"
extern char __start_host_shared[] __attribute__((weak)), __stop_host_shared[] __attribute__((weak));
char *host_shared_begin = __start_host_shared, *host_shared_end = __stop_host_shared;
#endif
}
#pragma GCC visibility pop

template <class Argument> struct host_kind {
    static const char letter = sizeof(Argument) == 8 ? 'n' : '?';
};
template <class Target> struct host_kind<Target *> {
    static const char letter = 'p';
};
template <int... I> struct host_numbers {};
template <int N, int... I> struct host_count : host_count<N - 1, N - 1, I...> {};
template <int... I> struct host_count<0, I...> {
    typedef host_numbers<I...> numbers;
};
template <auto kernel> struct host_entry;
template <class... Arguments, void (*kernel)(Arguments...)> struct host_entry<kernel> {
    static inline const char kinds[] = {host_kind<Arguments>::letter..., 0};

    template <int... I> static void call(void **arguments, host_numbers<I...>) {
        kernel(*(Arguments *)arguments[I]...);
    }

    static void run(void **arguments) {
        call(arguments, typename host_count<sizeof...(Arguments)>::numbers());
    }
};

/* ---- Numbers -------------------------------------------------------------------------------------------------------- */

template <class To, class From> static inline To host_bits(From from) {
    return __builtin_bit_cast(To, from);
}

/* ---- CUDA ----------------------------------------------------------------------------------------------------------- */

#define __CUDACC_VER_MAJOR__ 12 /* the compiler of fake_cuda.c */
#define __CUDACC_VER_MINOR__ 4
#define __global__ HOST_GLOBAL
#define __launch_bounds__(items, ...) HOST_BOUNDS(items)
#define __device__
#define __forceinline__ inline
#define __noinline__
#define __shared__ [[gnu::section(HOST_SHARED)]] static
#define __align__(bytes) alignas(bytes)
#define __syncthreads() host_barrier()
#define __isGlobal(pointer) 1
#define __builtin_assume(fact) ((void)0)
#define __threadfence() ((void)0)

struct host_dim {
    unsigned x, y, z;
};
#define threadIdx (host_dim{host_here.item, 0, 0})
#define blockIdx (host_dim{host_here.group, 0, 0})
#define blockDim (host_dim{host_here.work_group, 1, 1})
#define gridDim (host_dim{host_here.groups, 1, 1})

#define __int_as_float host_bits<float, int>
#define __uint_as_float host_bits<float, unsigned>
#define __float_as_int host_bits<int, float>
#define __float_as_uint host_bits<unsigned, float>
#define expf __builtin_expf
#define fmaxf __builtin_fmaxf
#define fabsf __builtin_fabsf
#define floorf __builtin_floorf
#define fminf __builtin_fminf
#define __saturatef(number) __builtin_fminf(__builtin_fmaxf(number, 0.0f), 1.0f) /* a NaN becomes 0 */
#define __umulhi(a, b) ((unsigned)((unsigned long long)(a) * (b) >> 32))

/* Work-groups run one after the other, and the items of one in turns that only a barrier ends. */
template <class Number> static inline Number atomicAdd(Number *target, Number number) {
    const Number before = *target;
    *target = before + number;
    return before;
}

/* Inline PTX: functions named after the instructions. */
static inline void ptx_cvt_f32_f16(float &to, unsigned short from) {
    to = (float)host_bits<_Float16>(from);
}
static inline void ptx_cvt_rn_f16_f32(unsigned short &to, float from) {
    to = host_bits<unsigned short>((_Float16)from);
}
static inline void ptx_mov_b64(unsigned long long &to, float lower, float upper) {
    to = (unsigned long long)host_bits<unsigned>(upper) << 32 | host_bits<unsigned>(lower);
}
static inline void ptx_mov_b64(float &lower, float &upper, unsigned long long from) {
    lower = host_bits<float>((unsigned)from), upper = host_bits<float>((unsigned)(from >> 32));
}
static inline void ptx_fma_rn_f32x2(unsigned long long &to, unsigned long long a, unsigned long long b,
                                    unsigned long long c) {
    float lower[3], upper[3];
    ptx_mov_b64(lower[0], upper[0], a), ptx_mov_b64(lower[1], upper[1], b), ptx_mov_b64(lower[2], upper[2], c);
    ptx_mov_b64(to, __builtin_fmaf(lower[0], lower[1], lower[2]), __builtin_fmaf(upper[0], upper[1], upper[2]));
}
static inline void ptx_fma_rn_f32_f16(float &to, unsigned short a, unsigned short b, float c) {
    to = __builtin_fmaf((float)host_bits<_Float16>(a), (float)host_bits<_Float16>(b), c);
}
static inline void ptx_fma_rn_f32_bf16(float &to, unsigned short a, unsigned short b, float c) {
    to = __builtin_fmaf(host_bits<float>((unsigned)a << 16), host_bits<float>((unsigned)b << 16), c);
}
static inline void ptx_mov_u32_ctaid_x(unsigned &to) {
    to = host_here.group;
}
static inline void ptx_mov_u32_tid_x(unsigned &to) {
    to = host_here.item;
}
static inline void ptx_red_global_add_f32(float *target, float number) {
    *target += number;
}
static inline void ptx_red_global_add_v4_f32(float *target, float a, float b, float c, float d) {
    if ((unsigned long long)target % 16 != 0)
        __builtin_trap(); /* as a device does */
    target[0] += a, target[1] += b, target[2] += c, target[3] += d;
}

/* ---- HIP: attributes, and the built-ins of AMD's ---------------------------------------------------------------------- */

#define __builtin_amdgcn_workitem_id_x() (host_here.item)
#define __builtin_amdgcn_workgroup_id_x() (host_here.group)
#define __builtin_amdgcn_fence(...) ((void)0)
#define __builtin_amdgcn_s_barrier() host_barrier()
#define __hip_atomic_fetch_add(target, number, order, scope) atomicAdd(target, number)

#define __attribute__(list) HOST_ATTRIBUTE list
#define HOST_ATTRIBUTE(first, ...) HOST_ATTRIBUTE_##first __VA_ARGS__
#define HOST_ATTRIBUTE_global HOST_GLOBAL
#define HOST_ATTRIBUTE_device
#define HOST_ATTRIBUTE_shared __shared__
#define HOST_ATTRIBUTE_aligned(bytes) alignas(bytes)
#define amdgpu_flat_work_group_size(least, most) HOST_BOUNDS(most)
#define always_inline
