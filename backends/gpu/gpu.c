/* A program is made ready whole when its plan is made: a run fills in the buffers and starts its launches. */
#include "deform_conv/candidates.h"
#include "roofline.h"
#include "deform_conv/passes.h"
#include "runtime/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Numbers that no kernel of ours can count with, and no memory holds tensors of. */
static dcnv4_status check(const dcnv4i_problem *problem) {
    if (problem->asked.dtype == DCNV4_FLOAT64)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "float64 is for the reference and the cpu; this device has float32, float16 "
                           "and bfloat16");
    enum { MOST_POINTS = INT32_MAX / 4 }; /* three numbers of a point are counted in 32 bits */
    if (problem->points > MOST_POINTS || problem->asked.kernel_h > MOST_POINTS || problem->asked.kernel_w > MOST_POINTS)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the kernel has %" PRId64 " points, this device can have up to %d",
                           problem->points, MOST_POINTS);
    const int64_t pixels = problem->tensors[DCNV4I_VALUE].pixels, most = PTRDIFF_MAX / (int64_t)sizeof(float) / 2;
    if (pixels > most / problem->channels)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "this device needs %" PRId64 " times %" PRId64 " float32 sums, past what can "
                           "be addressed",
                           pixels, problem->channels);
    return DCNV4_SUCCESS;
}

static dcnv4_status allocate(dcnv4i_gpu_program **made) {
    *made = malloc(sizeof **made);
    return *made ? DCNV4_SUCCESS
                 : dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof **made);
}

/* Hands over a program that was made with this status, or frees it. */
static dcnv4_status hand_over(dcnv4i_gpu_program *made, dcnv4_status status, void **result) {
    if (status == DCNV4_SUCCESS)
        *result = made;
    else
        free(made);
    return status;
}

dcnv4_status dcnv4i_gpu_program_create(void *gpu, const dcnv4i_problem *problem, void **result) {
    static const dcnv4i_choices defaults = {.any = false};
    dcnv4i_gpu *g = gpu;
    dcnv4i_gpu_program *made;
    dcnv4_status status = g->driver->usable(g->device);
    if (status == DCNV4_SUCCESS)
        status = check(problem);
    if (status == DCNV4_SUCCESS)
        status = allocate(&made);
    if (status != DCNV4_SUCCESS)
        return status;
    const dcnv4i_choices choices = dcnv4i_choices_read(&g->programs, &g->limits, problem);
    status = dcnv4i_passes_make(made, g, problem, &choices, DCNV4I_PARTS);
    /* A choice may ask for kernels that cannot be had, where the compiler is forbidden and the folder has the defaults'. */
    if (status != DCNV4_SUCCESS && choices.any)
        status = dcnv4i_passes_make(made, g, problem, &defaults, DCNV4I_PARTS);
    return hand_over(made, status, result);
}

/* ---- Candidates ----------------------------------------------------------------------------------------------------- */

static int candidates_of(const dcnv4i_gpu_program *p, dcnv4_part id,
                         dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES]) {
    return dcnv4i_candidates_of(&p->gpu->limits, &p->problem, (dcnv4i_part)id, false, candidates);
}

int64_t dcnv4i_gpu_candidate_count(const void *made, dcnv4_part id) {
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    return candidates_of(made, id, candidates);
}

void dcnv4i_gpu_candidate_info(const void *made, dcnv4_part id, int64_t index, dcnv4_candidate_info *info) {
    const dcnv4i_gpu_program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    candidates_of(p, id, candidates);
    const dcnv4i_geometry used = dcnv4i_passes_geometry(p, (dcnv4i_part)id, false);
    dcnv4i_geometry_words(&candidates[index], (dcnv4i_part)id, info->words);
    info->in_use = dcnv4i_geometry_equal(&candidates[index], &used);
}

dcnv4_status dcnv4i_gpu_candidate_create(const void *made, dcnv4_part id, int64_t index, void **result) {
    const dcnv4i_gpu_program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    dcnv4i_choices choices = {.any = true};
    dcnv4i_gpu_program *candidate;
    candidates_of(p, id, candidates);
    choices.has[id] = true;
    choices.geometry[id] = candidates[index];
    dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS)
        status = allocate(&candidate);
    if (status != DCNV4_SUCCESS)
        return status;
    return hand_over(candidate, dcnv4i_passes_make(candidate, p->gpu, &p->problem, &choices, (int)id), result);
}

dcnv4_status dcnv4i_gpu_candidate_keep(const void *made, dcnv4_part id, int64_t index) {
    const dcnv4i_gpu_program *p = made;
    dcnv4i_geometry candidates[DCNV4I_MOST_CANDIDATES];
    candidates_of(p, id, candidates);
    return dcnv4i_choices_keep(&p->gpu->programs, &p->gpu->limits, &p->problem, (dcnv4i_part)id,
                               index > 0 ? &candidates[index] : NULL);
}

void dcnv4i_gpu_program_destroy(void *made) {
    free(made);
}

size_t dcnv4i_gpu_workspace_size(const void *made, dcnv4_pass pass) {
    return ((const dcnv4i_gpu_program *)made)->workspace[pass];
}

int64_t dcnv4i_gpu_kernel_count(const void *made) {
    return ((const dcnv4i_gpu_program *)made)->kernel_count;
}

void dcnv4i_gpu_kernel_info(const void *made, int64_t index, dcnv4_kernel_info *info) {
    const dcnv4i_gpu_program *p = made;
    const dcnv4i_listed *k = &p->kernels[index];
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

static void give_buffer(bool is_address, const dcnv4i_place *place, dcnv4i_argument *argument) {
    argument[0] = (dcnv4i_argument){.is_handle = true,
                                    .handle = is_address ? (char *)place->handle + place->offset : place->handle};
    argument[1] = (dcnv4i_argument){.number = is_address ? 0 : (int64_t)(place->offset / place->item)};
}

void dcnv4i_give_arguments(const dcnv4i_gpu *gpu, dcnv4i_signature_id id, const dcnv4i_place buffers[DCNV4I_BUFFERS],
                           const int64_t numbers[DCNV4I_NUMBERS], dcnv4i_launch *launch) {
    const dcnv4i_signature *const signature = &dcnv4i_signatures[id];
    int count = 0;
    for (int i = 0; i < signature->count; ++i) {
        const int what = signature->given[i];
        if (what < DCNV4I_BUFFERS) {
            give_buffer(gpu->driver->pointer_handles, &buffers[what], &launch->arguments[count]);
            count += 2;
        } else
            launch->arguments[count++] = (dcnv4i_argument){.number = numbers[what - DCNV4I_BUFFERS]};
    }
    launch->argument_count = count;
}

/* The offset of a workspace's first part: after what is missing to a multiple of DCNV4I_WORKSPACE_ALIGNMENT. */
static size_t workspace_begin(const dcnv4i_gpu *gpu, const dcnv4_buffer *workspace) {
    const uintptr_t begin = (gpu->driver->pointer_handles ? (uintptr_t)workspace->handle : 0) + workspace->offset;
    return workspace->offset + (size_t)(-begin % DCNV4I_WORKSPACE_ALIGNMENT);
}

/* All that kernels of a pass may be given. Where there is no such part of the workspace, the kernel does not read the argument;
 * it gets something valid. */
static void list_places(const dcnv4i_gpu_program *p, const dcnv4i_steps *todo, const dcnv4_buffers *buffers,
                        dcnv4i_place places[DCNV4I_BUFFERS]) {
    const dcnv4_buffer *const tensors[DCNV4I_TENSORS] = {
        &buffers->value,       &buffers->offset_mask, &buffers->output,
        &buffers->grad_output, &buffers->grad_value,  &buffers->grad_offset_mask,
    };
    const size_t begin = workspace_begin(p->gpu, &buffers->workspace);
    void *const workspace = buffers->workspace.handle;
    for (int i = 0; i < DCNV4I_TENSORS; ++i)
        places[i] = (dcnv4i_place){tensors[i]->handle, tensors[i]->offset, p->problem.tensors[i].item};
    places[DCNV4I_GIVE_SUMS] = places[DCNV4I_GIVE_REACH] = (dcnv4i_place){buffers->grad_value.handle, 0, 1};
    if (todo->sums_bytes > 0)
        places[DCNV4I_GIVE_SUMS] = (dcnv4i_place){workspace, begin, sizeof(float)};
    if (todo->reach_bytes > 0)
        places[DCNV4I_GIVE_REACH] = (dcnv4i_place){workspace, begin + todo->sums_bytes, todo->reach_item};
}

/* Whether every tensor of the pass begins at a multiple of DCNV4I_ALIGNMENT; the workspace's parts always do. */
static bool are_aligned(const dcnv4i_gpu_program *p, dcnv4_pass pass, const dcnv4_buffers *buffers) {
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
    const dcnv4i_gpu_program *p = made;
    const bool aligned = !p->gpu->limits.cpu && are_aligned(p, pass, buffers);
    const dcnv4i_steps *todo = &p->passes[pass][aligned];
    dcnv4i_launch launches[DCNV4I_STEPS];
    dcnv4i_place places[DCNV4I_BUFFERS];
    int count = 0;
    list_places(p, todo, buffers, places);
    for (const dcnv4i_step *s = todo->step; s < todo->step + DCNV4I_STEPS; ++s)
        if (s->groups > 0) {
            dcnv4i_launch *const launch = &launches[count++];
            launch->kernel = s->kernel, launch->groups = s->groups, launch->work_group = s->work_group;
            dcnv4i_give_arguments(p->gpu, s->signature, places, s->number, launch);
        }
    const dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS && !dcnv4i_passes_has(p, aligned))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "a candidate's tensors begin at multiples of %d bytes",
                           DCNV4I_ALIGNMENT);
    return status == DCNV4_SUCCESS ? p->gpu->driver->start(p->gpu->device, launches, count, stream) : status;
}

dcnv4_status dcnv4i_gpu_floor_run(const void *made, dcnv4_pass pass, dcnv4_floor floor, const dcnv4_buffers *buffers,
                                  void *stream) {
    const dcnv4i_gpu_program *p = made;
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
