/* What an operator is to core and to the backends: its tensors with their roles by pass, and its checks. */
#ifndef DCNV4I_OPERATOR_H
#define DCNV4I_OPERATOR_H

#include "status.h"
#include "tensor.h"

#include <stdbool.h>

/* The most that an operator may have. */
enum { DCNV4I_MAX_TENSORS = 8, DCNV4I_MAX_PARTS = 4, DCNV4I_PASSES = 2 };

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
    /* What of a pass has kernels of its own, whose tactics are chosen one by one: to which pass each belongs. */
    int part_count;
    dcnv4_pass part_pass[DCNV4I_MAX_PARTS];

    /* Checks the caller's parameters and fills *problem. A failure has a message; *problem is then undefined. */
    dcnv4_status (*check)(const void *params, dcnv4i_problem *problem);
    /* Zeroes the sizes of images without pixels: what stands beside a 0 may be as large as it likes, and neither work must
     * come of it nor a product that overflows. */
    void (*drop_empty_sizes)(dcnv4i_problem *problem);
};

/* A run's buffers, in the operator's order. */
typedef struct dcnv4i_buffers {
    dcnv4_buffer tensors[DCNV4I_MAX_TENSORS];
    dcnv4_buffer workspace;
} dcnv4i_buffers;

/* Bytes of one element; 0 if dtype is none. */
size_t dcnv4i_dtype_size(int32_t dtype);

/* Copies a struct that begins with its own size from the caller, who may know an older (shorter: the rest stays as it is
 * in *copy) or a newer version (longer: then what we do not know must be 0). name is the type's, for the message;
 * oldest is the size of its first version. */
dcnv4_status dcnv4i_versioned_copy(const char *name, void *copy, size_t known, size_t oldest, const void *given);

/* One for each operator. */
#define DCNV4I_OPERATOR(name) extern const dcnv4i_operator dcnv4i_operator_##name;
#include "operators.def"
#undef DCNV4I_OPERATOR

#endif
