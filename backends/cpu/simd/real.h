/* Scalar arithmetic of the kernels on `real`: float, or double where REAL_IS_DOUBLE is defined. */
#ifndef DCNV4I_CPU_REAL_H
#define DCNV4I_CPU_REAL_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
/* Prefetches the element that is count · stride elements behind `address`. That address may be invalid, and the
 * product may overflow: it is computed unsigned, which wraps. */
#define PREFETCH(address, count, stride)                                                               \
    __builtin_prefetch((const void *)((uintptr_t)(address) +                                           \
                                      (uintptr_t)(count) * (uintptr_t)(stride) * sizeof *(address)))
#define UNROLL(times) PRAGMA(GCC unroll times)
#define PRAGMA(text) _Pragma(#text)
#else
#define ALWAYS_INLINE inline
#define NOINLINE
#define PREFETCH(address, count, stride) (void)(address)
#define UNROLL(times)
#endif

/* The symbol of a function or table that is compiled once for each instruction set and real, so that profiles and
 * debuggers tell them apart: NAME(forward) is forward_avx2_f32. The vector_*.h that is included defines
 * INSTRUCTION_SET. */
#define NAME(function) NAME_OF(function, INSTRUCTION_SET, REAL_NAME)
#define NAME_OF(function, set, type) NAME_JOINED(function, set, type)
#define NAME_JOINED(function, set, type) function##_##set##_##type

#ifdef REAL_IS_DOUBLE
typedef double real;
#define REAL_NAME f64
#define REAL_WHOLE ((int64_t)1 << 53) /* whole numbers below this are exact */
static inline real real_floor(real a) { return floor(a); }
static inline real real_exp(real a) { return exp(a); }
static inline real real_of(double a) { return a; }
#else
typedef float real;
#define REAL_NAME f32
#define REAL_WHOLE ((int64_t)1 << 24) /* whole numbers below this are exact */
static inline real real_floor(real a) { return floorf(a); }
static inline real real_exp(real a) { return expf(a); }
/* Finite numbers beyond float's range become its largest, not infinity, which times 0 would be NaN. */
static inline real real_of(double a) { return (real)(isfinite(a) ? fmax(-FLT_MAX, fmin(FLT_MAX, a)) : a); }
#endif

/* a·b + c, rounded once where the processor has an instruction for that, else twice. */
static inline real real_fma(real a, real b, real c) {
#if defined(REAL_IS_DOUBLE) && (defined(__FMA__) || defined(__ARM_FEATURE_FMA))
    return fma(a, b, c);
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

#endif
