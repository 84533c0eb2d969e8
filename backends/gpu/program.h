/* A problem made ready on a device that compiles, whatever the operator: the launches of each pass, but for the buffers. */
#ifndef DCNV4I_PROGRAM_H
#define DCNV4I_PROGRAM_H

#include "../../core/operator.h"
#include "runtime/arguments.h"
#include "runtime/module_store.h"

/* A device of a context. */
typedef struct dcnv4i_gpu {
    const dcnv4i_driver *driver;
    void *device; /* the driver's */
    dcnv4i_limits limits;
    dcnv4i_module_store modules;
} dcnv4i_gpu;

/* The most of a pass; the id of the first scratch buffer in a kernel's list; where scratch begins, and the slack of a workspace,
 * which may start anywhere. */
enum {
    DCNV4I_MAX_STEPS = 4,
    DCNV4I_MAX_SCRATCH = 2,
    DCNV4I_BUFFER_SCRATCH = DCNV4I_MAX_TENSORS,
    DCNV4I_SCRATCH_ALIGNMENT = 64
};

/* A launch but for its buffers. The signature says which of the numbers its kernel is passed. */
typedef struct dcnv4i_step {
    void *kernel;
    int64_t groups, work_group; /* no groups: there is no such launch */
    const dcnv4i_signature *signature;
    int64_t numbers[DCNV4I_MAX_NUMBERS];
} dcnv4i_step;

/* Part of the workspace: a multiple of DCNV4I_SCRATCH_ALIGNMENT bytes, but for the last; elements of item bytes. */
typedef struct dcnv4i_scratch {
    size_t bytes, item;
} dcnv4i_scratch;

/* The launches of a pass, in their order. */
typedef struct dcnv4i_steps {
    dcnv4i_step step[DCNV4I_MAX_STEPS];
    dcnv4i_scratch scratch[DCNV4I_MAX_SCRATCH]; /* one after the other */
} dcnv4i_steps;

/* A kernel that a program has, for those who ask. */
typedef struct dcnv4i_listed {
    const dcnv4i_module *module;
    int kernel; /* its number there */
    bool aligned, atomic;
} dcnv4i_listed;

struct dcnv4i_gpu_operator;

/* An operator's own program may begin with one. */
typedef struct dcnv4i_gpu_program {
    dcnv4i_gpu *gpu;
    const struct dcnv4i_gpu_operator *op;
    const dcnv4i_problem *problem;
    bool has[2];                           /* kernels for buffers that are aligned (1) or not (0) */
    dcnv4i_steps passes[DCNV4I_PASSES][2]; /* by dcnv4_pass, then likewise */
    size_t workspace[DCNV4I_PASSES];       /* bytes */
    dcnv4i_listed kernels[2 * DCNV4I_MAX_KERNELS];
    int kernel_count;
} dcnv4i_gpu_program;

/* What bounds the loads of a pass: 4·cells loads of vectors of a tensor for each of so many items, whose sum would go to
 * another. */
typedef struct dcnv4i_loads {
    int from, to; /* tensors */
    int64_t cells;
    int64_t channels; /* in all: items are of one access each */
} dcnv4i_loads;

/* An operator's part of this backend. `part` is one of the operator's. */
typedef struct dcnv4i_gpu_operator {
    const dcnv4i_operator *op;
    unsigned vectors[DCNV4I_PASSES]; /* tensors that a pass accesses in vectors: bit i for tensor number i */

    /* Makes a program; for free(). *program is set on success alone. */
    dcnv4_status (*create)(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4i_gpu_program **program);
    dcnv4i_loads (*loads)(const dcnv4i_problem *problem, dcnv4_pass pass);
    int32_t (*dtype)(const dcnv4i_problem *problem); /* of the tensors that loads names */

    /* (optional) The ways to do a part, see core/backend.h. */
    int64_t (*tactic_count)(const dcnv4i_gpu_program *program, int part);
    void (*tactic_info)(const dcnv4i_gpu_program *program, int part, int64_t index, dcnv4_tactic_info *info);
    dcnv4_status (*tactic_create)(const dcnv4i_gpu_program *program, const dcnv4i_problem *problem, int part,
                                  int64_t index, dcnv4i_gpu_program **tactic);
    dcnv4_status (*tactic_save)(const dcnv4i_gpu_program *program, int part, int64_t index);
} dcnv4i_gpu_operator;

/* Work-items of a work-group of the kernels that have no tile: a power of two. */
int64_t dcnv4i_flat_group(const dcnv4i_limits *limits);

/* Bytes: what the widest access needs, of 8 float32 sums. */
enum { DCNV4I_ALIGNMENT = 32 };

/* Adds what is asked of a workspace for these steps to what is asked of it already. */
void dcnv4i_program_add_workspace(dcnv4i_gpu_program *program, dcnv4_pass pass, const dcnv4i_steps *steps);

/* Refuses what would not fit a launch on this device. */
dcnv4_status dcnv4i_program_check_launches(const dcnv4i_gpu_program *program);

#endif
