#define REAL_IS_DOUBLE
#include "../simd/vector_scalar.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
