#define REAL_IS_DOUBLE
#include "../simd/vector_scalar.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
