#include "roofline.h"

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

/* What a kernel is given, and for how many work-items it is. */
typedef struct gifts {
    dcnv4i_place buffers[DCNV4I_BUFFERS];
    int64_t numbers[DCNV4I_NUMBERS];
    int64_t items;
    uintptr_t begins; /* the bits of where its buffers begin */
} gifts;

static void give(const dcnv4i_gpu *gpu, gifts *to, dcnv4i_given_buffer what, const dcnv4_buffer *buffer, size_t item) {
    to->buffers[what] = (dcnv4i_place){buffer->handle, buffer->offset, item};
    to->begins |= (gpu->driver->pointer_handles ? (uintptr_t)buffer->handle : 0) + buffer->offset;
}

static int64_t vectors_of(const dcnv4i_problem *problem, dcnv4i_tensor_id tensor, const dcnv4i_problem *layer) {
    return (int64_t)(problem->tensors[tensor].bytes / problem->item) / layer->channels;
}

/* Three tensors to read and two to write; of forward's, each kind's last stands again for what there is not. */
static void plan_memory(const dcnv4i_gpu *gpu, const dcnv4i_problem *problem, const dcnv4i_problem *layer,
                        dcnv4_pass pass, const dcnv4_buffers *buffers, gifts *to) {
    const bool back = pass == DCNV4_PASS_BACKWARD;
    const struct {
        dcnv4i_given_buffer what;
        dcnv4i_given_number count;
        const dcnv4_buffer *buffer;
        dcnv4i_tensor_id id;
        bool used;
    } tensors[] = {
        {DCNV4I_GIVE_FIRST, DCNV4I_PASS_FIRST_COUNT, &buffers->value, DCNV4I_VALUE, true},
        {DCNV4I_GIVE_SECOND, DCNV4I_PASS_SECOND_COUNT, &buffers->offset_mask, DCNV4I_OFFSET_MASK, true},
        {DCNV4I_GIVE_THIRD, DCNV4I_PASS_THIRD_COUNT, back ? &buffers->grad_output : &buffers->offset_mask,
         DCNV4I_GRAD_OUTPUT, back},
        {DCNV4I_GIVE_FIRST_WRITTEN, DCNV4I_PASS_FIRST_WRITTEN_COUNT, back ? &buffers->grad_value : &buffers->output,
         back ? DCNV4I_GRAD_VALUE : DCNV4I_OUTPUT, true},
        {DCNV4I_GIVE_SECOND_WRITTEN, DCNV4I_PASS_SECOND_WRITTEN_COUNT,
         back ? &buffers->grad_offset_mask : &buffers->output, DCNV4I_GRAD_OFFSET_MASK, back},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; ++i) {
        const int64_t vectors = tensors[i].used ? vectors_of(problem, tensors[i].id, layer) : 0;
        give(gpu, to, tensors[i].what, tensors[i].buffer, problem->item);
        to->numbers[tensors[i].count] = vectors;
        to->items = to->items < vectors ? vectors : to->items;
    }
}

/* A work-item has as many loads as a lane of forward: the corners of a block's points. */
static void plan_loads(const dcnv4i_gpu *gpu, const dcnv4i_problem *problem, const dcnv4i_problem *layer,
                       dcnv4_pass pass, const dcnv4_buffers *buffers, gifts *to) {
    const int64_t most = LOADED_BYTES / (int64_t)problem->item / layer->channels;
    int64_t vectors = vectors_of(problem, DCNV4I_VALUE, layer);
    to->items = vectors ? problem->tensors[DCNV4I_OUTPUT].pixels * problem->channels / layer->channels : 0;
    while (vectors > most || (vectors & (vectors - 1)))
        vectors = vectors > most ? most : vectors & (vectors - 1);
    give(gpu, to, DCNV4I_GIVE_VALUE, &buffers->value, problem->item);
    give(gpu, to, DCNV4I_GIVE_OUTPUT, pass == DCNV4_PASS_FORWARD ? &buffers->output : &buffers->grad_value,
         problem->item);
    to->numbers[DCNV4I_PASS_VECTORS] = vectors;
    to->numbers[DCNV4I_PASS_CELLS] = problem->points;
    to->numbers[DCNV4I_PASS_ITEMS] = to->items;
}

dcnv4_status dcnv4i_floor_start(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4_pass pass, dcnv4_floor floor,
                                const dcnv4_buffers *buffers, void *stream) {
    const dcnv4i_limits *limits = &gpu->limits;
    const dcnv4i_module *module;
    dcnv4i_problem layer;
    dcnv4i_launch launch = {.work_group = dcnv4i_flat_group(limits)};
    gifts given = {.items = 0};
    const bool memory = floor == DCNV4_FLOOR_MEMORY;
    dcnv4_status status = gpu->driver->usable(gpu->device);
    if (status == DCNV4_SUCCESS)
        status = make_layer(problem, limits, &layer);
    if (status != DCNV4_SUCCESS)
        return status;
    (memory ? plan_memory : plan_loads)(gpu, problem, &layer, pass, buffers, &given);
    dcnv4i_give_arguments(gpu, memory ? DCNV4I_SIGNATURE_FLOOR_MEMORY : DCNV4I_SIGNATURE_FLOOR_LOADS, given.buffers,
                          given.numbers, &launch);
    dcnv4i_geometry geometry = dcnv4i_geometry_of(limits, &layer, DCNV4I_PART_FORWARD,
                                                  given.begins % DCNV4I_ALIGNMENT == 0);
    geometry.wide = given.items >= INT32_MAX / layer.channels;
    status = dcnv4i_programs_get(&gpu->programs, limits, &layer, 1u << DCNV4I_PART_FLOOR, &geometry, &module);
    if (status != DCNV4_SUCCESS)
        return status;
    launch.kernel = module->kernels[memory ? DCNV4I_KERNEL_FLOOR_MEMORY : DCNV4I_KERNEL_FLOOR_LOADS];
    launch.groups = given.items / launch.work_group + (given.items % launch.work_group != 0);
    return gpu->driver->start(gpu->device, &launch, launch.groups > 0, stream);
}
