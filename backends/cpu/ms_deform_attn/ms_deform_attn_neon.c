#include "../simd/vector_neon.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
