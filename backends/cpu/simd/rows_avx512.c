#include "vector_avx512.h"
#include "rows.inl"
