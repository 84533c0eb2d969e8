#include "vector_neon.h"
#include "rows.inl"
