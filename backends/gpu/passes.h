/* What the passes of a program launch, but for the buffers. */
#ifndef DCNV4I_PASSES_H
#define DCNV4I_PASSES_H

#include "choices.h"
#include "gpu.h"

/* What an argument of a launch stands for; each tensor and the workspace is a handle and the number of its first element. */
typedef enum dcnv4i_binding {
    DCNV4I_BIND_TENSOR,    /* + dcnv4i_tensor_id */
    DCNV4I_BIND_SUMS = 16, /* the float32 sums of grad_value, in the workspace */
    DCNV4I_BIND_REACH,     /* the reach of output rows, in the workspace */
} dcnv4i_binding;

enum { DCNV4I_MAX_LAUNCHES = 4, DCNV4I_MAX_BINDINGS = 7, DCNV4I_MAX_NUMBERS = 7 };

/* A launch but for its buffers. */
typedef struct dcnv4i_step {
    void *kernel;
    int64_t groups, work_group;
    int bindings, numbers;
    int binding[DCNV4I_MAX_BINDINGS];
    int64_t number[DCNV4I_MAX_NUMBERS];
} dcnv4i_step;

typedef struct dcnv4i_steps {
    int count;
    dcnv4i_step step[DCNV4I_MAX_LAUNCHES];
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
