/* Multi-scale deformable attention on the cpu: programs, their partition into tasks, and their runs. */
#include "../cpu_operator.h"
#include "../../../core/checked_math.h"
#include "ms_deform_attn_kernels.h"

#include <stdlib.h>
#include <string.h>

typedef struct attn_program {
    const dcnv4i_cpu_device *device;
    const dcnv4i_attn_kernels *kernels;
    dcnv4i_attn_layer layer;
} attn_program;

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

/* The instruction set's kernels; the portable ones for more places than its indices can count. They count those of a level,
 * or of all levels where these are gathered from at once, which in float is for few enough places (box_rows_of). */
static const dcnv4i_attn_kernels *choose_kernels(const dcnv4i_ms_deform_attn *problem, dcnv4i_instruction_set_id id) {
    static const dcnv4i_attn_kernels *const all[][2] = {
#define DCNV4I_INSTRUCTION_SET(name) {&dcnv4i_attn_kernels_##name##_f32, &dcnv4i_attn_kernels_##name##_f64},
#include "../instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET
    };
    const int in_double = problem->params.dtype == DCNV4_FLOAT64;
    const dcnv4i_attn_kernels *const best = all[id][in_double], *const portable = all[DCNV4I_portable][in_double];
    if ((in_double || problem->params.levels_in_buffers) && problem->params.value_length > best->max_places)
        return portable;
    for (int l = 0; l < problem->params.level_count; ++l)
        if (problem->levels[l].height * problem->levels[l].width > best->max_places)
            return portable;
    return best;
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

/* About 128 points, whose arrays stay in the first-level cache. A head's points must fit in a chunk of 256, and reals must count
 * all places. */
static int64_t box_rows_of(const dcnv4i_ms_deform_attn *problem) {
    enum { BOX = 128, CHUNK = 256 };
    const int64_t most = (int64_t)1 << (problem->params.dtype == DCNV4_FLOAT64 ? 53 : 24), points = problem->points;
    if (points == 0 || points > CHUNK || problem->params.value_length == 0 || problem->params.value_length >= most)
        return 0;
    return dcnv4i_max64(1, BOX / points);
}

/* Whether heads have their places apart: [S, M·D] as [M, S, D]. A place's channels of one head are as far from those of the next
 * as the caches' sets repeat, so few places of a head stay in them; packed, several times as many. That pays where places are read
 * many times, as they are when the queries are the places themselves. */
static bool packing_pays(const dcnv4i_ms_deform_attn *problem) {
    enum { TIMES = 8 };
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t reads = dcnv4i_saturating_mul64(p->queries, dcnv4i_saturating_mul64(4, problem->points));
    const int64_t reals = dcnv4i_saturating_mul64(p->value_length, problem->channels);
    return p->heads > 1 && reads / TIMES >= p->value_length && reals < PTRDIFF_MAX / 1024;
}

static dcnv4i_attn_layer layer_of(const dcnv4i_ms_deform_attn *problem, dcnv4i_instruction_set_id id) {
    const dcnv4_msda_problem *p = &problem->params;
    const dcnv4i_rows *rows = dcnv4i_rows_for(id, p->dtype);
    const bool converts = p->dtype == DCNV4_FLOAT16 || p->dtype == DCNV4_BFLOAT16, apart = packing_pays(problem);
    return (dcnv4i_attn_layer){
        .problem = problem,
        .box_queries = box_queries_of(problem),
        .box_rows = box_rows_of(problem),
        .item = (int64_t)dcnv4i_dtype_size(p->dtype),
        .location_item = (int64_t)dcnv4i_dtype_size(p->location_dtype),
        .weight_item = (int64_t)dcnv4i_dtype_size(p->weight_dtype),
        .reference_item = (int64_t)dcnv4i_dtype_size(p->reference_dtype),
        .converts = converts,
        .packs = apart && box_rows_of(problem) > 0,
        .copies = converts || apart,
        .read = rows->read[p->dtype],
        .write = rows->write[p->dtype],
        .read_locations = rows->read[p->location_dtype],
        .write_locations = rows->write[p->location_dtype],
        .read_weights = rows->read[p->weight_dtype],
        .write_weights = rows->write[p->weight_dtype],
        .read_references = rows->read[p->reference_dtype],
        .write_references = rows->write[p->reference_dtype],
    };
}

static size_t real_size(const attn_program *program) {
    return program->layer.problem->params.dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
}

/* Reals of backward's sums for references. */
static int64_t reference_sums(const dcnv4i_ms_deform_attn *problem) {
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t numbers = p->reference_levels * problem->reference_numbers;
    return dcnv4i_saturating_mul64(dcnv4i_saturating_mul64(p->batch, p->queries),
                                   dcnv4i_saturating_mul64(p->heads, numbers));
}

/* Bytes of scratch of a task, a multiple of 64; −1 if they cannot be addressed. */
static int64_t scratch_of(const attn_program *program, dcnv4_pass pass) {
    const dcnv4_msda_problem *p = &program->layer.problem->params;
    const int64_t most = PTRDIFF_MAX / (1024 * 8) / 8,
                  copies = dcnv4i_saturating_mul64(p->value_length, program->layer.packed_depth);
    const int64_t rows = dcnv4i_saturating_mul64(program->layer.box_queries, program->layer.packed_depth);
    if (copies > most || rows > most || reference_sums(program->layer.problem) > most ||
        program->layer.problem->points > most / DCNV4I_ROWS_AHEAD)
        return -1;
    return (dcnv4i_attn_scratch(&program->layer, pass) * (int64_t)real_size(program) + 63) / 64 * 64;
}

static dcnv4_status program_create(const dcnv4i_cpu_device *device, const dcnv4i_problem *base, void **program) {
    attn_program *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    made->device = device;
    made->layer = layer_of(problem, device->instruction_set);
    made->kernels = choose_kernels(problem, device->instruction_set);
    const int64_t depth = problem->params.head_channels, lanes = made->kernels->lanes;
    made->layer.packed_depth = made->layer.copies ? dcnv4i_saturating_mul64(dcnv4i_ceil_div64(depth, lanes), lanes)
                                                  : depth;
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

/* Batches × groups of heads × slices of queries.
 *
 * Backward has groups of one head and one slice, since it sums grad_value in the order of the queries. In forward each query stands
 * by itself, and a group is all heads; or one, where heads are packed first. Level by level, too, groups have one head, and where
 * value is converted, which a task does for its head, there are no more slices than the threads need. */
typedef struct partition {
    int64_t batches; /* of tasks that run at the same time */
    int64_t groups, group_heads;
    int64_t slices, slice_queries;
    int workers;
    size_t
        shared; /* bytes that all tasks share: one batch's heads, which forward packs; backward's sums for references */
    size_t scratch; /* bytes of a task */
} partition;

static void partition_forward(const attn_program *program, partition *made) {
    enum { SLICE_ROWS = 512 };
    const dcnv4i_attn_layer *layer = &program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const bool together = layer->box_rows > 0;
    if (layer->packs) {
        made->shared = ((size_t)(p->value_length * layer->problem->channels) * real_size(program) + 63) / 64 * 64;
        made->batches = dcnv4i_min64(p->batch, 1);
    } else if (together) {
        made->group_heads = p->heads;
    }
    const int64_t threads = dcnv4i_pool_threads(program->device->pool),
                  rows = dcnv4i_max64(1, SLICE_ROWS / made->group_heads);
    const int64_t tasks = dcnv4i_max64(1, p->batch * p->heads);
    const int64_t slices = layer->converts && !together ? dcnv4i_ceil_div64(threads, tasks)
                                                        : dcnv4i_ceil_div64(p->queries, rows);
    made->slices = dcnv4i_max64(1, dcnv4i_min64(slices, p->queries));
}

static partition partition_of(const attn_program *program, dcnv4_pass pass) {
    enum { WAKING_COST = 3 << 18 };
    const dcnv4i_attn_layer *layer = &program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int threads = dcnv4i_pool_threads(program->device->pool);
    const int64_t cost = dcnv4i_saturating_mul64(
        dcnv4i_saturating_mul64(dcnv4i_saturating_mul64(p->batch, p->heads), p->queries),
        dcnv4i_saturating_mul64(p->head_channels, 4 * dcnv4i_min64(layer->problem->points, 1 << 30)));
    partition made = {.batches = p->batch, .group_heads = 1, .slices = 1, .scratch = (size_t)scratch_of(program, pass)};
    if (pass == DCNV4_PASS_FORWARD)
        partition_forward(program, &made);
    else
        made.shared = ((size_t)reference_sums(layer->problem) * real_size(program) + 63) / 64 * 64;
    made.groups = p->heads / made.group_heads;
    made.slice_queries = dcnv4i_ceil_div64(p->queries, made.slices);
    made.workers = (int)dcnv4i_min64(threads, dcnv4i_max64(1, cost / WAKING_COST));
    return made;
}

static int64_t tasks_of(const partition *made) {
    return made->batches * made->groups * made->slices;
}

/* What tasks share, scratch for every worker, and room to align the first. */
static size_t workspace_size(const void *program, dcnv4_pass pass) {
    const partition made = partition_of(program, pass);
    const size_t workers = (size_t)dcnv4i_min64(made.workers, tasks_of(&made));
    const size_t bytes = made.shared + made.scratch * workers;
    return bytes > 0 ? bytes + 63 : 0;
}

typedef struct attn_run {
    const attn_program *program;
    dcnv4_pass pass;
    partition partition;
    dcnv4i_attn_tensors tensors;
    char *shared, *scratch;
    int64_t first_batch; /* that of task 0 */
} attn_run;

static void run_task(void *argument, int64_t number, int worker) {
    const attn_run *run = argument;
    const partition *made = &run->partition;
    const dcnv4i_attn_layer *layer = &run->program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t slice = number % made->slices, group = number / made->slices;
    const int64_t first_head = group % made->groups * made->group_heads;
    const dcnv4i_attn_task task = {
        .batch = run->first_batch + group / made->groups,
        .head = first_head,
        .last_head = first_head + made->group_heads,
        .first_query = dcnv4i_min64(slice * made->slice_queries, p->queries),
        .last_query = dcnv4i_min64((slice + 1) * made->slice_queries, p->queries),
        .scratch = run->scratch + (size_t)worker * made->scratch,
    };
    const dcnv4i_attn_kernels *kernels = run->program->kernels;
    (run->pass == DCNV4_PASS_FORWARD ? kernels->forward : kernels->backward)(layer, &run->tensors, &task);
}

enum { PACKED_PLACES = 64 }; /* of a task */

/* Place by place, since only then is value read in the order in which it is stored. */
static void pack_task(void *argument, int64_t number, int worker) {
    const attn_run *run = argument;
    const dcnv4i_attn_layer *layer = &run->program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t depth = p->head_channels, first = number * PACKED_PLACES;
    const int64_t last = dcnv4i_min64(first + PACKED_PLACES, p->value_length);
    const char *const value = run->tensors.value + run->first_batch * p->value_length * p->value_stride * layer->item;
    (void)worker;
    for (int64_t place = first; place < last; ++place)
        layer->read(value + place * p->value_stride * layer->item, depth,
                    run->shared + (size_t)(place * depth) * real_size(run->program), p->value_length * depth, p->heads,
                    depth);
}

enum { CLEARED_PLACES = 64 }; /* of a task */

/* Sets places of grad_value to 0, where backward sums in it: all heads at once, in the order in which they are stored. Head by head
 * the heads' channels of neighbouring places would be apart, and every page visited once for each head. */
static void clear_task(void *argument, int64_t number, int worker) {
    const attn_run *run = argument;
    const dcnv4i_attn_layer *layer = &run->program->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t first = number * CLEARED_PLACES, stride = p->grad_value_stride * layer->item;
    const int64_t last = dcnv4i_min64(first + CLEARED_PLACES, p->batch * p->value_length);
    (void)worker;
    for (int64_t place = first; place < last; ++place)
        memset(run->tensors.grad_value + place * stride, 0, (size_t)(layer->problem->channels * layer->item));
}

enum { REFERENCE_ROWS = 256 }; /* of a task */

static void sum_references_task(void *argument, int64_t number, int worker) {
    const attn_run *run = argument;
    const dcnv4_msda_problem *p = &run->program->layer.problem->params;
    const int64_t first = number * REFERENCE_ROWS, last = dcnv4i_min64(first + REFERENCE_ROWS, p->batch * p->queries);
    (void)worker;
    run->program->kernels->sum_references(&run->program->layer, &run->tensors, first, last);
}

static void run_batches(attn_run *run) {
    dcnv4i_pool *const pool = run->program->device->pool;
    const dcnv4_msda_problem *p = &run->program->layer.problem->params;
    const partition *made = &run->partition;
    if (run->pass == DCNV4_PASS_BACKWARD && !run->program->layer.copies)
        dcnv4i_pool_run(pool, clear_task, run, dcnv4i_ceil_div64(p->batch * p->value_length, CLEARED_PLACES),
                        made->workers);
    for (; run->first_batch < p->batch; run->first_batch += made->batches) {
        if (run->tensors.packed_value)
            dcnv4i_pool_run(pool, pack_task, run, dcnv4i_ceil_div64(p->value_length, PACKED_PLACES), made->workers);
        dcnv4i_pool_run(pool, run_task, run, tasks_of(made), made->workers);
    }
    if (run->tensors.reference_sums)
        dcnv4i_pool_run(pool, sum_references_task, run, dcnv4i_ceil_div64(p->batch * p->queries, REFERENCE_ROWS),
                        made->workers);
}

/* Where a tensor or the workspace begins. One without elements has no address, but addresses are computed from it all the
 * same. */
static char *begin_of(const attn_program *program, const dcnv4_buffer *buffer) {
    return buffer->handle ? dcnv4i_host_pointer(buffer) : (char *)(uintptr_t)program;
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers) {
    const attn_program *const attn = program;
    const dcnv4i_ms_deform_attn *problem = attn->layer.problem;
    const dcnv4_buffer *const tensors = buffers->tensors;
    const bool packed = problem->params.packed;
    dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS];
    const dcnv4_msda_level *levels;
    const dcnv4_status status = dcnv4i_ms_deform_attn_levels(
        problem, dcnv4i_host_pointer(&tensors[DCNV4I_MSDA_LEVEL_SHAPES]),
        dcnv4i_host_pointer(&tensors[DCNV4I_MSDA_LEVEL_STARTS]), room, &levels);
    if (status != DCNV4_SUCCESS)
        return status;
    const int64_t first_weight = problem->weight_begin * attn->layer.weight_item;
    attn_run state = {
        .program = attn,
        .pass = pass,
        .partition = partition_of(attn, pass),
        .tensors =
            {
                .levels = levels,
                .value = begin_of(attn, &tensors[DCNV4I_MSDA_VALUE]),
                .locations = begin_of(attn, &tensors[DCNV4I_MSDA_LOCATIONS]),
                .weights = begin_of(attn, &tensors[packed ? DCNV4I_MSDA_LOCATIONS : DCNV4I_MSDA_WEIGHTS]) +
                           first_weight,
                .references = begin_of(attn, &tensors[DCNV4I_MSDA_REFERENCES]),
                .grad_output = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_OUTPUT]),
                .output = begin_of(attn, &tensors[DCNV4I_MSDA_OUTPUT]),
                .grad_value = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_VALUE]),
                .grad_locations = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_LOCATIONS]),
                .grad_references = begin_of(attn, &tensors[DCNV4I_MSDA_GRAD_REFERENCES]),
                .grad_weights = begin_of(attn,
                                         &tensors[packed ? DCNV4I_MSDA_GRAD_LOCATIONS : DCNV4I_MSDA_GRAD_WEIGHTS]) +
                                first_weight,
            },
        .shared = (char *)(((uintptr_t)begin_of(attn, &buffers->workspace) + 63) & ~(uintptr_t)63),
    };
    if (state.partition.shared > 0)
        *(pass == DCNV4_PASS_FORWARD ? &state.tensors.packed_value : &state.tensors.reference_sums) = state.shared;
    state.scratch = state.shared + state.partition.shared;
    run_batches(&state);
    return DCNV4_SUCCESS;
}

const dcnv4i_cpu_operator dcnv4i_cpu_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
