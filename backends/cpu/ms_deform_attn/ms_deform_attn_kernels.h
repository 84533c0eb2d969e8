/* What the kernels of multi-scale deformable attention are given, and the table of them that each instruction set has. */
#ifndef DCNV4I_CPU_MS_DEFORM_ATTN_KERNELS_H
#define DCNV4I_CPU_MS_DEFORM_ATTN_KERNELS_H

#include "../../../core/ms_deform_attn_problem.h"
#include "../instruction_sets.h"

/* A problem as the kernels see it. */
typedef struct dcnv4i_attn_layer {
    const dcnv4i_ms_deform_attn *problem;
    int64_t box_queries; /* how many queries of a head are processed together, at most DCNV4I_ROWS_AHEAD */
    int64_t box_rows;    /* how many heads of queries are summed over all levels at once; 0 for level by level */
    int64_t item, location_item, weight_item, reference_item; /* bytes of an element */
    bool converts;                                            /* value and output are not stored as reals */
    bool packs;                                               /* forward packs all heads first, see packed_value */
    bool copies;                    /* backward works on a copy of a head's channels and gradients … */
    int64_t packed_depth;           /* … and has them rounded up to whole vectors there, the rest being 0 */
    dcnv4i_copy_rows *read, *write; /* of value, output and their gradients */
    dcnv4i_copy_rows *read_locations, *write_locations;
    dcnv4i_copy_rows *read_weights, *write_weights;
    dcnv4i_copy_rows *read_references, *write_references;
} dcnv4i_attn_layer;

/* The tensors of a run. With packed, weights are those of locations, from the first weight on. */
typedef struct dcnv4i_attn_tensors {
    const dcnv4_msda_level *levels;
    void *reference_sums; /* [N·Q, M, R·2 or R·4] reals: of backward, the gradients of references for each head */
    void *packed_value;   /* [M, S, D] of the batch that is run, as reals; NULL to read value itself */
    const char *value, *locations, *weights, *references, *grad_output;
    char *output, *grad_value, *grad_locations, *grad_weights, *grad_references;
} dcnv4i_attn_tensors;

/* What one thread does at a time: some queries of one head of one batch; in backward all of them, since grad_value is summed in
 * the order of the queries. */
typedef struct dcnv4i_attn_task {
    int64_t batch, head, last_head;
    int64_t first_query, last_query; /* the last is one past the end */
    void *scratch;                   /* reals */
} dcnv4i_attn_task;

/* Reals of scratch that a task needs. */
static inline int64_t dcnv4i_attn_scratch(const dcnv4i_attn_layer *layer, dcnv4_pass pass) {
    const dcnv4i_ms_deform_attn *problem = layer->problem;
    const int64_t depth = pass == DCNV4_PASS_FORWARD ? problem->params.head_channels : layer->packed_depth;
    const int64_t rows = (2 * layer->box_queries + layer->box_rows) * depth,
                  copy = problem->params.value_length * depth;
    if (pass == DCNV4_PASS_FORWARD)
        return rows + (layer->converts && layer->box_rows == 0 ? copy : 0);
    return rows + (layer->copies ? 2 * copy : 0) + 2 * layer->box_queries * problem->points;
}

typedef void dcnv4i_attn_kernel(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors,
                                const dcnv4i_attn_task *task);

typedef struct dcnv4i_attn_kernels {
    dcnv4i_attn_kernel *forward, *backward;
    void (*sum_references)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors, int64_t first,
                           int64_t last); /* rows of grad_references */
    int64_t max_places;                   /* of a level: so many have indices */
    int64_t lanes;                        /* reals in a vector */
} dcnv4i_attn_kernels;

/* Those of an instruction set, each in ms_deform_attn_NAME.c; and those in double, for float64, in ms_deform_attn_NAME_f64.c. */
#define DCNV4I_INSTRUCTION_SET(name) \
    extern const dcnv4i_attn_kernels dcnv4i_attn_kernels_##name##_f32, dcnv4i_attn_kernels_##name##_f64;
#include "../instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET

#endif
