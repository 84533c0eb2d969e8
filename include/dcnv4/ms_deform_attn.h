/* libdcnv4: multi-scale deformable attention (Zhu et al., ICLR 2021, arXiv 2010.04159), in the form of Deformable DETR and its
 * successors, and with the softmax inside, as FlashDeformAttn has it. docs/ms-deform-attn.md has the formula and the contract.
 * SPDX-License-Identifier: MIT
 *
 * Words: N batch, S places of all levels, L levels of H×W places each, M heads, D channels per head, Q queries, K points that a
 * head of a query samples in a level, P = Σ K over the levels, R references that a query has.
 */
#ifndef DCNV4_MS_DEFORM_ATTN_H
#define DCNV4_MS_DEFORM_ATTN_H

#include <dcnv4/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Problems --------------------------------------------------------------------------------------------------- */

/* A level: an image of H×W places, row by row from number `start` of value on, in which each head of a query samples `points`
 * points. */
typedef struct dcnv4_msda_level {
    int64_t height, width; /* H, W ≥ 0; no point counts in a level without places */
    int64_t start;         /* ≥ 0; start + H·W ≤ S, and levels do not overlap; gaps and any order are allowed */
    int64_t points;        /* K ≥ 0 */
} dcnv4_msda_level;

/* What a location (X, Y) means: column x and row y of its level, with the centre of the first place at (0, 0). */
typedef enum dcnv4_msda_unit {
    DCNV4_MSDA_NORMALIZED = 0, /* x = X·W − 0.5, y = Y·H − 0.5: 0 and 1 are the outer edges of the first and last place */
    DCNV4_MSDA_PLACES = 1,     /* x = X, y = Y */
    /* Offsets in places from a reference point (RX, RY), which is normalised: x = X + RX·W − 0.5, y = Y + RY·H − 0.5 */
    DCNV4_MSDA_OFFSETS = 2,
    /* Offsets in parts of a reference box, normalised too, with the centre (RX, RY) and the size (RW, RH):
     * x = (RX + X·RW·box_scale/K)·W − 0.5, y likewise with RY, RH and H */
    DCNV4_MSDA_BOX_OFFSETS = 3
} dcnv4_msda_unit;

/* What is asked. Sizes count elements.
 *
 *     value      [N, S, M·D]     the feature maps of all levels
 *     locations  [N, Q, M, P, 2] (X, Y) of each point: level by level, then point by point
 *     weights    [N, Q, M, P]    likewise
 *     references [N, Q, R, 2]    (RX, RY) with DCNV4_MSDA_OFFSETS; [N, Q, R, 4], (RX, RY, RW, RH), with DCNV4_MSDA_BOX_OFFSETS;
 *                                not used with the other units
 *     output     [N, Q, M·D]
 *
 * With packed, locations is [N, Q, M, 3·P]: in each head's row first P pairs (X, Y), then P weights; weights is not used, nor is
 * its gradient.
 *
 * A stride is the distance between neighbouring places of value, or queries of the others, in elements: 0 for a dense tensor,
 * else at least the row. */
typedef struct dcnv4_msda_problem {
    size_t size;                    /* sizeof(dcnv4_msda_problem) */
    int32_t dtype;                  /* a dcnv4_dtype, of value, output and their gradients */
    int32_t location_dtype;         /* of locations and their gradient: DCNV4_SAME_DTYPE, or DCNV4_FLOAT32 beside 16 bits, which
                                     * round a normalised location: float16 by up to 0.05 places in 200, bfloat16 by 0.4 */
    int32_t weight_dtype;           /* of weights and their gradient, likewise; with packed the same as location_dtype */
    int32_t reference_dtype;        /* of references and their gradient, likewise, beside location_dtype */
    int32_t location_unit;          /* a dcnv4_msda_unit */
    int32_t softmax;                /* 1: the P weights of a head and query are softmaxed first, all levels together */
    int32_t packed;                 /* 1: weights follow their locations in one tensor */
    int32_t deterministic;          /* 1: gradients have the same bits in every run; the cpu's always have */
    int32_t forward_only;           /* 1: the plan refuses dcnv4_msda_backward, and spares what only that would need */
    int32_t levels_in_buffers;      /* 1: levels says only how many points each has; sizes and starts are read in every run from
                                     * level_shapes and level_starts, see dcnv4_msda_buffers */
    const dcnv4_msda_level *levels; /* read when the plan is made, and not kept */
    int64_t level_count;            /* L: 1 to DCNV4_MSDA_MAX_LEVELS */
    int64_t batch;                  /* N ≥ 0 */
    int64_t value_length;           /* S ≥ 0 */
    int64_t queries;                /* Q ≥ 0 */
    int64_t heads;                  /* M ≥ 1 */
    int64_t head_channels;          /* D ≥ 1 */
    int64_t reference_levels;       /* R: level_count, or 1, a reference for all levels */
    double box_scale;               /* finite */
    int64_t value_stride;           /* strides, from here on */
    int64_t location_stride;
    int64_t weight_stride;
    int64_t reference_stride;
    int64_t output_stride;
    int64_t grad_output_stride;
    int64_t grad_value_stride;
    int64_t grad_location_stride;
    int64_t grad_weight_stride;
    int64_t grad_reference_stride;
} dcnv4_msda_problem;

#define DCNV4_MSDA_MAX_LEVELS 64

/* float32, normalised locations, weights of their own that are used as they are, dense tensors; levels and sizes are left at 0,
 * but one head. References, where the unit has them, are one for all levels, with a box_scale of 0.5. */
#define DCNV4_MSDA_PROBLEM_INIT { \
    sizeof(dcnv4_msda_problem), DCNV4_FLOAT32, DCNV4_SAME_DTYPE, DCNV4_SAME_DTYPE, DCNV4_SAME_DTYPE, DCNV4_MSDA_NORMALIZED, \
    0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 1, 0, 1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* What follows from a problem. Byte counts are what the buffer of that tensor must at least hold. */
typedef struct dcnv4_msda_sizes {
    size_t size;    /* sizeof(dcnv4_msda_sizes) */
    int64_t points; /* P */
    size_t value, locations, weights, references, level_shapes, level_starts, output;  /* bytes */
    size_t grad_output, grad_value, grad_locations, grad_weights, grad_references;     /* bytes */
} dcnv4_msda_sizes;

#define DCNV4_MSDA_SIZES_INIT { sizeof(dcnv4_msda_sizes), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Checks a problem and says its sizes; needs no device. DCNV4_INVALID_PROBLEM names the field and both numbers. */
DCNV4_API dcnv4_status dcnv4_msda_sizes_get(const dcnv4_msda_problem *problem, dcnv4_msda_sizes *sizes);

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* As dcnv4_plan_create. What compiles a layer compiles it once: N, S, Q and the levels' sizes and starts do not matter. */
DCNV4_API dcnv4_status dcnv4_msda_plan_create(dcnv4_context *context, const dcnv4_msda_problem *problem, dcnv4_plan **plan);

/* The parts of the passes, named after what they write. */
typedef enum dcnv4_msda_part {
    DCNV4_MSDA_PART_OUTPUT = 0,      /* forward */
    DCNV4_MSDA_PART_GRAD_POINTS = 1, /* locations, weights and references; backward is this one and the next */
    DCNV4_MSDA_PART_GRAD_VALUE = 2
} dcnv4_msda_part;

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

/* The tensors of a run; those that the pass, the layout or the unit does not use are ignored.
 *
 * level_shapes and level_starts are used with levels_in_buffers: int64 numbers [L, 2], (H, W) of each level, and [L]. A cpu reads
 * and checks them in every run. Other devices cannot refuse: a level that stands out of value is one without places there. Levels
 * that overlap are not refused: grad_value then has the sum of both. */
typedef struct dcnv4_msda_buffers {
    size_t size; /* sizeof(dcnv4_msda_buffers) */
    dcnv4_buffer value, locations, weights, references, level_shapes, level_starts, output;
    dcnv4_buffer grad_output, grad_value, grad_locations, grad_weights, grad_references;
    dcnv4_buffer workspace;
} dcnv4_msda_buffers;

#define DCNV4_MSDA_BUFFERS_INIT { sizeof(dcnv4_msda_buffers), { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, \
                                  { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, \
                                  { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 } }

/* value, locations, weights, references → output. Otherwise as dcnv4_forward. */
DCNV4_API dcnv4_status dcnv4_msda_forward(const dcnv4_plan *plan, const dcnv4_msda_buffers *buffers, void *stream);

/* value, locations, weights, references, grad_output → grad_value, grad_locations, grad_weights, grad_references. Every element of grad_value is written, with
 * 0 in gaps between levels; grad_locations are in the locations' unit. Otherwise as dcnv4_backward. */
DCNV4_API dcnv4_status dcnv4_msda_backward(const dcnv4_plan *plan, const dcnv4_msda_buffers *buffers, void *stream);

/* As dcnv4_roofline_run. */
DCNV4_API dcnv4_status dcnv4_msda_roofline_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                                               const dcnv4_msda_buffers *buffers, void *stream);

#ifdef __cplusplus
}
#endif

#endif
