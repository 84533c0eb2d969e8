#include "conversions_scalar.h"
#include "rows.inl"
