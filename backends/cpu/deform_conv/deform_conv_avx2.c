#include "../simd/vector_avx2.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
