/* An operator for core and the backends: its tensors, their roles in each pass, its parts, and its checks. */
#ifndef DCNV4I_OPERATOR_H
#define DCNV4I_OPERATOR_H

#include "status.h"
#include "tensor.h"

#include <stdbool.h>

/* Limits for all operators. */
enum { DCNV4I_MAX_TENSORS = 12, DCNV4I_MAX_PARTS = 4, DCNV4I_PASSES = 2 };

typedef struct dcnv4i_operator dcnv4i_operator;

/* A problem that passed every check. Each operator's own struct begins with one. */
typedef struct dcnv4i_problem {
    const dcnv4i_operator *op;
    bool forward_only;
    dcnv4i_tensor tensors[DCNV4I_MAX_TENSORS]; /* in the operator's order */
} dcnv4i_problem;

struct dcnv4i_operator {
    const char *name;
    size_t problem_size; /* bytes of the struct that begins with a dcnv4i_problem */
    int tensor_count;
    const char *tensor_names[DCNV4I_MAX_TENSORS];
    unsigned reads[DCNV4I_PASSES], writes[DCNV4I_PASSES]; /* by dcnv4_pass: bit i for tensor number i */
    /* The parts of passes that have kernels of their own and separately chosen tactics, with the pass of each. */
    int part_count;
    dcnv4_pass part_pass[DCNV4I_MAX_PARTS];

    /* Checks the caller's parameters and fills *problem. A failure has a message; *problem is then undefined. */
    dcnv4_status (*check)(const void *params, dcnv4i_problem *problem);
    /* Zeroes all sizes of images without pixels: the other sizes may be arbitrarily large, and must cause neither work
     * nor an overflow. */
    void (*drop_empty_sizes)(dcnv4i_problem *problem);
};

/* A run's buffers, in the operator's order. */
typedef struct dcnv4i_buffers {
    dcnv4_buffer tensors[DCNV4I_MAX_TENSORS];
    dcnv4_buffer workspace;
} dcnv4i_buffers;

/* Bytes of one element; 0 if dtype is unknown. */
size_t dcnv4i_dtype_size(int32_t dtype);

/* Copies the caller's struct, which begins with its size. One of an older version is shorter: the rest of *copy stays
 * as it is. One of a newer version is longer: the fields unknown here must be 0. name is the type's, for the message;
 * known and oldest are the sizes of this version and of the first. */
dcnv4_status dcnv4i_versioned_copy(const char *name, void *copy, size_t known, size_t oldest, const void *given);

/* One for each operator. */
#define DCNV4I_OPERATOR(name) extern const dcnv4i_operator dcnv4i_operator_##name;
#include "operators.def"
#undef DCNV4I_OPERATOR

#endif
