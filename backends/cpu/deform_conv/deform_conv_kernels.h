/* What DCNv4's kernels are given, and the table of them that each instruction set has. */
#ifndef DCNV4I_CPU_DEFORM_CONV_KERNELS_H
#define DCNV4I_CPU_DEFORM_CONV_KERNELS_H

#include "../instruction_sets.h"
#include "../sampling/image.h"

/* A problem as the kernels see it. */
typedef struct dcnv4i_conv_layer {
    dcnv4_problem params;
    int64_t points;       /* K */
    int64_t channels;     /* C = G·D */
    int64_t packed_depth; /* D rounded up to whole vectors: what backward's copies have, the rest being 0 */
    int64_t output_height, output_width;
    int64_t value_pixels, output_pixels; /* of all images */
    dcnv4i_image image;                  /* an image of value */
    int64_t offset_item;                 /* bytes of an element of offset_mask and its gradient */
    bool converts;                       /* tensors, offset_mask and its gradient apart, are not stored as reals */
    dcnv4i_copy_rows *write;             /* as image.read, the other way */
    dcnv4i_copy_rows *read_offsets;      /* forward, which prefetches rows as it reads them */
    dcnv4i_copy_rows *read_near_offsets, *write_near_offsets; /* backward, which does so while it scatters */
    const void *grid_x, *grid_y; /* K reals each: where the kernel's points are, measured from its middle */
    int64_t halo;                /* rows of value above and below a middle that the kernel's grid touches, < 2⁶¹ */
} dcnv4i_conv_layer;

/* Half of what a kernel spans along one axis, rounded down. */
static inline int64_t dcnv4i_half_span(int64_t kernel, int64_t dilation) {
    return dilation * (kernel - 1) >> 1;
}

/* Whether backward copies the rows of grad_output of a box, as reals and whole vectors. */
static inline bool dcnv4i_copies_grad_output(const dcnv4i_conv_layer *layer) {
    return layer->converts || layer->packed_depth != layer->params.group_channels;
}

/* The tensors of a run. */
typedef struct dcnv4i_conv_tensors {
    const char *value, *offset_mask, *grad_output;
    char *output, *grad_value, *grad_offset_mask;
} dcnv4i_conv_tensors;

/* How many pixels of a group the kernels process together: scratch has room for the channels of so many. */
enum { DCNV4I_BOX_PIXELS = DCNV4I_ROWS_AHEAD };

/* What one thread does at a time: some groups of one image. A task of forward computes a band of output's rows. A
 * task of backward sums a band of grad_value's rows and writes a band of grad_offset_mask's, each in an order that
 * does not depend on the bands. With scratch, a task works on copies of value, some groups at a time. */
typedef struct dcnv4i_conv_task {
    int64_t image;
    int64_t first_group, last_group;   /* last_… is one past the end, here and below */
    int64_t first_output, last_output; /* output rows */
    int64_t first_input, last_input;   /* rows of value in the copy; points in others take the exact path */
    int64_t first_own, last_own;       /* backward: grad_value's rows */
    int64_t packed_groups;             /* forward: how many groups are copied at a time */
    void *scratch;                     /* reals; NULL for none */
} dcnv4i_conv_task;

typedef void dcnv4i_conv_kernel(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                                const dcnv4i_conv_task *task);

typedef struct dcnv4i_conv_kernels {
    dcnv4i_conv_kernel *forward, *backward;
    int64_t max_pixels; /* of an image: so many have indices */
    int64_t lanes;      /* reals in a vector */
} dcnv4i_conv_kernels;

/* Those of an instruction set, each in deform_conv_NAME.c; and those in double, for float64, in deform_conv_NAME_f64.c. */
#define DCNV4I_INSTRUCTION_SET(name) \
    extern const dcnv4i_conv_kernels dcnv4i_conv_kernels_##name##_f32, dcnv4i_conv_kernels_##name##_f64;
#include "../instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET

#endif
