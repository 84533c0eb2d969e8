#include "../simd/vector_neon.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
