#include "../simd/vector_avx512.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
