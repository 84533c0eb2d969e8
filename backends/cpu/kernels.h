/* What the cpu backend's kernels are given, and the table of kernels that fits the processor. */
#ifndef DCNV4I_CPU_KERNELS_H
#define DCNV4I_CPU_KERNELS_H

#include "../../core/deform_conv_problem.h"

#include <stdbool.h>

/* Copies rows of count elements from storage to what the kernels compute in, or the other way. Strides are counted in
 * elements, of what they are a stride in. */
typedef void dcnv4i_copy_rows(const void *from, int64_t from_stride, void *to, int64_t to_stride, int64_t rows,
                              int64_t count);

/* A problem as the kernels see it. */
typedef struct dcnv4i_layer {
    const dcnv4i_deform_conv *problem;
    const void *grid_x, *grid_y; /* [K] real: the point's place in the kernel, measured from its middle */
    bool converts;               /* storage, but that of offset_mask, and arithmetic are not of one type */
    int64_t reach; /* rows of value above and below the kernel's middle that its grid touches, see work.h */
    dcnv4i_copy_rows *read, *write;
    dcnv4i_copy_rows *read_offsets, *write_offsets; /* the same of offset_mask and its gradient */
} dcnv4i_layer;

/* Half of what a kernel spans along one axis, rounded down. */
static inline int64_t dcnv4i_half_span(int64_t kernel, int64_t dilation) {
    return dilation * (kernel - 1) >> 1;
}

/* The tensors of a run. */
typedef struct dcnv4i_tensors {
    const char *value, *offset_mask, *grad_output;
    char *output, *grad_value, *grad_offset_mask;
} dcnv4i_tensors;

/* How many pixels the kernels have at work at a time: scratch has room for a group's channels of so many. */
enum { DCNV4I_BOX_PIXELS = 32 };

/* A piece of work is some groups of an image. A piece of forward makes a band of output rows of them. A piece of backward adds
 * up a band of grad_value's rows and writes a band of grad_offset_mask's, each in an order that does not depend on the
 * bands. Where there is scratch, a piece works on copies of value, of some groups after the other. */
typedef struct dcnv4i_piece {
    int64_t image;
    int64_t first_group, last_group;   /* … and up to the one before last */
    int64_t first_output, last_output; /* output rows */
    int64_t first_input, last_input;   /* rows of value that are looked at quickly */
    int64_t first_own, last_own;       /* backward: grad_value's rows */
    int64_t packed_groups;             /* forward: how many are worked on at a time */
    void *scratch;                     /* reals; or NULL, see work.h */
} dcnv4i_piece;

typedef void dcnv4i_kernel(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece);

/* The best kernels that a processor has: a table that is filled with the portable ones first and then overridden. */
typedef struct dcnv4i_kernels {
    dcnv4i_kernel *forward32, *backward32; /* in float arithmetic, see most_pixels */
    dcnv4i_kernel *forward64, *backward64; /* in double arithmetic */
    int64_t most_pixels;                   /* of an image, for the kernels in float arithmetic */
    dcnv4i_copy_rows *read[DCNV4_FLOAT64 + 1], *write[DCNV4_FLOAT64 + 1]; /* by the dtype of storage */
} dcnv4i_kernels;

/* An instruction set: whether this processor has it, and what overrides the table with what there is for it. */
typedef struct dcnv4i_isa {
    const char *name;
    bool (*supported)(void);
    void (*fill)(dcnv4i_kernels *kernels);
} dcnv4i_isa;

/* Those of this architecture, from the plainest, "portable", to the best. */
extern const dcnv4i_isa dcnv4i_isas[];
extern const int dcnv4i_isa_count;

/* Each in the file of its name; float64 belongs to the portable ones. */
void dcnv4i_fill_portable(dcnv4i_kernels *kernels);
void dcnv4i_fill_float64(dcnv4i_kernels *kernels);
void dcnv4i_fill_avx2(dcnv4i_kernels *kernels);
void dcnv4i_fill_avx512(dcnv4i_kernels *kernels);
void dcnv4i_fill_neon(dcnv4i_kernels *kernels);

#endif
