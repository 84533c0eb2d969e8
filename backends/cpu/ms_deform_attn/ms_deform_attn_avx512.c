#include "../simd/vector_avx512.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
