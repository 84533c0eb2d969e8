/* What kernels are given, in the order of the lists that their texts are made from. */
#ifndef DCNV4I_ARGUMENTS_H
#define DCNV4I_ARGUMENTS_H

#include "../../kernels/deform_conv/parameters.h"
#include "../runtime/driver.h"

/* All that a kernel may be given: X(what) for buffers and for numbers. The tensors are in the order of dcnv4i_tensor_id. */
#define DCNV4I_GIVEN_BUFFERS(X)                                                                            \
    X(VALUE)                                                                                               \
    X(OFFSET_MASK)                                                                                         \
    X(OUTPUT) X(GRAD_OUTPUT) X(GRAD_VALUE) X(GRAD_OFFSET_MASK)                                             \
        X(SUMS)  /* float32s of the workspace: sums of grad_value, or copies of value with them between */ \
        X(REACH) /* another part of the workspace: what output rows or chunks reach */                     \
        X(FIRST) X(SECOND) X(THIRD) X(FIRST_WRITTEN) X(SECOND_WRITTEN) /* of the floor */
#define DCNV4I_GIVEN_NUMBERS(X)                                                                                   \
    X(HEIGHT)                                                                                                     \
    X(WIDTH)                                                                                                      \
    X(OUTPUT_HEIGHT) X(OUTPUT_WIDTH) X(BY_COLUMNS) X(BY_ROWS) X(BANDS) X(SHARES) X(BY_CHUNKS) X(BY_CHUNK_COLUMNS) \
        X(PIXELS) X(FIRST_COUNT) X(SECOND_COUNT) X(THIRD_COUNT) X(FIRST_WRITTEN_COUNT) X(SECOND_WRITTEN_COUNT)    \
            X(VECTORS) X(CELLS) X(ITEMS)

#define DCNV4I_BUFFER_ID(what) DCNV4I_GIVE_##what,
#define DCNV4I_NUMBER_ID(what) DCNV4I_PASS_##what,
typedef enum dcnv4i_given_buffer { DCNV4I_GIVEN_BUFFERS(DCNV4I_BUFFER_ID) DCNV4I_BUFFERS } dcnv4i_given_buffer;
typedef enum dcnv4i_given_number { DCNV4I_GIVEN_NUMBERS(DCNV4I_NUMBER_ID) DCNV4I_NUMBERS } dcnv4i_given_number;

/* The lists: X(kernel). */
#define DCNV4I_SIGNATURES(X)                                                                                      \
    X(FORWARD)                                                                                                    \
    X(POINTS)                                                                                                     \
    X(REACH_BANDS) X(SCATTER_BANDS) X(BOTH) X(REACH_TILES) X(SCATTER_TILES) X(CLEAR) X(SCATTER_ATOMIC) X(CONVERT) \
        X(FLOOR_MEMORY) X(FLOOR_LOADS)

/* A kernel has one parameter for a number and two for a buffer. */
#define DCNV4I_TWO(what, type, name) 0, 0
#define DCNV4I_ONE(what, name) 0
#define DCNV4I_PARAMETERS_OF(kernel) char kernel[sizeof(char[]){DCN_ARGUMENTS_##kernel(DCNV4I_TWO, DCNV4I_ONE)}];
_Static_assert(sizeof(union {DCNV4I_SIGNATURES(DCNV4I_PARAMETERS_OF)}) <= DCNV4I_MAX_ARGUMENTS, "too many arguments");

/* A list: an entry is a dcnv4i_given_buffer, or DCNV4I_BUFFERS and a dcnv4i_given_number more. */
typedef struct dcnv4i_signature {
    const char *name; /* "FORWARD" */
    int count;
    const unsigned char *given;
} dcnv4i_signature;

#define DCNV4I_SIGNATURE_ID(kernel) DCNV4I_SIGNATURE_##kernel,
typedef enum dcnv4i_signature_id { DCNV4I_SIGNATURES(DCNV4I_SIGNATURE_ID) DCNV4I_SIGNATURE_COUNT } dcnv4i_signature_id;

extern const dcnv4i_signature dcnv4i_signatures[DCNV4I_SIGNATURE_COUNT];

#endif
