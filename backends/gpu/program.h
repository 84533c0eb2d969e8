/* Any operator's program on a device with run-time compilation: the launches of each pass, without the buffers. */
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

/* Limits for a pass; the ids of the first scratch buffer and of the program's table in a kernel's list; the alignment of scratch,
 * for which a workspace, which may start anywhere, has slack. */
enum {
    DCNV4I_MAX_STEPS = 5,
    DCNV4I_MAX_SCRATCH = 3,
    DCNV4I_BUFFER_SCRATCH = DCNV4I_MAX_TENSORS,
    DCNV4I_BUFFER_TABLE = DCNV4I_BUFFER_SCRATCH + DCNV4I_MAX_SCRATCH,
    DCNV4I_SCRATCH_ALIGNMENT = 64
};

/* A launch without its buffers. The signature says which of the numbers its kernel is passed. */
typedef struct dcnv4i_step {
    void *kernel;
    int64_t groups, work_group; /* no groups: there is no such launch */
    const dcnv4i_signature *signature;
    int64_t numbers[DCNV4I_MAX_NUMBERS];
} dcnv4i_step;

/* A piece of the workspace with elements of item bytes. bytes is a multiple of DCNV4I_SCRATCH_ALIGNMENT, except in the
 * last. */
typedef struct dcnv4i_scratch {
    size_t bytes, item;
} dcnv4i_scratch;

/* The launches of a pass, in their order. */
typedef struct dcnv4i_steps {
    dcnv4i_step step[DCNV4I_MAX_STEPS];
    dcnv4i_scratch scratch[DCNV4I_MAX_SCRATCH]; /* one after the other */
} dcnv4i_steps;

/* A kernel of a program, for kernel_info. */
typedef struct dcnv4i_listed {
    const dcnv4i_module *module;
    int kernel; /* its number in the module */
    bool aligned, atomic;
} dcnv4i_listed;

struct dcnv4i_gpu_operator;

/* An operator's own program may begin with this. */
typedef struct dcnv4i_gpu_program {
    dcnv4i_gpu *gpu;
    const struct dcnv4i_gpu_operator *op;
    const dcnv4i_problem *problem;
    bool has[2];                           /* kernels for buffers that are aligned (1) or not (0) */
    dcnv4i_steps passes[DCNV4I_PASSES][2]; /* by dcnv4_pass, then likewise */
    size_t workspace[DCNV4I_PASSES];       /* bytes */
    void *table; /* a buffer of the program's own, of 64-bit integers, freed with it; NULL for none */
    dcnv4i_listed kernels[2 * DCNV4I_MAX_KERNELS];
    int kernel_count;
} dcnv4i_gpu_program;

/* The loads of a pass, for its roofline kernel: 4·cells vector loads from one tensor for each item, with a sum that
 * would be written to another. */
typedef struct dcnv4i_loads {
    int from, to; /* tensor numbers */
    int64_t cells;
    int64_t channels; /* of all pixels; an item is one vector access of these */
} dcnv4i_loads;

/* Channels of a vector of a run, on a CPU, for groups or heads of `depth` channels: at most so many, but not always a divisor,
 * see DCN_OVERLAP in kernels/sampling/channels.inl. */
int32_t dcnv4i_vector_of_run(int64_t depth);

/* An operator's functions for this backend. `part` is one of the operator's parts. */
typedef struct dcnv4i_gpu_operator {
    const dcnv4i_operator *op;
    unsigned vectors[DCNV4I_PASSES]; /* tensors that a pass accesses in vectors: bit i for tensor number i */

    /* Makes a program, for free(). *program is set only on success. */
    dcnv4_status (*create)(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4i_gpu_program **program);
    dcnv4i_loads (*loads)(const dcnv4i_problem *problem, dcnv4_pass pass);
    int32_t (*dtype)(const dcnv4i_problem *problem); /* of the tensors that loads names */

    /* (optional) The tactics for a part, see core/backend.h. */
    int64_t (*tactic_count)(const dcnv4i_gpu_program *program, int part);
    void (*tactic_info)(const dcnv4i_gpu_program *program, int part, int64_t index, dcnv4_tactic_info *info);
    dcnv4_status (*tactic_create)(const dcnv4i_gpu_program *program, const dcnv4i_problem *problem, int part,
                                  int64_t index, dcnv4i_gpu_program **tactic);
    dcnv4_status (*tactic_save)(const dcnv4i_gpu_program *program, int part, int64_t index);
} dcnv4i_gpu_operator;

/* Work-group size of the kernels that have no tile: a power of two. */
int64_t dcnv4i_flat_group(const dcnv4i_limits *limits);

/* The reciprocal by which kernels divide numbers from 0 to 2³¹ − 1: with s = ⌈log₂ divisor⌉, ⌈2^(31 + s) / divisor⌉ in
 * the lower 32 bits and s in the upper ones (Granlund and Montgomery, 1994). 0 for divisors beyond 1 to INT32_MAX. */
int64_t dcnv4i_reciprocal(int64_t divisor);

/* Alignment in bytes that the widest access, of 8 float32 sums, needs. */
enum { DCNV4I_ALIGNMENT = 32 };

/* Enlarges the workspace of a pass to what these steps need, if it is smaller. */
void dcnv4i_program_add_workspace(dcnv4i_gpu_program *program, dcnv4_pass pass, const dcnv4i_steps *steps);

/* Frees a program and its table. NULL is allowed. */
void dcnv4i_program_free(dcnv4i_gpu_program *program);

/* Memory for an operator's program, whose struct begins with a dcnv4i_gpu_program. */
dcnv4_status dcnv4i_program_allocate(size_t bytes, void **made);

/* Hands over a program if it was made, as status says; otherwise frees it. Returns status. */
dcnv4_status dcnv4i_program_hand_over(dcnv4i_gpu_program *made, dcnv4_status status, dcnv4i_gpu_program **result);

/* DCNV4_UNSUPPORTED for a dtype that these devices lack; and where `buffers` buffers of a float32 for each channel of each pixel
 * cannot be addressed. */
dcnv4_status dcnv4i_program_check_dtype(int32_t dtype);
dcnv4_status dcnv4i_program_check_sums(int64_t pixels, int64_t channels, int buffers);

/* DCNV4_UNSUPPORTED if a work-item might loop more often than this device lets it, over the points of a pixel or head: so many
 * turns for each, DCNV4I_TURNS_OF_A_POINT where their number does not grow with that of the points. */
enum { DCNV4I_TURNS_OF_A_POINT = 16 };
dcnv4_status dcnv4i_program_check_turns(const dcnv4i_limits *limits, int64_t points, int64_t turns_of_point);

/* DCNV4_UNSUPPORTED if a launch is too large for this device. */
dcnv4_status dcnv4i_program_check_launches(const dcnv4i_gpu_program *program);

#endif
