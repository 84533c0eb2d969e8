#include "vector_avx2.h"
#include "rows.inl"
