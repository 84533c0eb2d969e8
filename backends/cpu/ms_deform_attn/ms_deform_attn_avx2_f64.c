#define REAL_IS_DOUBLE
#include "../simd/vector_avx2_f64.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
