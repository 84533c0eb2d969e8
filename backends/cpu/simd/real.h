/* The scalar words of the kernels for REAL, which is float, or double where REAL_IS_DOUBLE is defined. */
#ifndef DCNV4I_CPU_REAL_H
#define DCNV4I_CPU_REAL_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
/* Asks for what is `count` strides of so many elements ahead. It need not be there, and strides may be as large as memory: so
 * the product is made of unsigned numbers, which wrap. */
#define PREFETCH(address, count, stride) \
    __builtin_prefetch((const void *)((uintptr_t)(address) + (uintptr_t)(count) * (uintptr_t)(stride) * sizeof *(address)))
#define UNROLL(times) PRAGMA(GCC unroll times)
#define PRAGMA(text) _Pragma(#text)
#else
#define ALWAYS_INLINE inline
#define NOINLINE
#define PREFETCH(address, count, stride) (void)(address)
#define UNROLL(times)
#endif

#ifdef REAL_IS_DOUBLE
typedef double real;
#define REAL_WHOLE ((int64_t)1 << 53) /* whole numbers below this are exact */
static inline real real_floor(real a) { return floor(a); }
static inline real real_exp(real a) { return exp(a); }
static inline real real_of(double a) { return a; }
#else
typedef float real;
#define REAL_WHOLE ((int64_t)1 << 24) /* whole numbers below this are exact */
static inline real real_floor(real a) { return floorf(a); }
static inline real real_exp(real a) { return expf(a); }
/* A finite number that is too large stays finite: 0 times it is 0. */
static inline real real_of(double a) { return (real)(isfinite(a) ? fmax(-FLT_MAX, fmin(FLT_MAX, a)) : a); }
#endif

/* a·b + c, in one rounding where the processor has an instruction for it. */
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
