#include "../simd/vector_avx2.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
