#include "roofline.h"
#include "../kernels/language/argument_lists.h"
#include "../kernels/roofline_parameters.h"
#include "runtime/kernel_text.h"
#include "runtime/text.h"

/* Size of the data that loads are taken from: less than any first-level cache. */
enum { LOADED_BYTES = 16384 };

/* The buffers and numbers of the kernels' lists. */
enum {
    DCNV4I_BUFFER_FIRST,
    DCNV4I_BUFFER_SECOND,
    DCNV4I_BUFFER_THIRD,
    DCNV4I_BUFFER_FIRST_WRITTEN,
    DCNV4I_BUFFER_SECOND_WRITTEN,
    TENSORS
};
enum {
    DCNV4I_NUMBER_FIRST_COUNT, /* of the buffers, in their order */
    DCNV4I_NUMBER_SECOND_COUNT,
    DCNV4I_NUMBER_THIRD_COUNT,
    DCNV4I_NUMBER_FIRST_WRITTEN_COUNT,
    DCNV4I_NUMBER_SECOND_WRITTEN_COUNT,
    DCNV4I_NUMBER_VECTORS,
    DCNV4I_NUMBER_CELLS,
    DCNV4I_NUMBER_ITEMS
};
enum { READ = 3, WRITTEN = 2 };

enum { KERNEL_MEMORY, KERNEL_LOADS, KERNELS };

static const unsigned char memory_list[] = DCNV4I_LIST_OF(ROOFLINE_MEMORY);
static const unsigned char loads_list[] = DCNV4I_LIST_OF(ROOFLINE_LOADS);
static const dcnv4i_signature signatures[KERNELS] = {
    {"ROOFLINE_MEMORY", sizeof memory_list, memory_list},
    {"ROOFLINE_LOADS", sizeof loads_list, loads_list},
};

/* A kernel's arguments and number of work-items. */
typedef struct task {
    const dcnv4i_gpu_program *program;
    const dcnv4i_buffers *given;
    size_t item;    /* bytes of an element */
    int64_t access; /* elements of one vector access */
    dcnv4i_span buffers[DCNV4I_MAX_BUFFERS];
    int64_t numbers[DCNV4I_MAX_NUMBERS];
    int64_t items;
    uintptr_t begins; /* bitwise or of the addresses at which its buffers begin */
} task;

static void pass_tensor(task *t, int to, int tensor) {
    const dcnv4_buffer *const buffer = &t->given->tensors[tensor];
    t->buffers[to] = (dcnv4i_span){buffer->handle, buffer->offset, t->item};
    t->begins |= (t->program->gpu->driver->pointer_handles ? (uintptr_t)buffer->handle : 0) + buffer->offset;
}

static int64_t vectors_of(const task *t, int tensor) {
    return (int64_t)(t->program->problem->tensors[tensor].bytes / t->item) / t->access;
}

/* Passes the tensors of a role, in order. If a pass has fewer of them than the kernel has parameters, the unused ones
 * repeat the last tensor with length 0. */
static void pass_role(task *t, unsigned tensors, int first, int count) {
    int last = 0;
    for (int i = 0, tensor = 0; i < count; ++i, ++tensor) {
        while (tensor < DCNV4I_MAX_TENSORS && !(tensors >> tensor & 1))
            ++tensor;
        const bool used = tensor < DCNV4I_MAX_TENSORS;
        last = used ? tensor : last;
        pass_tensor(t, first + i, last);
        t->numbers[first + i] = used ? vectors_of(t, last) : 0;
        t->items = t->items < t->numbers[first + i] ? t->numbers[first + i] : t->items;
    }
}

/* A work-item makes as many loads as a lane of forward: one for each corner of a block's points. */
static void pass_loads(task *t, dcnv4_pass pass) {
    const dcnv4i_loads loads = t->program->op->loads(t->program->problem, pass);
    const int64_t most = LOADED_BYTES / (int64_t)t->item / t->access;
    int64_t vectors = vectors_of(t, loads.from);
    t->items = vectors ? loads.channels / t->access : 0;
    while (vectors > most || (vectors & (vectors - 1)))
        vectors = vectors > most ? most : vectors & (vectors - 1);
    pass_tensor(t, DCNV4I_BUFFER_FIRST, loads.from);
    pass_tensor(t, DCNV4I_BUFFER_FIRST_WRITTEN, loads.to);
    t->numbers[DCNV4I_NUMBER_VECTORS] = vectors;
    t->numbers[DCNV4I_NUMBER_CELLS] = loads.cells;
    t->numbers[DCNV4I_NUMBER_ITEMS] = t->items;
}

/* The text is the same for all layers. */
static dcnv4i_recipe make_recipe(const task *t, int32_t dtype) {
    const dcnv4i_limits *const limits = &t->program->gpu->limits;
    const struct {
        const char *name;
        int64_t number;
    } constants[] = {
        {"ROOFLINE", 1},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"DTYPE", dtype},
        {"VECTOR", t->access},
        {"RUN", 1},
        {"WIDE", t->items >= INT32_MAX / t->access},
        {"ALIGNED", !limits->cpu && t->begins % DCNV4I_ALIGNMENT == 0},
        {"FLAT_GROUP", dcnv4i_flat_group(limits)},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
    };
    dcnv4i_text text = dcnv4i_text_empty();
    for (size_t i = 0; i < sizeof constants / sizeof *constants; ++i)
        dcnv4i_text_define(&text, constants[i].name, constants[i].number);
    return (dcnv4i_recipe){
        .constants = text.bytes,
        .texts = {dcnv4i_kernel_roofline_parameters, dcnv4i_kernel_roofline},
        .kernels = {[KERNEL_MEMORY] = "dcn_roofline_memory", [KERNEL_LOADS] = "dcn_roofline_loads"},
    };
}

dcnv4_status dcnv4i_roofline_start(const dcnv4i_gpu_program *program, dcnv4_pass pass, dcnv4_roofline roofline,
                                   const dcnv4i_buffers *buffers, void *stream) {
    dcnv4i_gpu *const gpu = program->gpu;
    const dcnv4i_operator *const op = program->problem->op;
    const int32_t dtype = program->op->dtype(program->problem);
    const size_t item = dcnv4i_dtype_size(dtype);
    const int kernel = roofline == DCNV4_ROOFLINE_MEMORY ? KERNEL_MEMORY : KERNEL_LOADS;
    task t = {.program = program, .given = buffers, .item = item, .access = gpu->limits.cpu ? 16 : 16 / (int64_t)item};
    dcnv4_status status = gpu->driver->usable(gpu->device);
    if (status != DCNV4_SUCCESS)
        return status;
    if (kernel == KERNEL_MEMORY) {
        pass_role(&t, op->reads[pass], DCNV4I_BUFFER_FIRST, READ);
        pass_role(&t, op->writes[pass], DCNV4I_BUFFER_FIRST_WRITTEN, WRITTEN);
    } else
        pass_loads(&t, pass);
    dcnv4i_recipe recipe = make_recipe(&t, dtype);
    const dcnv4i_module *module;
    status = dcnv4i_module_get(&gpu->modules, &recipe, &module);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_launch launch = {.kernel = module->kernels[kernel], .work_group = dcnv4i_flat_group(&gpu->limits)};
    launch.groups = t.items / launch.work_group + (t.items % launch.work_group != 0);
    dcnv4i_push_arguments(gpu->driver->pointer_handles, &signatures[kernel], t.buffers, t.numbers, &launch);
    return gpu->driver->start(gpu->device, &launch, launch.groups > 0, stream);
}
