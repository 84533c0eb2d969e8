/* A program is made ready whole when its plan is made: a run fills in the buffers and starts its launches. */
#include "candidates.h"
#include "choices.h"
#include "floor.h"
#include "target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an argument of a launch stands for; each tensor and the workspace is a handle and the number of its first element. */
typedef enum binding {
    BIND_TENSOR,    /* + dcnv4i_tensor_id */
    BIND_SUMS = 16, /* the float32 sums of grad_value, in the workspace */
    BIND_REACH,     /* the reach of output rows, in the workspace */
} binding;

enum { MAX_LAUNCHES = 4, MAX_BINDINGS = 7, MAX_NUMBERS = 6 };

/* A launch but for its buffers. */
typedef struct step {
    void *kernel;
    int64_t groups, work_group;
    int bindings, numbers;
    int binding[MAX_BINDINGS];
    int64_t number[MAX_NUMBERS];
} step;

typedef struct steps {
    int count;
    step step[MAX_LAUNCHES];
    size_t sums_bytes, reach_bytes; /* of the workspace, one after the other */
    size_t reach_item;
} steps;

/* A kernel that a program has, for those who ask. */
typedef struct listed {
    const dcnv4i_module *module;
    dcnv4i_kernel kernel;
    bool aligned, atomic;
} listed;

typedef struct program {
    dcnv4i_gpu *gpu;
    dcnv4i_problem problem;
    dcnv4i_choices choices; /* instead of the defaults */
    int only;               /* the one part that there is; DCNV4I_PARTS: all that the problem has */
    steps passes[2][2];     /* by dcnv4_pass, then for buffers that are aligned (1) or not (0) */
    size_t workspace[2];    /* bytes, by dcnv4_pass */
    listed kernels[2 * DCNV4I_KERNELS];
    int kernel_count;
} program;

/* Where the parts of a workspace begin, and its slack: it may start anywhere. */
enum { WORKSPACE_ALIGNMENT = 64 };

/* ---- Devices -------------------------------------------------------------------------------------------------------- */

dcnv4_status dcnv4i_gpu_open(const dcnv4i_driver *driver, void *device, const dcnv4i_limits *limits,
                             const dcnv4i_identity *identity, void **gpu) {
    dcnv4i_gpu *made = malloc(sizeof *made);
    dcnv4_status status = dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *made);
    if (made) {
        *made = (dcnv4i_gpu){.driver = driver, .device = device, .limits = *limits};
        status = dcnv4i_programs_open(&made->programs, driver, device, identity);
    }
    if (status == DCNV4_SUCCESS) {
        *gpu = made;
        return status;
    }
    free(made);
    driver->close(device);
    return status;
}

void dcnv4i_gpu_close(void *gpu) {
    dcnv4i_gpu *g = gpu;
    dcnv4i_programs_close(&g->programs);
    g->driver->close(g->device);
    free(g);
}

dcnv4_status dcnv4i_gpu_synchronize(void *gpu) {
    const dcnv4i_gpu *g = gpu;
    const dcnv4_status status = g->driver->usable(g->device);
    return status == DCNV4_SUCCESS ? g->driver->synchronize(g->device) : status;
}

/* ---- Programs ------------------------------------------------------------------------------------------------------- */

static const dcnv4i_cuts no_cuts = {1, 1};

static step *add_step(steps *to, void *kernel, int64_t groups, int64_t work_group) {
    step *added = &to->step[to->count];
    *added = (step){.kernel = kernel, .groups = groups, .work_group = work_group};
    to->count += groups > 0;
    return added;
}

static void bind(step *to, int what) {
    to->binding[to->bindings++] = what;
}

static void pass_number(step *to, int64_t number) {
    to->number[to->numbers++] = number;
}

static void pass_sizes(step *to, const dcnv4i_problem *problem) {
    pass_number(to, problem->asked.height);
    pass_number(to, problem->asked.width);
    pass_number(to, problem->output_height);
    pass_number(to, problem->output_width);
}

/* One part of a program while it is made. */
typedef struct part {
    dcnv4i_part id;
    dcnv4i_geometry geometry;
    const dcnv4i_module *module;
} part;

static void list_kernels(program *made, const part *p) {
    static const dcnv4i_kernel first[DCNV4I_PARTS + 1] = {DCNV4I_KERNEL_FORWARD, DCNV4I_KERNEL_POINTS,
                                                          DCNV4I_KERNEL_SCATTER, DCNV4I_KERNEL_FLOOR_MEMORY};
    for (dcnv4i_kernel k = first[p->id]; k < first[p->id + 1]; ++k)
        if (p->module->kernels[k])
            made->kernels[made->kernel_count++] = (listed){p->module, k, p->geometry.aligned,
                                                           p->geometry.scatter == DCNV4I_SCATTER_ATOMIC};
}

static bool has_part(const program *made, int id) {
    return made->only == DCNV4I_PARTS ? id == DCNV4I_PART_FORWARD || !made->problem.asked.forward_only
                                      : made->only == id;
}

static dcnv4i_geometry geometry_of(const program *made, dcnv4i_part id, bool aligned) {
    const dcnv4i_limits *limits = &made->gpu->limits;
    if (!made->choices.has[id])
        return dcnv4i_geometry_of(limits, &made->problem, id, aligned);
    dcnv4i_geometry chosen = made->choices.geometry[id];
    chosen.aligned = aligned && !limits->cpu;
    return chosen;
}

/* On a CPU, parts of one geometry have one kernel for grad_offset_mask and grad_value. */
static bool does_both(const program *made) {
    const dcnv4i_geometry points = geometry_of(made, DCNV4I_PART_POINTS, false);
    const dcnv4i_geometry scatter = geometry_of(made, DCNV4I_PART_SCATTER, false);
    return has_part(made, DCNV4I_PART_POINTS) && has_part(made, DCNV4I_PART_SCATTER) && points.run > 1 &&
           dcnv4i_geometry_equal(&points, &scatter);
}

/* A part comes with the others that this plan has and that share its geometry. */
static dcnv4_status get_part(program *made, dcnv4i_part id, bool aligned, part *got) {
    const dcnv4i_limits *limits = &made->gpu->limits;
    dcnv4i_part_set parts = 0;
    got->id = id;
    got->geometry = geometry_of(made, id, aligned);
    for (int other = 0; other < DCNV4I_PARTS; ++other) {
        const dcnv4i_geometry geometry = geometry_of(made, (dcnv4i_part)other, aligned);
        if (has_part(made, other) && dcnv4i_geometry_equal(&geometry, &got->geometry))
            parts |= 1u << other;
    }
    const dcnv4_status status = dcnv4i_programs_get(&made->gpu->programs, limits, &made->problem, parts, &got->geometry,
                                                    &got->module);
    if (status == DCNV4_SUCCESS)
        list_kernels(made, got);
    return status;
}

static int64_t tile_work_group(const dcnv4i_geometry *geometry) {
    return geometry->run > 1 ? 1
                             : (int64_t)geometry->tile_h * geometry->tile_w * geometry->tile_groups * geometry->lanes;
}

/* The launch of a part that has one kernel over all blocks. */
static dcnv4_status add_main(program *made, dcnv4i_part id, dcnv4i_kernel kernel, bool aligned, steps *to,
                             const dcnv4i_tensor_id *tensors, int count) {
    part p;
    const dcnv4_status status = get_part(made, id, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    step *main = add_step(to, p.module->kernels[kernel],
                          dcnv4i_geometry_groups(&p.geometry, &made->problem, id, no_cuts),
                          tile_work_group(&p.geometry));
    for (int i = 0; i < count; ++i)
        bind(main, BIND_TENSOR + (int)tensors[i]);
    pass_sizes(main, &made->problem);
    return DCNV4_SUCCESS;
}

static void bind_scatter(step *to) {
    bind(to, BIND_TENSOR + DCNV4I_OFFSET_MASK);
    bind(to, BIND_TENSOR + DCNV4I_GRAD_OUTPUT);
    bind(to, BIND_TENSOR + DCNV4I_GRAD_VALUE);
    bind(to, BIND_SUMS);
}

static void add_owned_scatter(program *made, const part *p, steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->gpu->limits, problem);
    const int64_t rows = cuts.bands > 1 ? problem->asked.batch * problem->output_height : 0;
    step *reach = add_step(to, p->module->kernels[DCNV4I_KERNEL_REACH], rows, 1);
    bind(reach, BIND_TENSOR + DCNV4I_OFFSET_MASK);
    bind(reach, BIND_REACH);
    pass_sizes(reach, problem);
    void *const both = p->module->kernels[DCNV4I_KERNEL_BOTH];
    /* Without value there are still gradients of points: zeros. */
    step *scatter = both ? add_step(to, both, problem->asked.batch * cuts.bands * cuts.shares, 1)
                         : add_step(to, p->module->kernels[DCNV4I_KERNEL_SCATTER],
                                    dcnv4i_geometry_groups(&p->geometry, problem, p->id, cuts), p->geometry.lanes);
    if (both)
        bind(scatter, BIND_TENSOR + DCNV4I_VALUE);
    bind(scatter, BIND_TENSOR + DCNV4I_OFFSET_MASK);
    bind(scatter, BIND_TENSOR + DCNV4I_GRAD_OUTPUT);
    if (both)
        bind(scatter, BIND_TENSOR + DCNV4I_GRAD_OFFSET_MASK);
    bind(scatter, BIND_TENSOR + DCNV4I_GRAD_VALUE);
    bind(scatter, BIND_SUMS);
    bind(scatter, BIND_REACH);
    pass_number(scatter, cuts.bands);
    pass_number(scatter, cuts.shares);
    pass_sizes(scatter, problem);
    to->reach_item = p->geometry.wide ? 8 : 4;
    to->reach_bytes = 2 * to->reach_item * (size_t)rows;
}

static void add_tiled_scatter(program *made, const part *p, steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const int64_t chunks = dcnv4i_geometry_chunks(&p->geometry, problem);
    step *reach = add_step(to, p->module->kernels[DCNV4I_KERNEL_REACH], chunks, dcnv4i_flat_group(&made->gpu->limits));
    bind(reach, BIND_TENSOR + DCNV4I_OFFSET_MASK);
    bind(reach, BIND_REACH);
    pass_sizes(reach, problem);
    step *scatter = add_step(to, p->module->kernels[DCNV4I_KERNEL_SCATTER],
                             dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts),
                             tile_work_group(&p->geometry));
    bind(scatter, BIND_TENSOR + DCNV4I_OFFSET_MASK);
    bind(scatter, BIND_TENSOR + DCNV4I_GRAD_OUTPUT);
    bind(scatter, BIND_TENSOR + DCNV4I_GRAD_VALUE);
    bind(scatter, BIND_REACH);
    pass_sizes(scatter, problem);
    to->reach_item = p->geometry.wide ? 8 : 4;
    to->reach_bytes = 4 * to->reach_item * (size_t)chunks;
}

static void add_atomic_scatter(program *made, const part *p, steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const int64_t pixels = problem->tensors[DCNV4I_VALUE].pixels, items = pixels * problem->channels;
    const int64_t flat = dcnv4i_flat_group(&made->gpu->limits), flat_groups = items / flat + (items % flat != 0);
    step *clear = add_step(to, p->module->kernels[DCNV4I_KERNEL_CLEAR], flat_groups, flat);
    bind(clear, BIND_TENSOR + DCNV4I_GRAD_VALUE);
    bind(clear, BIND_SUMS);
    pass_number(clear, pixels);
    step *scatter = add_step(to, p->module->kernels[DCNV4I_KERNEL_SCATTER],
                             pixels > 0 ? dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts) : 0,
                             tile_work_group(&p->geometry));
    bind_scatter(scatter);
    pass_sizes(scatter, problem);
    if (!p->module->kernels[DCNV4I_KERNEL_CONVERT])
        return;
    step *convert = add_step(to, p->module->kernels[DCNV4I_KERNEL_CONVERT], flat_groups, flat);
    bind(convert, BIND_TENSOR + DCNV4I_GRAD_VALUE);
    bind(convert, BIND_SUMS);
    pass_number(convert, pixels);
}

/* Numbers of the workspace that are float32 sums; on a CPU that does both at once, copies of value lie between them. */
static size_t sums_of(const program *made, const part *p) {
    const dcnv4_problem *asked = &made->problem.asked;
    const int64_t pixels = made->problem.tensors[DCNV4I_VALUE].pixels;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->gpu->limits, &made->problem);
    if (p->module->kernels[DCNV4I_KERNEL_BOTH] && cuts.bands == 1 && asked->height > 1 && asked->width > 1)
        return (size_t)(pixels * cuts.shares * asked->group_channels * 2);
    const bool apart = asked->dtype != DCNV4_FLOAT32 && p->geometry.scatter != DCNV4I_SCATTER_TILES;
    return apart ? (size_t)(pixels * made->problem.channels) : 0;
}

static dcnv4_status add_scatter(program *made, bool aligned, steps *to) {
    part p;
    const dcnv4_status status = get_part(made, DCNV4I_PART_SCATTER, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    to->sums_bytes = (sums_of(made, &p) * sizeof(float) + WORKSPACE_ALIGNMENT - 1) / WORKSPACE_ALIGNMENT *
                     WORKSPACE_ALIGNMENT;
    if (p.geometry.scatter == DCNV4I_SCATTER_BANDS)
        add_owned_scatter(made, &p, to);
    else if (p.geometry.scatter == DCNV4I_SCATTER_TILES)
        add_tiled_scatter(made, &p, to);
    else
        add_atomic_scatter(made, &p, to);
    const size_t parts = to->sums_bytes + to->reach_bytes;
    size_t *const workspace = &made->workspace[DCNV4_PASS_BACKWARD];
    if (parts > 0 && *workspace < parts + WORKSPACE_ALIGNMENT - 1)
        *workspace = parts + WORKSPACE_ALIGNMENT - 1;
    return DCNV4_SUCCESS;
}

/* Numbers that no kernel of ours can count with, and no memory holds tensors of. */
static dcnv4_status check(const dcnv4i_problem *problem) {
    if (problem->asked.dtype == DCNV4_FLOAT64)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "float64 is for the reference and the cpu; this device has float32, float16 "
                           "and bfloat16");
    if (problem->points > INT32_MAX || problem->asked.kernel_h > INT32_MAX || problem->asked.kernel_w > INT32_MAX)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the kernel has %" PRId64 " points, this device can have up to %d",
                           problem->points, INT32_MAX);
    const int64_t pixels = problem->tensors[DCNV4I_VALUE].pixels, most = PTRDIFF_MAX / (int64_t)sizeof(float) / 2;
    if (pixels > most / problem->channels)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "this device needs %" PRId64 " times %" PRId64 " float32 sums, past what can "
                           "be addressed",
                           pixels, problem->channels);
    return DCNV4_SUCCESS;
}

static dcnv4_status make_passes(program *made, bool aligned) {
    static const dcnv4i_tensor_id forward[] = {DCNV4I_VALUE, DCNV4I_OFFSET_MASK, DCNV4I_OUTPUT};
    static const dcnv4i_tensor_id points[] = {DCNV4I_VALUE, DCNV4I_OFFSET_MASK, DCNV4I_GRAD_OUTPUT,
                                              DCNV4I_GRAD_OFFSET_MASK};
    steps *const backward = &made->passes[DCNV4_PASS_BACKWARD][aligned];
    dcnv4_status status = DCNV4_SUCCESS;
    if (has_part(made, DCNV4I_PART_FORWARD))
        status = add_main(made, DCNV4I_PART_FORWARD, DCNV4I_KERNEL_FORWARD, aligned,
                          &made->passes[DCNV4_PASS_FORWARD][aligned], forward, 3);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4I_PART_POINTS) && !does_both(made))
        status = add_main(made, DCNV4I_PART_POINTS, DCNV4I_KERNEL_POINTS, aligned, backward, points, 4);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4I_PART_SCATTER))
        status = add_scatter(made, aligned, backward);
    return status;
}

/* A grid of work-groups has an end; what would not fit is refused here, not when it is launched. */
static dcnv4_status check_steps(const dcnv4i_limits *limits, const steps *all) {
    for (const step *s = all->step; s < all->step + all->count; ++s)
        if ((limits->groups > 0 && s->groups > limits->groups) ||
            (limits->items > 0 && s->groups > limits->items / s->work_group))
            return dcnv4i_fail(DCNV4_UNSUPPORTED,
                               "a pass needs %" PRId64 " work-groups of %" PRId64 " work-items, more than a launch on "
                               "this device can have; split the batch",
                               s->groups, s->work_group);
    return DCNV4_SUCCESS;
}

static dcnv4_status check_passes(const program *made) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < 4 && status == DCNV4_SUCCESS; ++i)
        status = check_steps(&made->gpu->limits, &made->passes[i / 2][i % 2]);
    return status;
}

/* Whether there are kernels for buffers that are aligned, or that are not. On a CPU it makes no difference. */
static bool has_run(const program *made, bool aligned) {
    return made->gpu->limits.cpu ? !aligned : aligned || made->only == DCNV4I_PARTS;
}

/* Makes a program anew, with these choices. */
static dcnv4_status make_program(program *made, dcnv4i_gpu *gpu, const dcnv4i_problem *problem,
                                 const dcnv4i_choices *choices, int only) {
    memset(made, 0, sizeof *made);
    made->gpu = gpu;
    made->problem = *problem;
    made->choices = *choices;
    made->only = only;
    /* A candidate is for comparing times: half of the compiling is spared. */
    dcnv4_status status = has_run(made, false) ? make_passes(made, false) : DCNV4_SUCCESS;
    if (status == DCNV4_SUCCESS && has_run(made, true))
        status = make_passes(made, true);
    return status == DCNV4_SUCCESS ? check_passes(made) : status;
}

static dcnv4_status allocate(program **made) {
    *made = malloc(sizeof **made);
    return *made ? DCNV4_SUCCESS
                 : dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof **made);
}

/* Hands over a program that was made with this status, or frees it. */
static dcnv4_status hand_over(program *made, dcnv4_status status, void **result) {
    if (status == DCNV4_SUCCESS)
        *result = made;
    else
        free(made);
    return status;
}

dcnv4_status dcnv4i_gpu_program_create(void *gpu, const dcnv4i_problem *problem, void **result) {
    static const dcnv4i_choices defaults = {.any = false};
    dcnv4i_gpu *g = gpu;
    program *made;
    dcnv4_status status = g->driver->usable(g->device);
    if (status == DCNV4_SUCCESS)
        status = check(problem);
    if (status == DCNV4_SUCCESS)
        status = allocate(&made);
    if (status != DCNV4_SUCCESS)
        return status;
    const dcnv4i_choices choices = dcnv4i_choices_read(&g->programs, &g->limits, problem);
    status = make_program(made, g, problem, &choices, DCNV4I_PARTS);
    /* A choice may ask for kernels that cannot be had, where the compiler is forbidden and the folder has the defaults'. */
    if (status != DCNV4_SUCCESS && choices.any)
        status = make_program(made, g, problem, &defaults, DCNV4I_PARTS);
    return hand_over(made, status, result);
}

/* ---- Candidates ----------------------------------------------------------------------------------------------------- */

static int candidates_of(const program *p, dcnv4_part id, dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES]) {
    return dcnv4i_candidates_of(&p->gpu->limits, &p->problem, (dcnv4i_part)id, false, candidates);
}

int64_t dcnv4i_gpu_candidate_count(const void *made, dcnv4_part id) {
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    return candidates_of(made, id, candidates);
}

void dcnv4i_gpu_candidate_info(const void *made, dcnv4_part id, int64_t index, dcnv4_candidate_info *info) {
    const program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    candidates_of(p, id, candidates);
    const dcnv4i_geometry used = geometry_of(p, (dcnv4i_part)id, false);
    dcnv4i_geometry_words(&candidates[index], (dcnv4i_part)id, info->words);
    info->in_use = dcnv4i_geometry_equal(&candidates[index], &used);
}

dcnv4_status dcnv4i_gpu_candidate_create(const void *made, dcnv4_part id, int64_t index, void **result) {
    const program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    dcnv4i_choices choices = {.any = true};
    program *candidate;
    candidates_of(p, id, candidates);
    choices.has[id] = true;
    choices.geometry[id] = candidates[index];
    dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS)
        status = allocate(&candidate);
    if (status != DCNV4_SUCCESS)
        return status;
    return hand_over(candidate, make_program(candidate, p->gpu, &p->problem, &choices, (int)id), result);
}

dcnv4_status dcnv4i_gpu_candidate_keep(const void *made, dcnv4_part id, int64_t index) {
    const program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    candidates_of(p, id, candidates);
    return dcnv4i_choices_keep(&p->gpu->programs, &p->gpu->limits, &p->problem, (dcnv4i_part)id,
                               index > 0 ? &candidates[index] : NULL);
}

void dcnv4i_gpu_program_destroy(void *made) {
    free(made);
}

size_t dcnv4i_gpu_workspace_size(const void *made, dcnv4_pass pass) {
    return ((const program *)made)->workspace[pass];
}

int64_t dcnv4i_gpu_kernel_count(const void *made) {
    return ((const program *)made)->kernel_count;
}

void dcnv4i_gpu_kernel_info(const void *made, int64_t index, dcnv4_kernel_info *info) {
    const program *p = made;
    const listed *k = &p->kernels[index];
    const dcnv4i_resources *r = &k->module->resources[k->kernel];
    const dcnv4i_target *target = p->gpu->programs.identity->target;
    snprintf(info->name, sizeof info->name, "%s", dcnv4i_kernel_name(k->kernel));
    snprintf(info->target, sizeof info->target, "%s", target ? target->name : "");
    info->aligned = k->aligned;
    info->deterministic = !k->atomic;
    info->registers = r->known ? r->registers : -1;
    info->local_memory_bytes = r->known ? r->local_memory : -1;
    info->spill_bytes = r->known ? r->spill : -1;
    info->occupancy = r->known && target ? dcnv4i_target_occupancy(target, r->work_group, r->registers, r->local_memory)
                                         : -1;
}

/* ---- Runs ----------------------------------------------------------------------------------------------------------- */

/* A buffer and the number of the element, of item bytes, where its part begins. */
static void give_buffer(dcnv4i_launch *launch, void *handle, size_t offset, size_t item) {
    launch->arguments[launch->argument_count++] = (dcnv4i_argument){.is_handle = true, .handle = handle};
    launch->arguments[launch->argument_count++] = (dcnv4i_argument){.number = (int64_t)(offset / item)};
}

static void give(const program *p, const steps *todo, const dcnv4_buffers *buffers, int what, dcnv4i_launch *launch) {
    const dcnv4_buffer *const tensors[DCNV4I_TENSORS] = {
        &buffers->value,       &buffers->offset_mask, &buffers->output,
        &buffers->grad_output, &buffers->grad_value,  &buffers->grad_offset_mask,
    };
    /* Where there is no such part of the workspace, the kernel does not read the argument; it gets something valid. */
    const bool used = (what == BIND_SUMS ? todo->sums_bytes : todo->reach_bytes) > 0;
    if (what < BIND_SUMS)
        give_buffer(launch, tensors[what]->handle, tensors[what]->offset, p->problem.item);
    else if (!used)
        give_buffer(launch, buffers->grad_value.handle, 0, 1);
    else {
        const size_t mask = WORKSPACE_ALIGNMENT - 1, begin = (buffers->workspace.offset + mask) & ~mask;
        give_buffer(launch, buffers->workspace.handle, begin + (what == BIND_REACH ? todo->sums_bytes : 0),
                    what == BIND_REACH ? todo->reach_item : sizeof(float));
    }
}

/* Whether every tensor of the pass begins at a multiple of DCNV4I_ALIGNMENT; the workspace's parts always do. */
static bool are_aligned(const program *p, dcnv4_pass pass, const dcnv4_buffers *buffers) {
    const dcnv4_buffer *const forward[] = {&buffers->value, &buffers->output};
    const dcnv4_buffer *const backward[] = {&buffers->value, &buffers->grad_output, &buffers->grad_value};
    const int count = pass == DCNV4_PASS_FORWARD ? 2 : 3;
    uintptr_t bits = 0;
    for (int i = 0; i < count; ++i) {
        const dcnv4_buffer *tensor = pass == DCNV4_PASS_FORWARD ? forward[i] : backward[i];
        bits |= tensor->offset + (p->gpu->driver->pointer_handles ? (uintptr_t)tensor->handle : 0);
    }
    return bits % DCNV4I_ALIGNMENT == 0;
}

dcnv4_status dcnv4i_gpu_run(const void *made, dcnv4_pass pass, const dcnv4_buffers *buffers, void *stream) {
    const program *p = made;
    const bool aligned = !p->gpu->limits.cpu && are_aligned(p, pass, buffers);
    const steps *todo = &p->passes[pass][aligned];
    dcnv4i_launch launches[MAX_LAUNCHES];
    for (int i = 0; i < todo->count; ++i) {
        const step *s = &todo->step[i];
        launches[i].kernel = s->kernel;
        launches[i].groups = s->groups;
        launches[i].work_group = s->work_group;
        launches[i].argument_count = 0;
        for (int b = 0; b < s->bindings; ++b)
            give(p, todo, buffers, s->binding[b], &launches[i]);
        for (int n = 0; n < s->numbers; ++n)
            launches[i].arguments[launches[i].argument_count++] = (dcnv4i_argument){.number = s->number[n]};
    }
    const dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS && !has_run(p, aligned))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "a candidate's tensors begin at multiples of %d bytes",
                           DCNV4I_ALIGNMENT);
    return status == DCNV4_SUCCESS ? p->gpu->driver->start(p->gpu->device, launches, todo->count, stream) : status;
}

dcnv4_status dcnv4i_gpu_floor_run(const void *made, dcnv4_pass pass, dcnv4_floor floor, const dcnv4_buffers *buffers,
                                  void *stream) {
    const program *p = made;
    return dcnv4i_floor_start(p->gpu, &p->problem, pass, floor, buffers, stream);
}

/* ---- Memory --------------------------------------------------------------------------------------------------------- */

dcnv4_status dcnv4i_gpu_buffer_create(void *gpu, size_t length, void **handle) {
    const dcnv4i_gpu *g = gpu;
    const dcnv4_status status = g->driver->usable(g->device);
    return status == DCNV4_SUCCESS ? g->driver->buffer_create(g->device, length, handle) : status;
}

void dcnv4i_gpu_buffer_destroy(void *gpu, void *handle) {
    const dcnv4i_gpu *g = gpu;
    g->driver->buffer_destroy(g->device, handle);
}

dcnv4_status dcnv4i_gpu_upload(void *gpu, const dcnv4_buffer *buffer, const void *source, size_t length) {
    const dcnv4i_gpu *g = gpu;
    const dcnv4_status status = g->driver->usable(g->device);
    return status == DCNV4_SUCCESS ? g->driver->upload(g->device, buffer->handle, buffer->offset, source, length)
                                   : status;
}

dcnv4_status dcnv4i_gpu_download(void *gpu, const dcnv4_buffer *buffer, void *target, size_t length) {
    const dcnv4i_gpu *g = gpu;
    const dcnv4_status status = g->driver->usable(g->device);
    return status == DCNV4_SUCCESS ? g->driver->download(g->device, buffer->handle, buffer->offset, target, length)
                                   : status;
}
