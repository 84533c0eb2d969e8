/* The checks that problems of all operators have in common, with their messages. */
#ifndef DCNV4I_PROBLEM_CHECKS_H
#define DCNV4I_PROBLEM_CHECKS_H

#include "operator.h"

#include <stddef.h>
#include <stdint.h>

/* Fields that must be at least some number. */
typedef struct dcnv4i_range {
    const char *name;
    int64_t number, least;
} dcnv4i_range;

/* Fields that are 0 or 1. */
typedef struct dcnv4i_flag {
    const char *name;
    int32_t number;
} dcnv4i_flag;

/* DCNV4_INVALID_PROBLEM, which names the first field that is wrong, and its number. */
dcnv4_status dcnv4i_check_ranges(const dcnv4i_range *fields, size_t count);
dcnv4_status dcnv4i_check_flags(const dcnv4i_flag *flags, size_t count);
dcnv4_status dcnv4i_check_dtype(int32_t dtype);

/* Replaces DCNV4_SAME_DTYPE in *other. The only mixed pair is float32 beside 16 bits, which mixed precision uses. */
dcnv4_status dcnv4i_check_other_dtype(const char *name, int32_t dtype, int32_t *other);

/* The refusal of sizes whose product, of a and b, does not fit. */
dcnv4_status dcnv4i_too_large(const char *what, int64_t a, int64_t b);

/* Fills in pixels and bytes of a tensor of batch · rows rows, whose row, stride and item are known. Every product is checked also
 * where another factor is 0, so that no later arithmetic on the factors overflows. */
dcnv4_status dcnv4i_check_products(const char *name, int64_t rows, int64_t batch, dcnv4i_tensor *tensor);

#endif
