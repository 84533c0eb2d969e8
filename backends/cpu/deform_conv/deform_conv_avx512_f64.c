#define REAL_IS_DOUBLE
#include "../simd/vector_avx512_f64.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
