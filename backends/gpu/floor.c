#include "floor.h"

#include <inttypes.h>

/* What the loads are taken from: less than any first-level cache. */
enum { LOADED_BYTES = 16384 };

/* The layer that the kernels are made for: one group as wide as an access. Its text is the same for all layers. */
static dcnv4_status make_layer(const dcnv4i_problem *problem, const dcnv4i_limits *limits, dcnv4i_problem *layer) {
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    asked.dtype = problem->asked.dtype;
    asked.kernel_h = asked.kernel_w = 1;
    asked.pad_h = asked.pad_w = 0;
    asked.batch = asked.height = asked.width = 1;
    asked.group_channels = limits->cpu ? 16 : 16 / (int64_t)problem->item;
    return dcnv4i_problem_check(&asked, layer);
}

static void give(const dcnv4i_gpu *gpu, dcnv4i_launch *launch, const dcnv4_buffer *buffer, size_t item) {
    dcnv4i_give_buffer(gpu, launch, buffer->handle, buffer->offset, item);
}

static void give_number(dcnv4i_launch *launch, int64_t number) {
    launch->arguments[launch->argument_count++] = (dcnv4i_argument){.number = number};
}

static int64_t vectors_of(const dcnv4i_problem *problem, dcnv4i_tensor_id tensor, const dcnv4i_problem *layer) {
    return (int64_t)(problem->tensors[tensor].bytes / problem->item) / layer->channels;
}

/* Three tensors to read and two to write; of forward's, each kind's last stands again for what there is not. */
static void plan_memory(const dcnv4i_gpu *gpu, const dcnv4i_problem *problem, const dcnv4i_problem *layer,
                        dcnv4_pass pass, const dcnv4_buffers *buffers, dcnv4i_launch *launch, int64_t *items) {
    const bool back = pass == DCNV4_PASS_BACKWARD;
    const struct {
        const dcnv4_buffer *buffer;
        dcnv4i_tensor_id id;
        bool used;
    } tensors[] = {
        {&buffers->value, DCNV4I_VALUE, true},
        {&buffers->offset_mask, DCNV4I_OFFSET_MASK, true},
        {back ? &buffers->grad_output : &buffers->offset_mask, DCNV4I_GRAD_OUTPUT, back},
        {back ? &buffers->grad_value : &buffers->output, back ? DCNV4I_GRAD_VALUE : DCNV4I_OUTPUT, true},
        {back ? &buffers->grad_offset_mask : &buffers->output, DCNV4I_GRAD_OFFSET_MASK, back},
    };
    *items = 0;
    for (int i = 0; i < 5; ++i)
        give(gpu, launch, tensors[i].buffer, problem->item);
    for (int i = 0; i < 5; ++i) {
        const int64_t vectors = tensors[i].used ? vectors_of(problem, tensors[i].id, layer) : 0;
        give_number(launch, vectors);
        *items = *items < vectors ? vectors : *items;
    }
}

/* A work-item has as many loads as a lane of forward: the corners of a block's points. */
static void plan_loads(const dcnv4i_gpu *gpu, const dcnv4i_problem *problem, const dcnv4i_problem *layer,
                       dcnv4_pass pass, const dcnv4_buffers *buffers, dcnv4i_launch *launch, int64_t *items) {
    const int64_t most = LOADED_BYTES / (int64_t)problem->item / layer->channels;
    int64_t vectors = vectors_of(problem, DCNV4I_VALUE, layer);
    *items = vectors ? problem->tensors[DCNV4I_OUTPUT].pixels * problem->channels / layer->channels : 0;
    while (vectors > most || (vectors & (vectors - 1)))
        vectors = vectors > most ? most : vectors & (vectors - 1);
    give(gpu, launch, &buffers->value, problem->item);
    give(gpu, launch, pass == DCNV4_PASS_FORWARD ? &buffers->output : &buffers->grad_value, problem->item);
    give_number(launch, vectors);
    give_number(launch, problem->points);
    give_number(launch, *items);
}

/* Whether all that the launch is given begins at a multiple of DCNV4I_ALIGNMENT. */
static bool is_aligned(const dcnv4i_gpu *gpu, const dcnv4i_launch *launch, size_t item) {
    uintptr_t bits = 0;
    for (int i = 0; i + 1 < launch->argument_count; ++i)
        if (launch->arguments[i].is_handle)
            bits |= (gpu->driver->pointer_handles ? (uintptr_t)launch->arguments[i].handle : 0) |
                    (uintptr_t)launch->arguments[i + 1].number * item;
    return bits % DCNV4I_ALIGNMENT == 0;
}

dcnv4_status dcnv4i_floor_start(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4_pass pass, dcnv4_floor floor,
                                const dcnv4_buffers *buffers, void *stream) {
    const dcnv4i_limits *limits = &gpu->limits;
    const dcnv4i_module *module;
    dcnv4i_problem layer;
    dcnv4i_launch launch = {.work_group = dcnv4i_flat_group(limits)};
    int64_t items;
    dcnv4_status status = gpu->driver->usable(gpu->device);
    if (status == DCNV4_SUCCESS)
        status = make_layer(problem, limits, &layer);
    if (status != DCNV4_SUCCESS)
        return status;
    (floor == DCNV4_FLOOR_MEMORY ? plan_memory : plan_loads)(gpu, problem, &layer, pass, buffers, &launch, &items);
    dcnv4i_geometry geometry = dcnv4i_geometry_of(limits, &layer, DCNV4I_PART_FORWARD,
                                                  is_aligned(gpu, &launch, problem->item));
    geometry.wide = items >= INT32_MAX / layer.channels;
    status = dcnv4i_programs_get(&gpu->programs, limits, &layer, 1u << DCNV4I_PART_FLOOR, &geometry, &module);
    if (status != DCNV4_SUCCESS)
        return status;
    launch.kernel = module
                        ->kernels[floor == DCNV4_FLOOR_MEMORY ? DCNV4I_KERNEL_FLOOR_MEMORY : DCNV4I_KERNEL_FLOOR_LOADS];
    launch.groups = items / launch.work_group + (items % launch.work_group != 0);
    return gpu->driver->start(gpu->device, &launch, launch.groups > 0, stream);
}
