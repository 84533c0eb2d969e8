#define REAL_IS_DOUBLE
#include "vector_avx2_f64.h"
#include "rows.inl"
