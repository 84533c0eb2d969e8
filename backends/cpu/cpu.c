/* The cpu backend: threads over the best kernels that the processor has. */
#include "../../core/backend.h"
#include "../../core/deform_conv_problem.h"
#include "kernels.h"
#include "pool.h"
#include "deform_conv/work.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cpu_device {
    const dcnv4i_isa *isa;
    bool pinned; /* the instruction set was named */
    dcnv4i_kernels kernels;
    dcnv4i_pool *pool;
} cpu_device;

/* How the passes are cut for the number of threads that a context has: decided when a plan is made, and once again after the
 * number was changed, by whoever comes first. Nobody runs while it is changed, so that a decision is read only by those who
 * see its number. */
typedef struct cpu_cuts {
    atomic_int threads; /* 0 while it is decided */
    dcnv4i_work work[2];
} cpu_cuts;

typedef struct cpu_program {
    const cpu_device *device;
    dcnv4i_deform_conv problem;
    dcnv4i_layer layer;
    cpu_cuts *cuts;
    dcnv4i_kernel *forward, *backward;
    void *grid; /* grid_x, then grid_y */
} cpu_program;

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

static int64_t device_count(void) {
    return 1;
}

/* The best instruction set that this processor has, or the one of this name; NULL if it is not had. */
static const dcnv4i_isa *find_isa(const char *name) {
    for (int i = dcnv4i_isa_count - 1; i >= 0; --i)
        if (dcnv4i_isas[i].supported() && (*name == 0 || strcmp(name, dcnv4i_isas[i].name) == 0))
            return &dcnv4i_isas[i];
    return NULL;
}

static void list_isas(char *text, size_t size) {
    text[0] = 0;
    for (int i = dcnv4i_isa_count - 1; i >= 0; --i)
        if (dcnv4i_isas[i].supported())
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", dcnv4i_isas[i].name);
}

static void describe(const dcnv4i_isa *isa, bool pinned, int threads, dcnv4_device_info *info) {
    snprintf(info->name, sizeof info->name, pinned ? "cpu:%s" : "cpu", isa->name);
    strcpy(info->backend, "cpu");
    snprintf(info->description, sizeof info->description, "this machine's processors, with %s instructions", isa->name);
    list_isas(info->features, sizeof info->features);
    info->available = 1;
    info->units = threads;
}

static void device_info(int64_t index, dcnv4_device_info *info) {
    (void)index;
    describe(find_isa(""), false, dcnv4i_pool_processors(), info);
}

static bool automatic(void) {
    return true;
}

static dcnv4_status device_open(const char *selector, void **device) {
    const dcnv4i_isa *isa = find_isa(selector);
    if (!isa) {
        char known[128];
        list_isas(known, sizeof known);
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "this processor has no \"cpu:%.32s\"; it has %s", selector, known);
    }
    cpu_device *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *made);
    made->isa = isa;
    made->pinned = *selector != 0;
    for (const dcnv4i_isa *each = dcnv4i_isas; each <= isa; ++each)
        if (each->supported())
            each->fill(&made->kernels);
    const dcnv4_status status = dcnv4i_pool_create(0, &made->pool);
    if (status == DCNV4_SUCCESS)
        *device = made;
    else
        free(made);
    return status;
}

static void device_close(void *device) {
    cpu_device *cpu = device;
    dcnv4i_pool_destroy(cpu->pool);
    free(cpu);
}

static void device_describe(const void *device, dcnv4_device_info *info) {
    const cpu_device *cpu = device;
    describe(cpu->isa, cpu->pinned, dcnv4i_pool_threads(cpu->pool), info);
}

static dcnv4_status device_set_threads(void *device, int32_t threads) {
    cpu_device *cpu = device;
    return dcnv4i_pool_resize(cpu->pool, threads);
}

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

/* The kernels for the problem's dtype, and what converts it. */
static void choose_kernels(cpu_program *program) {
    const dcnv4_problem *p = &program->problem.params;
    dcnv4i_kernels kernels = program->device->kernels;
    if (p->width > 0 && p->height > kernels.most_pixels / p->width)
        dcnv4i_fill_portable(&kernels);
    program->forward = p->dtype == DCNV4_FLOAT64 ? kernels.forward64 : kernels.forward32;
    program->backward = p->dtype == DCNV4_FLOAT64 ? kernels.backward64 : kernels.backward32;
    program->layer.converts = p->dtype == DCNV4_FLOAT16 || p->dtype == DCNV4_BFLOAT16;
    program->layer.read = kernels.read[p->dtype];
    program->layer.write = kernels.write[p->dtype];
    program->layer.read_offsets = kernels.read[p->offset_mask_dtype];
    program->layer.write_offsets = kernels.write[p->offset_mask_dtype];
    program->layer.reach = dcnv4i_work_reach(&program->problem);
}

/* Fills in where the K points are, measured from the kernel's middle; the kernel's width is the outer loop. */
static dcnv4_status make_grid(cpu_program *program) {
    const dcnv4i_deform_conv *problem = &program->problem;
    const dcnv4_problem *p = &problem->params;
    const bool wide = p->dtype == DCNV4_FLOAT64;
    const size_t points = problem->base.tensors[DCNV4I_OUTPUT].pixels ? (size_t)problem->points : 0;
    /* One more, so that there is a pointer to count from also where there is no point. */
    program->grid = calloc(points + 1, 2 * (wide ? sizeof(double) : sizeof(float)));
    if (!program->grid)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the places of %zu points", points);
    program->layer.grid_x = program->grid;
    program->layer.grid_y = (char *)program->grid + points * (wide ? sizeof(double) : sizeof(float));
    if (points == 0)
        return DCNV4_SUCCESS;
    const int64_t half_w = dcnv4i_half_span(p->kernel_w, p->dilation_w),
                  half_h = dcnv4i_half_span(p->kernel_h, p->dilation_h);
    size_t k = 0;
    for (int64_t i = 0; i < p->kernel_w; ++i)
        for (int64_t j = 0; j < p->kernel_h; ++j) {
            if (p->remove_center && i == p->kernel_w / 2 && j == p->kernel_h / 2)
                continue;
            const int64_t x = i * p->dilation_w - half_w, y = j * p->dilation_h - half_h;
            if (wide)
                ((double *)program->grid)[k] = (double)x, ((double *)program->grid)[points + k] = (double)y;
            else
                ((float *)program->grid)[k] = (float)x, ((float *)program->grid)[points + k] = (float)y;
            ++k;
        }
    return DCNV4_SUCCESS;
}

/* Cuts the passes that a program has. */
static dcnv4_status cut(const cpu_program *program, int threads, dcnv4i_work work[2]) {
    dcnv4_status status = dcnv4i_work_cut(&program->layer, DCNV4_PASS_FORWARD, threads, &work[DCNV4_PASS_FORWARD]);
    if (status == DCNV4_SUCCESS && !program->problem.params.forward_only)
        status = dcnv4i_work_cut(&program->layer, DCNV4_PASS_BACKWARD, threads, &work[DCNV4_PASS_BACKWARD]);
    return status;
}

static dcnv4_status make_cuts(cpu_program *program) {
    const int threads = dcnv4i_pool_threads(program->device->pool);
    program->cuts = calloc(1, sizeof *program->cuts);
    if (!program->cuts)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for %zu bytes of cuts", sizeof *program->cuts);
    atomic_init(&program->cuts->threads, threads);
    return cut(program, threads, program->cuts->work);
}

static void program_destroy(void *program) {
    cpu_program *const made = program;
    free(made->cuts);
    free(made->grid);
    free(made);
}

static dcnv4_status program_create(void *device, const dcnv4i_problem *problem, void **program) {
    cpu_program *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    made->device = device;
    made->problem = *(const dcnv4i_deform_conv *)problem;
    made->layer.problem = &made->problem;
    choose_kernels(made);
    dcnv4_status status = make_cuts(made);
    if (status == DCNV4_SUCCESS)
        status = make_grid(made);
    if (status == DCNV4_SUCCESS)
        *program = made;
    else
        program_destroy(made);
    return status;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* How a pass is cut now. */
static dcnv4_status decide(const cpu_program *program, dcnv4_pass pass, dcnv4i_work *work) {
    cpu_cuts *const cuts = program->cuts;
    const int threads = dcnv4i_pool_threads(program->device->pool);
    int decided = atomic_load(&cuts->threads);
    if (decided == threads) {
        *work = cuts->work[pass];
        return DCNV4_SUCCESS;
    }
    dcnv4i_work both[2];
    const dcnv4_status status = cut(program, threads, both);
    if (status != DCNV4_SUCCESS)
        return status;
    *work = both[pass];
    if (decided != 0 && atomic_compare_exchange_strong(&cuts->threads, &decided, 0)) {
        memcpy(cuts->work, both, sizeof both);
        atomic_store(&cuts->threads, threads);
    }
    return DCNV4_SUCCESS;
}

static size_t workspace_size(const void *program, dcnv4_pass pass) {
    dcnv4i_work work;
    return decide(program, pass, &work) == DCNV4_SUCCESS ? dcnv4i_work_space(&work) : 0;
}

typedef struct cpu_run {
    const cpu_program *program;
    dcnv4_pass pass;
    dcnv4i_work work;
    dcnv4i_tensors tensors;
    char *workspace;
} cpu_run;

static void run_piece(void *argument, int64_t number, int worker) {
    const cpu_run *run = argument;
    const cpu_program *program = run->program;
    dcnv4i_piece piece = dcnv4i_work_piece(&program->layer, run->pass, &run->work, number);
    piece.scratch = run->work.scratch ? run->workspace + (size_t)worker * run->work.scratch : NULL;
    (run->pass == DCNV4_PASS_FORWARD ? program->forward : program->backward)(&program->layer, &run->tensors, &piece);
}

/* Where a tensor begins. One of no elements has no address, and the kernels count from one all the same. */
static char *begin_of(const cpu_program *program, const dcnv4_buffer *buffer) {
    return buffer->handle ? dcnv4i_host_pointer(buffer) : program->grid;
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream) {
    (void)stream;
    cpu_run state = {
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
    const dcnv4_status status = decide(state.program, pass, &state.work);
    if (status == DCNV4_SUCCESS)
        dcnv4i_pool_run(state.program->device->pool, run_piece, &state, state.work.pieces, state.work.workers);
    return status;
}

const dcnv4i_backend dcnv4i_backend_cpu = {
    .name = "cpu",
    .on_host = true,
    .pointer_handles = true,
    .device_count = device_count,
    .device_info = device_info,
    .automatic = automatic,
    .device_open = device_open,
    .device_close = device_close,
    .device_describe = device_describe,
    .device_set_threads = device_set_threads,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
