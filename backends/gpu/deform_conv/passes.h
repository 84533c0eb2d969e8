/* What the passes of a program launch, but for the buffers. */
#ifndef DCNV4I_PASSES_H
#define DCNV4I_PASSES_H

#include "choices.h"
#include "../gpu.h"

/* A launch but for its buffers. A kernel's list says which of the numbers it is passed. */
typedef struct dcnv4i_step {
    void *kernel;
    int64_t groups, work_group; /* no groups: there is no such launch */
    dcnv4i_signature_id signature;
    int64_t number[DCNV4I_NUMBERS];
} dcnv4i_step;

/* The launches of a pass, in their order. */
typedef enum dcnv4i_step_id {
    DCNV4I_STEP_MAIN,    /* all of forward; of backward, the gradients of points */
    DCNV4I_STEP_BEFORE,  /* before the scatter: reach or clear */
    DCNV4I_STEP_SCATTER, /* the gradients of value, or both */
    DCNV4I_STEP_AFTER,   /* after it: convert */
    DCNV4I_STEPS
} dcnv4i_step_id;

typedef struct dcnv4i_steps {
    dcnv4i_step step[DCNV4I_STEPS];
    size_t sums_bytes, reach_bytes; /* of the workspace, one after the other */
    size_t reach_item;
} dcnv4i_steps;

/* A kernel that a program has, for those who ask. */
typedef struct dcnv4i_listed {
    const dcnv4i_module *module;
    dcnv4i_kernel kernel;
    bool aligned, atomic;
} dcnv4i_listed;

typedef struct dcnv4i_gpu_program {
    dcnv4i_gpu *gpu;
    dcnv4i_problem problem;
    dcnv4i_choices choices;    /* instead of the defaults */
    int only;                  /* the one part that there is; DCNV4I_PARTS: all that the problem has */
    dcnv4i_steps passes[2][2]; /* by dcnv4_pass, then for buffers that are aligned (1) or not (0) */
    size_t workspace[2];       /* bytes, by dcnv4_pass */
    dcnv4i_listed kernels[2 * DCNV4I_KERNELS];
    int kernel_count;
} dcnv4i_gpu_program;

/* Where the parts of a workspace begin, and its slack: it may start anywhere. */
enum { DCNV4I_WORKSPACE_ALIGNMENT = 64 };

/* Makes a program anew: with these choices, and `only` one part or, as DCNV4I_PARTS, all that the problem has. */
dcnv4_status dcnv4i_passes_make(dcnv4i_gpu_program *made, dcnv4i_gpu *gpu, const dcnv4i_problem *problem,
                                const dcnv4i_choices *choices, int only);

/* Whether there are kernels for buffers that are aligned, or that are not. On a CPU it makes no difference. */
bool dcnv4i_passes_has(const dcnv4i_gpu_program *program, bool aligned);

/* The geometry of a part: chosen, or the default. */
dcnv4i_geometry dcnv4i_passes_geometry(const dcnv4i_gpu_program *program, dcnv4i_part id, bool aligned);

#endif
