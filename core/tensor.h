/* One tensor of a problem, as core and the backends see it. */
#ifndef DCNV4I_TENSOR_H
#define DCNV4I_TENSOR_H

#include <stddef.h>
#include <stdint.h>

/* `pixels` rows of `row` elements; each begins `stride` elements after the one before. */
typedef struct dcnv4i_tensor {
    int64_t pixels;
    int64_t row;
    int64_t stride;
    size_t item;  /* bytes of one element */
    size_t bytes; /* from the first element to the last, inclusive */
} dcnv4i_tensor;

#endif
