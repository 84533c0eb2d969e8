/* libdcnv4: the operator DCNv4. docs/operator.md has the formula, dcnv4.h a worked example.
 * SPDX-License-Identifier: MIT
 *
 * Symbols: N batch, H×W input size, Ho×Wo output size, G groups, D channels per group, C = G·D, K sampling points
 * (kernel_h·kernel_w, one less with remove_center), P elements in one row of offset_mask. All tensors are
 * channels-last.
 */
#ifndef DCNV4_DEFORM_CONV_H
#define DCNV4_DEFORM_CONV_H

#include <dcnv4/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Problems --------------------------------------------------------------------------------------------------- */

/* A layer and the size of its input. Sizes count elements; pairs are in (height, width) order.
 *
 *     value        [N, H, W, G·D]      the input feature map
 *     offset_mask  [N, Ho, Wo, P]      one row per pixel; group g at 3·K·g: K pairs (dx, dy), K weights; then padding
 *     output       [N, Ho, Wo, G·D]
 *
 *     Ho = (H + 2·pad_h − (dilation_h·(kernel_h − 1) + 1)) / stride_h + 1, rounded down; Wo likewise
 *
 * A pixel stride is the distance between neighbouring pixels, in elements: 0 for a dense tensor, else at least a row's
 * length. With it a slice of a wider tensor can be used in place. Gradients have pixel strides of their own.
 *
 * offset_mask_row is P: 0 stands for 3·G·K rounded up to a multiple of 8, as in the original authors' modules. */
typedef struct dcnv4_problem {
    size_t size;                     /* sizeof(dcnv4_problem) */
    int32_t dtype;                   /* a dcnv4_dtype, of all tensors; but see offset_mask_dtype */
    int32_t remove_center;           /* 1: the kernel's centre point is left out */
    int32_t softmax;                 /* 1: the K weights of a block go through softmax first */
    int32_t deterministic;           /* 1: gradients have the same bits in every run; on the cpu they always do */
    int32_t forward_only;            /* 1: the plan refuses dcnv4_backward, and prepares nothing for it */
    int32_t reserved;                /* 0 */
    double offset_scale;             /* stretches the kernel grid and the offsets; any number */
    int64_t batch;                   /* N ≥ 0 */
    int64_t height, width;           /* H, W ≥ 0 */
    int64_t groups;                  /* G ≥ 1 */
    int64_t group_channels;          /* D ≥ 1 */
    int64_t kernel_h, kernel_w;      /* ≥ 1 */
    int64_t stride_h, stride_w;      /* ≥ 1 */
    int64_t pad_h, pad_w;            /* ≥ 0 */
    int64_t dilation_h, dilation_w;  /* ≥ 1 */
    int64_t offset_mask_row;         /* P ≥ 3·G·K, or 0 */
    int64_t value_stride;            /* pixel strides, from here on */
    int64_t offset_mask_stride;
    int64_t output_stride;
    int64_t grad_output_stride;
    int64_t grad_value_stride;
    int64_t grad_offset_mask_stride;
    int32_t offset_mask_dtype;       /* of offset_mask and grad_offset_mask: DCNV4_SAME_DTYPE, the same as dtype; or
                                      * DCNV4_FLOAT32 with other tensors of 16 bits, which would round the offsets:
                                      * bfloat16 rounds one of 64 pixels by up to 0.25 */
    int32_t reserved_2;              /* 0 */
} dcnv4_problem;

/* float32, one group, a 3×3 kernel with stride 1, padding 1 and dilation 1, dense tensors; N, H, W and D are 0. */
#define DCNV4_PROBLEM_INIT { \
    sizeof(dcnv4_problem), DCNV4_FLOAT32, 0, 0, 0, 0, 0, 1.0, 0, 0, 0, 1, 0, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, \
    DCNV4_SAME_DTYPE, 0 }

/* Sizes derived from a problem. Byte counts are the smallest buffers that hold the tensors. */
typedef struct dcnv4_sizes {
    size_t size;            /* sizeof(dcnv4_sizes) */
    int64_t points;         /* K */
    int64_t channels;       /* C */
    int64_t output_height;  /* Ho */
    int64_t output_width;   /* Wo */
    int64_t offset_mask_row; /* P */
    size_t value, offset_mask, output;                /* bytes */
    size_t grad_output, grad_value, grad_offset_mask; /* bytes */
} dcnv4_sizes;

#define DCNV4_SIZES_INIT { sizeof(dcnv4_sizes), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Checks a problem and fills *sizes; needs no device. On DCNV4_INVALID_PROBLEM the message names the field, its value
 * and what is needed. */
DCNV4_API dcnv4_status dcnv4_problem_sizes(const dcnv4_problem *problem, dcnv4_sizes *sizes);

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* Creates a plan: checks the problem completely and prepares everything that a run needs. *plan is NULL after a
 * failure: DCNV4_INVALID_PROBLEM, DCNV4_UNSUPPORTED (the device lacks this dtype), DCNV4_OUT_OF_MEMORY; on a device
 * that compiles also DCNV4_BUILD_FAILED and DCNV4_COMPILER_UNAVAILABLE.
 *
 * Such a device compiles a layer once, for all N, H and W. The context keeps the kernels in memory, and a cache folder
 * keeps them for later processes: $DCNV4_CACHE_DIR ("off" for none), or else dcnv4 in $XDG_CACHE_HOME or ~/.cache, on
 * Windows in %LOCALAPPDATA%. The folder must belong to this user, and nobody else may have write access (which is not
 * checked on Windows). With DCNV4_COMPILER=off only kernels from that folder are used. Both variables are read when a
 * context is created. A tactic that dcnv4_tactic_save stored there for the layer is read here. */
DCNV4_API dcnv4_status dcnv4_plan_create(dcnv4_context *context, const dcnv4_problem *problem, dcnv4_plan **plan);

/* The parts of the passes, named after what they write. */
typedef enum dcnv4_part {
    DCNV4_PART_OUTPUT = 0,           /* forward */
    DCNV4_PART_GRAD_OFFSET_MASK = 1, /* backward: this one and the next */
    DCNV4_PART_GRAD_VALUE = 2
} dcnv4_part;

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

/* The tensors of a run; those that the pass does not use are ignored. */
typedef struct dcnv4_buffers {
    size_t size; /* sizeof(dcnv4_buffers) */
    dcnv4_buffer value, offset_mask, output;
    dcnv4_buffer grad_output, grad_value, grad_offset_mask;
    dcnv4_buffer workspace;
} dcnv4_buffers;

#define DCNV4_BUFFERS_INIT { sizeof(dcnv4_buffers), { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, \
                             { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 } }

/* value, offset_mask → output. Every element of output is written; nothing between its rows is. stream is NULL on the
 * reference and the cpu, a dcnv4_opencl_stream * on OpenCL, a CUstream or cudaStream_t on CUDA, a hipStream_t on HIP.
 * There NULL is the device's default stream. The run is queued on the stream, and has not ended when the call returns;
 * on CUDA and HIP it may be captured into a graph. Nothing is allocated. DCNV4_INVALID_ARGUMENT if a buffer is missing,
 * too short or misaligned, or if output or the workspace overlaps another buffer; then nothing has been written. */
DCNV4_API dcnv4_status dcnv4_forward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream);

/* value, offset_mask, grad_output → grad_value, grad_offset_mask. Every element of both gradients is written (the
 * padding of grad_offset_mask with 0); nothing between their rows is. Otherwise like dcnv4_forward. */
DCNV4_API dcnv4_status dcnv4_backward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream);

/* Runs a roofline kernel instead of the pass, so that a caller can compare the times of both, as `dcnv4 bench` does. It
 * overwrites the pass's outputs, also between their rows, with meaningless numbers. The first run of a dtype on a
 * context compiles. Otherwise like the pass. DCNV4_UNSUPPORTED on the reference and the cpu, whose limits a caller can
 * measure with loops of its own. */
DCNV4_API dcnv4_status dcnv4_roofline_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                       const dcnv4_buffers *buffers, void *stream);

#ifdef __cplusplus
}
#endif

#endif
