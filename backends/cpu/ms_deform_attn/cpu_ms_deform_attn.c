/* Multi-scale deformable attention on the cpu: programs, their partition into tasks, and their runs. */
#include "../cpu_operator.h"
#include "../../../core/checked_math.h"
#include "ms_deform_attn_kernels.h"

#include <stdlib.h>

typedef struct attn_program {
    const dcnv4i_cpu_device *device;
    const dcnv4i_attn_kernels *kernels;
    dcnv4i_attn_layer layer;
} attn_program;

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

/* The instruction set's kernels; the portable ones for a level with more places than its indices can count. */
static const dcnv4i_attn_kernels *choose_kernels(const dcnv4i_ms_deform_attn *problem, dcnv4i_instruction_set_id id) {
    static const dcnv4i_attn_kernels *const all[] = {
#define DCNV4I_INSTRUCTION_SET(name) &dcnv4i_attn_kernels_##name##_f32,
#include "../instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET
    };
    if (problem->params.dtype == DCNV4_FLOAT64)
        return &dcnv4i_attn_kernels_portable_f64;
    for (int l = 0; l < problem->params.level_count; ++l)
        if (problem->levels[l].height * problem->levels[l].width > all[id]->max_places)
            return all[DCNV4I_portable];
    return all[id];
}

/* As many queries as have the points of the largest level in one chunk of 256, and whose gradients' scratch stays small. */
static int64_t box_queries_of(const dcnv4i_ms_deform_attn *problem) {
    enum { CHUNK = 256, WEIGHTS = 1 << 14 };
    int64_t most = 1;
    for (int l = 0; l < problem->params.level_count; ++l)
        most = dcnv4i_max64(most, problem->levels[l].points);
    const int64_t queries = dcnv4i_min64(CHUNK / dcnv4i_min64(most, CHUNK), DCNV4I_ROWS_AHEAD);
    return dcnv4i_max64(1, dcnv4i_min64(queries, WEIGHTS / dcnv4i_max64(problem->points, 1)));
}

static dcnv4i_attn_layer layer_of(const dcnv4i_ms_deform_attn *problem, dcnv4i_instruction_set_id id) {
    const dcnv4_msda_problem *p = &problem->params;
    const dcnv4i_rows *rows = dcnv4i_rows_for(id, p->dtype);
    return (dcnv4i_attn_layer){
        .problem = problem,
        .box_queries = box_queries_of(problem),
        .item = (int64_t)dcnv4i_dtype_size(p->dtype),
        .location_item = (int64_t)dcnv4i_dtype_size(p->location_dtype),
        .weight_item = (int64_t)dcnv4i_dtype_size(p->weight_dtype),
        .converts = p->dtype == DCNV4_FLOAT16 || p->dtype == DCNV4_BFLOAT16,
        .read = rows->read[p->dtype],
        .write = rows->write[p->dtype],
        .read_locations = rows->read[p->location_dtype],
        .write_locations = rows->write[p->location_dtype],
        .read_weights = rows->read[p->weight_dtype],
        .write_weights = rows->write[p->weight_dtype],
    };
}

static size_t real_size(const attn_program *program) {
    return program->layer.problem->params.dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
}

/* Bytes of scratch of a task, a multiple of 64; −1 if they cannot be addressed. */
static int64_t scratch_of(const attn_program *program, dcnv4_pass pass) {
    const dcnv4_msda_problem *p = &program->layer.problem->params;
    const int64_t most = PTRDIFF_MAX / (1024 * 8) / 8,
                  copies = dcnv4i_saturating_mul64(p->value_length, p->head_channels);
    const int64_t rows = dcnv4i_saturating_mul64(program->layer.box_queries, p->head_channels);
    if (copies > most || rows > most || program->layer.problem->points > most / DCNV4I_ROWS_AHEAD)
        return -1;
    return (dcnv4i_attn_scratch(&program->layer, pass) * (int64_t)real_size(program) + 63) / 64 * 64;
}

static dcnv4_status program_create(const dcnv4i_cpu_device *device, const dcnv4i_problem *base, void **program) {
    const dcnv4_msda_problem *const p = &((const dcnv4i_ms_deform_attn *)base)->params;
    if (p->location_unit >= DCNV4_MSDA_OFFSETS || p->levels_in_buffers)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the cpu has no reference points and no levels in buffers yet");
    attn_program *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    made->device = device;
    made->layer = layer_of(problem, device->instruction_set);
    made->kernels = choose_kernels(problem, device->instruction_set);
    if (scratch_of(made, DCNV4_PASS_BACKWARD) < 0) {
        free(made);
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the cpu would need more workspace than can be addressed");
    }
    *program = made;
    return DCNV4_SUCCESS;
}

static void program_destroy(void *program) {
    free(program);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* Batches × heads × slices of queries. Where value is converted, a task does it for its head: then there are no more slices than
 * the threads need. Results do not depend on them: each query of forward stands by itself, and backward has one slice. */
typedef struct partition {
    int64_t tasks, slices, slice_queries;
    int workers;
    size_t scratch; /* bytes of a task */
} partition;

static partition partition_of(const attn_program *program, dcnv4_pass pass) {
    enum { SLICE_QUERIES = 512, WAKING_COST = 3 << 18 };
    const dcnv4i_ms_deform_attn *problem = program->layer.problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int threads = dcnv4i_pool_threads(program->device->pool);
    const int64_t heads = dcnv4i_saturating_mul64(p->batch, p->heads);
    const int64_t cost = dcnv4i_saturating_mul64(
        dcnv4i_saturating_mul64(heads, p->queries),
        dcnv4i_saturating_mul64(p->head_channels, 4 * dcnv4i_min64(problem->points, 1 << 30)));
    partition made = {.slices = 1, .scratch = (size_t)scratch_of(program, pass)};
    if (pass == DCNV4_PASS_FORWARD && p->queries > 0) {
        const int64_t needed = program->layer.converts ? dcnv4i_ceil_div64(threads, dcnv4i_max64(heads, 1))
                                                       : dcnv4i_ceil_div64(p->queries, SLICE_QUERIES);
        made.slices = dcnv4i_max64(1, dcnv4i_min64(needed, p->queries));
    }
    made.slice_queries = dcnv4i_ceil_div64(p->queries, made.slices);
    made.tasks = heads * made.slices;
    made.workers = (int)dcnv4i_min64(threads, dcnv4i_max64(1, cost / WAKING_COST));
    return made;
}

/* Scratch for every worker, and room to align the first. */
static size_t workspace_size(const void *program, dcnv4_pass pass) {
    const partition made = partition_of(program, pass);
    const size_t workers = (size_t)dcnv4i_min64(made.workers, made.tasks);
    return made.scratch * workers > 0 ? made.scratch * workers + 63 : 0;
}

typedef struct attn_run {
    const attn_program *program;
    dcnv4_pass pass;
    partition partition;
    dcnv4i_attn_tensors tensors;
    char *workspace;
} attn_run;

static void run_task(void *argument, int64_t number, int worker) {
    const attn_run *run = argument;
    const partition *made = &run->partition;
    const dcnv4i_attn_layer *layer = &run->program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t slice = number % made->slices, head = number / made->slices;
    const dcnv4i_attn_task task = {
        .batch = head / p->heads,
        .head = head % p->heads,
        .first_query = dcnv4i_min64(slice * made->slice_queries, p->queries),
        .last_query = dcnv4i_min64((slice + 1) * made->slice_queries, p->queries),
        .scratch = run->workspace + (size_t)worker * made->scratch,
    };
    const dcnv4i_attn_kernels *kernels = run->program->kernels;
    (run->pass == DCNV4_PASS_FORWARD ? kernels->forward : kernels->backward)(layer, &run->tensors, &task);
}

/* Where a tensor begins. One without elements has no address, but the kernels compute addresses from it all the same. */
static char *begin_of(const attn_program *program, const dcnv4_buffer *buffer) {
    return buffer->handle ? dcnv4i_host_pointer(buffer) : (char *)(uintptr_t)program;
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers) {
    const attn_program *const attn = program;
    const dcnv4i_ms_deform_attn *problem = attn->layer.problem;
    const dcnv4_buffer *const tensors = buffers->tensors;
    const bool packed = problem->params.packed;
    const int64_t first_weight = problem->weight_begin * attn->layer.weight_item;
    attn_run state = {
        .program = attn,
        .pass = pass,
        .partition = partition_of(attn, pass),
        .tensors =
            {
                .value = begin_of(attn, &tensors[DCNV4I_MSDA_VALUE]),
                .locations = begin_of(attn, &tensors[DCNV4I_MSDA_LOCATIONS]),
                .weights = begin_of(attn, &tensors[packed ? DCNV4I_MSDA_LOCATIONS : DCNV4I_MSDA_WEIGHTS]) +
                           first_weight,
                .grad_output = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_OUTPUT]),
                .output = begin_of(attn, &tensors[DCNV4I_MSDA_OUTPUT]),
                .grad_value = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_VALUE]),
                .grad_locations = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_LOCATIONS]),
                .grad_weights = begin_of(attn,
                                         &tensors[packed ? DCNV4I_MSDA_GRAD_LOCATIONS : DCNV4I_MSDA_GRAD_WEIGHTS]) +
                                first_weight,
            },
        .workspace = (char *)(((uintptr_t)dcnv4i_host_pointer(&buffers->workspace) + 63) & ~(uintptr_t)63),
    };
    dcnv4i_pool_run(attn->device->pool, run_task, &state, state.partition.tasks, state.partition.workers);
    return DCNV4_SUCCESS;
}

const dcnv4i_cpu_operator dcnv4i_cpu_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
