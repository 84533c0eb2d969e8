/* DCNv4 on the cpu: programs, which know kernels and partitions, and their runs. */
#include "../../../core/deform_conv_problem.h"
#include "../cpu_operator.h"
#include "../../../core/checked_math.h"
#include "partition.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How the passes are partitioned for a context's number of threads. That can change under a program, but not while
 * one runs: it is computed when the program is made, and once more after a change, by the first run that notices. */
typedef struct partitions {
    atomic_int threads; /* 0 while they are recomputed */
    dcnv4i_partition of[2];
} partitions;

typedef struct conv_program {
    const dcnv4i_cpu_device *device;
    const dcnv4i_conv_kernels *kernels;
    dcnv4i_conv_layer layer;
    partitions *partitions;
    void *grid; /* layer.grid_x, then layer.grid_y */
} conv_program;

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

static bool is_double(const conv_program *program) {
    return program->layer.params.dtype == DCNV4_FLOAT64;
}

/* What the kernels need to know of a problem that core has checked. */
static dcnv4i_conv_layer layer_of(const dcnv4i_deform_conv *problem, dcnv4i_instruction_set_id instruction_set) {
    const dcnv4_problem *p = &problem->params;
    const dcnv4i_rows *rows = dcnv4i_rows_for(instruction_set, p->dtype);
    return (dcnv4i_conv_layer){
        .params = *p,
        .points = problem->points,
        .channels = problem->channels,
        .output_height = problem->output_height,
        .output_width = problem->output_width,
        .value_pixels = problem->base.tensors[DCNV4I_VALUE].pixels,
        .output_pixels = problem->base.tensors[DCNV4I_OUTPUT].pixels,
        .image = {p->width, p->height, p->group_channels, p->value_stride, (int64_t)problem->item,
                  rows->read[p->dtype]},
        .offset_item = (int64_t)problem->base.tensors[DCNV4I_OFFSET_MASK].item,
        .converts = p->dtype == DCNV4_FLOAT16 || p->dtype == DCNV4_BFLOAT16,
        .write = rows->write[p->dtype],
        .read_offsets = rows->read[p->offset_mask_dtype],
        .read_near_offsets = rows->read_near[p->offset_mask_dtype],
        .write_near_offsets = rows->write_near[p->offset_mask_dtype],
        .halo = dcnv4i_partition_halo(p),
    };
}

/* The instruction set's kernels; the portable ones for an image with more pixels than its indices can count. */
static const dcnv4i_conv_kernels *choose_kernels(const dcnv4_problem *p, dcnv4i_instruction_set_id instruction_set) {
    static const dcnv4i_conv_kernels *const all[][2] = {
#define DCNV4I_INSTRUCTION_SET(name) {&dcnv4i_conv_kernels_##name##_f32, &dcnv4i_conv_kernels_##name##_f64},
#include "../instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET
    };
    const int in_double = p->dtype == DCNV4_FLOAT64;
    const dcnv4i_conv_kernels *kernels = all[instruction_set][in_double];
    const bool fits = p->width <= 0 || p->height <= kernels->max_pixels / p->width;
    return fits ? kernels : all[DCNV4I_portable][in_double];
}

static void set_grid(conv_program *program, size_t index, double number) {
    if (is_double(program))
        ((double *)program->grid)[index] = number;
    else
        ((float *)program->grid)[index] = (float)number;
}

/* Fills in where the K points are, measured from the kernel's middle; the kernel's width is the outer loop. */
static dcnv4_status make_grid(conv_program *program) {
    dcnv4i_conv_layer *layer = &program->layer;
    const dcnv4_problem *p = &layer->params;
    const size_t real_size = is_double(program) ? sizeof(double) : sizeof(float);
    const size_t points = layer->output_pixels ? (size_t)layer->points : 0;
    /* One more, so that there is a valid pointer where there is no point. */
    program->grid = calloc(points + 1, 2 * real_size);
    if (!program->grid)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the grid of %zu points", points);
    layer->grid_x = program->grid;
    layer->grid_y = (char *)program->grid + points * real_size;
    if (points == 0)
        return DCNV4_SUCCESS;
    const int64_t half_w = dcnv4i_half_span(p->kernel_w, p->dilation_w),
                  half_h = dcnv4i_half_span(p->kernel_h, p->dilation_h);
    size_t k = 0;
    for (int64_t i = 0; i < p->kernel_w; ++i)
        for (int64_t j = 0; j < p->kernel_h; ++j) {
            if (p->remove_center && i == p->kernel_w / 2 && j == p->kernel_h / 2)
                continue;
            set_grid(program, k, (double)(i * p->dilation_w - half_w));
            set_grid(program, points + k, (double)(j * p->dilation_h - half_h));
            ++k;
        }
    return DCNV4_SUCCESS;
}

/* Partitions the passes that a program has. */
static dcnv4_status partition_passes(const conv_program *program, int threads, dcnv4i_partition of[2]) {
    dcnv4_status status = dcnv4i_partition_make(&program->layer, DCNV4_PASS_FORWARD, threads, &of[DCNV4_PASS_FORWARD]);
    if (status == DCNV4_SUCCESS && !program->layer.params.forward_only)
        status = dcnv4i_partition_make(&program->layer, DCNV4_PASS_BACKWARD, threads, &of[DCNV4_PASS_BACKWARD]);
    return status;
}

static dcnv4_status make_partitions(conv_program *program) {
    const int threads = dcnv4i_pool_threads(program->device->pool);
    program->partitions = calloc(1, sizeof *program->partitions);
    if (!program->partitions)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for partitions of %zu bytes", sizeof *program->partitions);
    atomic_init(&program->partitions->threads, threads);
    return partition_passes(program, threads, program->partitions->of);
}

static void program_destroy(void *program) {
    conv_program *const made = program;
    free(made->partitions);
    free(made->grid);
    free(made);
}

static dcnv4_status program_create(const dcnv4i_cpu_device *device, const dcnv4i_problem *problem, void **program) {
    conv_program *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    made->device = device;
    made->layer = layer_of((const dcnv4i_deform_conv *)problem, device->instruction_set);
    made->kernels = choose_kernels(&made->layer.params, device->instruction_set);
    made->layer.packed_depth = dcnv4i_saturating_mul64(
        dcnv4i_ceil_div64(made->layer.params.group_channels, made->kernels->lanes), made->kernels->lanes);
    dcnv4_status status = make_partitions(made);
    if (status == DCNV4_SUCCESS)
        status = make_grid(made);
    if (status == DCNV4_SUCCESS)
        *program = made;
    else
        program_destroy(made);
    return status;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* How a pass is partitioned for the present number of threads. */
static dcnv4_status current_partition(const conv_program *program, dcnv4_pass pass, dcnv4i_partition *partition) {
    partitions *const known = program->partitions;
    const int threads = dcnv4i_pool_threads(program->device->pool);
    int known_threads = atomic_load(&known->threads);
    if (known_threads == threads) {
        *partition = known->of[pass];
        return DCNV4_SUCCESS;
    }
    dcnv4i_partition both[2];
    const dcnv4_status status = partition_passes(program, threads, both);
    if (status != DCNV4_SUCCESS)
        return status;
    *partition = both[pass];
    if (known_threads != 0 && atomic_compare_exchange_strong(&known->threads, &known_threads, 0)) {
        memcpy(known->of, both, sizeof both);
        atomic_store(&known->threads, threads);
    }
    return DCNV4_SUCCESS;
}

static size_t workspace_size(const void *program, dcnv4_pass pass) {
    dcnv4i_partition partition;
    const bool known = current_partition(program, pass, &partition) == DCNV4_SUCCESS;
    return known ? dcnv4i_partition_workspace(&partition) : 0;
}

typedef struct conv_run {
    const conv_program *program;
    dcnv4_pass pass;
    dcnv4i_partition partition;
    dcnv4i_conv_tensors tensors;
    char *workspace;
} conv_run;

static void run_task(void *argument, int64_t number, int worker) {
    const conv_run *run = argument;
    const dcnv4i_partition *partition = &run->partition;
    const dcnv4i_conv_layer *layer = &run->program->layer;
    const dcnv4i_conv_kernels *kernels = run->program->kernels;
    dcnv4i_conv_task task = dcnv4i_partition_task(layer, run->pass, partition, number);
    task.scratch = partition->scratch ? run->workspace + (size_t)worker * partition->scratch : NULL;
    (run->pass == DCNV4_PASS_FORWARD ? kernels->forward : kernels->backward)(layer, &run->tensors, &task);
}

/* Where a tensor begins. One without elements has no address, but the kernels compute addresses from it all the
 * same. */
static char *begin_of(const conv_program *program, const dcnv4_buffer *buffer) {
    return buffer->handle ? dcnv4i_host_pointer(buffer) : program->grid;
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers) {
    conv_run state = {
        .program = program,
        .pass = pass,
        .tensors =
            {
                .value = begin_of(program, &buffers->tensors[DCNV4I_VALUE]),
                .offset_mask = begin_of(program, &buffers->tensors[DCNV4I_OFFSET_MASK]),
                .grad_output = begin_of(program, &buffers->tensors[DCNV4I_GRAD_OUTPUT]),
                .output = begin_of(program, &buffers->tensors[DCNV4I_OUTPUT]),
                .grad_value = begin_of(program, &buffers->tensors[DCNV4I_GRAD_VALUE]),
                .grad_offset_mask = begin_of(program, &buffers->tensors[DCNV4I_GRAD_OFFSET_MASK]),
            },
        .workspace = (char *)(((uintptr_t)dcnv4i_host_pointer(&buffers->workspace) + 63) & ~(uintptr_t)63),
    };
    const dcnv4_status status = current_partition(state.program, pass, &state.partition);
    if (status == DCNV4_SUCCESS)
        dcnv4i_pool_run(state.program->device->pool, run_task, &state, state.partition.tasks, state.partition.workers);
    return status;
}

const dcnv4i_cpu_operator dcnv4i_cpu_deform_conv = {
    .op = &dcnv4i_operator_deform_conv,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
