#include "../simd/vector_scalar.h"
#include "../sampling/sampling.inl"
#include "deform_conv.inl"
