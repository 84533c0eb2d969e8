#define REAL_IS_DOUBLE
#include "vector_neon_f64.h"
#include "rows.inl"
