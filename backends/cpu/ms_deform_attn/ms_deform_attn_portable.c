#include "../simd/conversions_scalar.h"
#include "../sampling/sampling.inl"
#include "ms_deform_attn.inl"
