/* A program is prepared completely when its plan is made: a run only fills in the buffers and starts the launches. */
#include "gpu.h"
#include "roofline.h"
#include "runtime/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DCNV4I_OPERATOR(name) extern const dcnv4i_gpu_operator dcnv4i_gpu_##name;
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR

static const dcnv4i_gpu_operator *const operators[] = {
#define DCNV4I_OPERATOR(name) &dcnv4i_gpu_##name,
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR
};

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

dcnv4_status dcnv4i_gpu_open(const dcnv4i_driver *driver, void *device, const dcnv4i_limits *limits,
                             const dcnv4i_identity *identity, void **gpu) {
    dcnv4i_gpu *made = malloc(sizeof *made);
    dcnv4_status status = dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *made);
    if (made) {
        *made = (dcnv4i_gpu){.driver = driver, .device = device, .limits = *limits};
        status = dcnv4i_module_store_open(&made->modules, driver, device, identity);
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
    dcnv4i_module_store_close(&g->modules);
    g->driver->close(g->device);
    free(g);
}

dcnv4_status dcnv4i_gpu_synchronize(void *gpu) {
    const dcnv4i_gpu *g = gpu;
    const dcnv4_status status = g->driver->usable(g->device);
    return status == DCNV4_SUCCESS ? g->driver->synchronize(g->device) : status;
}

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

static const dcnv4i_gpu_operator *find(const dcnv4i_operator *op) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i)
        if (operators[i]->op == op)
            return operators[i];
    return NULL;
}

dcnv4_status dcnv4i_gpu_program_create(void *gpu, const dcnv4i_problem *problem, void **program) {
    dcnv4i_gpu *g = gpu;
    const dcnv4i_gpu_operator *const op = find(problem->op);
    dcnv4i_gpu_program *made;
    dcnv4_status status = g->driver->usable(g->device);
    if (status == DCNV4_SUCCESS && !op)
        status = dcnv4i_fail(DCNV4_UNSUPPORTED, "devices of this kind lack the operator %s", problem->op->name);
    if (status == DCNV4_SUCCESS)
        status = op->create(g, problem, &made);
    if (status == DCNV4_SUCCESS)
        *program = made;
    return status;
}

void dcnv4i_gpu_program_destroy(void *program) {
    dcnv4i_program_free(program);
}

size_t dcnv4i_gpu_workspace_size(const void *program, dcnv4_pass pass) {
    return ((const dcnv4i_gpu_program *)program)->workspace[pass];
}

int64_t dcnv4i_gpu_kernel_count(const void *program) {
    return ((const dcnv4i_gpu_program *)program)->kernel_count;
}

void dcnv4i_gpu_kernel_info(const void *program, int64_t index, dcnv4_kernel_info *info) {
    const dcnv4i_gpu_program *p = program;
    const dcnv4i_listed *k = &p->kernels[index];
    const dcnv4i_resources *r = &k->module->resources[k->kernel];
    const dcnv4i_target *target = p->gpu->modules.identity->target;
    snprintf(info->name, sizeof info->name, "%s", k->module->names[k->kernel]);
    snprintf(info->target, sizeof info->target, "%s", target ? target->name : "");
    info->aligned = k->aligned;
    info->deterministic = !k->atomic;
    info->registers = r->known ? r->registers : -1;
    info->local_memory_bytes = r->known ? r->local_memory : -1;
    info->spill_bytes = r->known ? r->spill : -1;
    info->occupancy = r->known && target ? dcnv4i_target_occupancy(target, r->work_group, r->registers, r->local_memory)
                                         : -1;
}

/* ---- Tactics ----------------------------------------------------------------------------------------------------- */

int64_t dcnv4i_gpu_tactic_count(const void *program, int part) {
    const dcnv4i_gpu_program *p = program;
    return p->op->tactic_count ? p->op->tactic_count(p, part) : 0;
}

void dcnv4i_gpu_tactic_info(const void *program, int part, int64_t index, dcnv4_tactic_info *info) {
    const dcnv4i_gpu_program *p = program;
    p->op->tactic_info(p, part, index, info);
}

dcnv4_status dcnv4i_gpu_tactic_create(const void *program, const dcnv4i_problem *problem, int part, int64_t index,
                                      void **tactic) {
    const dcnv4i_gpu_program *p = program;
    dcnv4i_gpu_program *made;
    dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS)
        status = p->op->tactic_create(p, problem, part, index, &made);
    if (status == DCNV4_SUCCESS)
        *tactic = made;
    return status;
}

dcnv4_status dcnv4i_gpu_tactic_save(const void *program, int part, int64_t index) {
    const dcnv4i_gpu_program *p = program;
    return p->op->tactic_save(p, part, index);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static uintptr_t address_bits(const dcnv4i_gpu *gpu, const dcnv4_buffer *buffer) {
    return (gpu->driver->pointer_handles ? (uintptr_t)buffer->handle : 0) + buffer->offset;
}

/* Lists all buffers that kernels of a pass may be passed. Empty scratch is not accessed, but a driver needs a valid
 * handle for it: that of a tensor that the pass writes. */
static void list_spans(const dcnv4i_gpu_program *p, dcnv4_pass pass, const dcnv4i_steps *steps,
                       const dcnv4i_buffers *buffers, dcnv4i_span spans[DCNV4I_MAX_BUFFERS]) {
    const dcnv4_buffer *const workspace = &buffers->workspace;
    size_t at = workspace->offset + (size_t)(-address_bits(p->gpu, workspace) % DCNV4I_SCRATCH_ALIGNMENT);
    void *valid = NULL;
    for (int i = 0; i < p->problem->op->tensor_count; ++i) {
        const dcnv4_buffer *const tensor = &buffers->tensors[i];
        spans[i] = (dcnv4i_span){tensor->handle, tensor->offset, p->problem->tensors[i].item};
        if (!valid && p->problem->op->writes[pass] >> i & 1)
            valid = tensor->handle;
    }
    for (int i = 0; i < DCNV4I_MAX_SCRATCH; ++i) {
        const dcnv4i_scratch *const s = &steps->scratch[i];
        spans[DCNV4I_BUFFER_SCRATCH + i] = s->bytes > 0 ? (dcnv4i_span){workspace->handle, at, s->item}
                                                        : (dcnv4i_span){valid, 0, 1};
        at += s->bytes;
    }
    spans[DCNV4I_BUFFER_TABLE] = (dcnv4i_span){p->table ? p->table : valid, 0, sizeof(int64_t)};
}

/* Whether every tensor that the pass accesses in vectors begins at a multiple of DCNV4I_ALIGNMENT; scratch always
 * does. */
static bool are_aligned(const dcnv4i_gpu_program *p, dcnv4_pass pass, const dcnv4i_buffers *buffers) {
    uintptr_t bits = 0;
    for (int i = 0; i < p->problem->op->tensor_count; ++i)
        if (p->op->vectors[pass] >> i & 1)
            bits |= address_bits(p->gpu, &buffers->tensors[i]);
    return bits % DCNV4I_ALIGNMENT == 0;
}

dcnv4_status dcnv4i_gpu_run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream) {
    const dcnv4i_gpu_program *p = program;
    const bool aligned = !p->gpu->limits.cpu && are_aligned(p, pass, buffers);
    const dcnv4i_steps *steps = &p->passes[pass][aligned];
    dcnv4i_launch launches[DCNV4I_MAX_STEPS];
    dcnv4i_span spans[DCNV4I_MAX_BUFFERS];
    int count = 0;
    list_spans(p, pass, steps, buffers, spans);
    for (const dcnv4i_step *s = steps->step; s < steps->step + DCNV4I_MAX_STEPS; ++s)
        if (s->groups > 0) {
            dcnv4i_launch *const launch = &launches[count++];
            launch->kernel = s->kernel, launch->groups = s->groups, launch->work_group = s->work_group;
            dcnv4i_push_arguments(p->gpu->driver->pointer_handles, s->signature, spans, s->numbers, launch);
        }
    const dcnv4_status status = p->gpu->driver->usable(p->gpu->device);
    if (status == DCNV4_SUCCESS && !p->has[aligned])
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "a tactic needs tensors that begin at multiples of %d bytes",
                           DCNV4I_ALIGNMENT);
    return status == DCNV4_SUCCESS ? p->gpu->driver->start(p->gpu->device, launches, count, stream) : status;
}

dcnv4_status dcnv4i_gpu_roofline_run(const void *program, dcnv4_pass pass, dcnv4_roofline roofline,
                                     const dcnv4i_buffers *buffers, void *stream) {
    return dcnv4i_roofline_start(program, pass, roofline, buffers, stream);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

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
