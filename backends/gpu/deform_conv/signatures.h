/* The arguments of DCNv4's kernels, from the same lists as in their texts. */
#ifndef DCNV4I_SIGNATURES_H
#define DCNV4I_SIGNATURES_H

#include "../../../core/deform_conv_problem.h"
#include "../../kernels/language/argument_lists.h"
#include "../../kernels/deform_conv/parameters.h"
#include "../program.h"

/* The buffers: the tensors in their order, then the scratch. */
enum {
    DCNV4I_BUFFER_VALUE = DCNV4I_VALUE,
    DCNV4I_BUFFER_OFFSET_MASK = DCNV4I_OFFSET_MASK,
    DCNV4I_BUFFER_OUTPUT = DCNV4I_OUTPUT,
    DCNV4I_BUFFER_GRAD_OUTPUT = DCNV4I_GRAD_OUTPUT,
    DCNV4I_BUFFER_GRAD_VALUE = DCNV4I_GRAD_VALUE,
    DCNV4I_BUFFER_GRAD_OFFSET_MASK = DCNV4I_GRAD_OFFSET_MASK,
    DCNV4I_BUFFER_SUMS = DCNV4I_BUFFER_SCRATCH, /* float32 sums of grad_value, or these and copies of value */
    DCNV4I_BUFFER_BOUNDS /* the rows and columns that points of output rows, or of chunks, touch */
};

/* The numbers. */
enum {
    DCNV4I_NUMBER_HEIGHT,
    DCNV4I_NUMBER_WIDTH,
    DCNV4I_NUMBER_OUTPUT_HEIGHT,
    DCNV4I_NUMBER_OUTPUT_WIDTH,
    DCNV4I_NUMBER_BY_COLUMNS,
    DCNV4I_NUMBER_BY_ROWS,
    DCNV4I_NUMBER_BANDS,
    DCNV4I_NUMBER_SHARES,
    DCNV4I_NUMBER_BY_CHUNKS,
    DCNV4I_NUMBER_BY_CHUNK_COLUMNS,
    DCNV4I_NUMBER_PIXELS,
    DCNV4I_DEFORM_CONV_NUMBERS
};
_Static_assert(DCNV4I_DEFORM_CONV_NUMBERS <= (int)DCNV4I_MAX_NUMBERS, "too many numbers");

/* The lists: X(kernel). */
#define DCNV4I_SIGNATURES(X) \
    X(FORWARD)               \
    X(POINTS)                \
    X(BOUNDS_BANDS)          \
    X(SCATTER_BANDS)         \
    X(BOTH)                  \
    X(BOUNDS_TILES)          \
    X(SCATTER_TILES)         \
    X(CLEAR)                 \
    X(SCATTER_ATOMIC)        \
    X(CONVERT)

#define DCNV4I_SIGNATURE_ID(kernel) DCNV4I_SIGNATURE_##kernel,
typedef enum dcnv4i_signature_id { DCNV4I_SIGNATURES(DCNV4I_SIGNATURE_ID) DCNV4I_SIGNATURE_COUNT } dcnv4i_signature_id;

extern const dcnv4i_signature dcnv4i_signatures[DCNV4I_SIGNATURE_COUNT];

#endif
