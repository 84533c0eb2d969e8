#define REAL_IS_DOUBLE
#include "vector_scalar.h"
#include "rows.inl"
