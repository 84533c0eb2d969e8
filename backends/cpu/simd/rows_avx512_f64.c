#define REAL_IS_DOUBLE
#include "vector_avx512_f64.h"
#include "rows.inl"
