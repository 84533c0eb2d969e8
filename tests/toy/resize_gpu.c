/* On devices that compile: three kernels on backends/kernels/sampling, and their launches. */
#include "../../backends/gpu/program.h"
#include "../../backends/gpu/runtime/kernel_text.h"
#include "../../backends/gpu/runtime/text.h"
#include "resize.h"

#include <stdlib.h>

extern const char resize_kernels[]; /* resize_kernels.inl */

enum { FORWARD, CLEAR, BACKWARD, KERNELS };
enum { BATCH, HEIGHT, WIDTH, OUTPUT_HEIGHT, OUTPUT_WIDTH, ELEMENTS };

#define NUMBER(id) (DCNV4I_MAX_BUFFERS + (id))
static const unsigned char forward_list[] = {RESIZE_VALUE,  RESIZE_OUTPUT,         NUMBER(BATCH),       NUMBER(HEIGHT),
                                             NUMBER(WIDTH), NUMBER(OUTPUT_HEIGHT), NUMBER(OUTPUT_WIDTH)};
static const unsigned char clear_list[] = {RESIZE_GRAD_VALUE, NUMBER(ELEMENTS)};
static const unsigned char backward_list[] = {RESIZE_GRAD_OUTPUT,  RESIZE_GRAD_VALUE, NUMBER(BATCH),
                                              NUMBER(HEIGHT),      NUMBER(WIDTH),     NUMBER(OUTPUT_HEIGHT),
                                              NUMBER(OUTPUT_WIDTH)};
static const dcnv4i_signature signatures[KERNELS] = {
    [FORWARD] = {"FORWARD", sizeof forward_list, forward_list},
    [CLEAR] = {"CLEAR", sizeof clear_list, clear_list},
    [BACKWARD] = {"BACKWARD", sizeof backward_list, backward_list},
};

/* The widest access of up to 16 bytes that the channels allow; buffers need no alignment. */
static int64_t vector_of(const resize_params *p) {
    int64_t vector = 4;
    while (p->channels % vector != 0)
        vector /= 2;
    return vector;
}

static dcnv4i_recipe make_recipe(const dcnv4i_limits *limits, const resize_params *p) {
    const struct {
        const char *name;
        int64_t number;
    } constants[] = {
        {"RESIZE", 1},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"DTYPE", DCNV4_FLOAT32},
        {"VECTOR", vector_of(p)},
        {"ALIGNED", 0},
        {"WIDE", 0},
        {"RUN", 1},
        {"FLAT_GROUP", dcnv4i_flat_group(limits)},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
        {"CHANNELS", p->channels},
        {"GROUPS", 1},
        {"LANES", 1},
        {"VECTORS", 1},
        {"VALUE_STRIDE", p->channels},
        {"OUTPUT_STRIDE", p->channels},
        {"GRAD_OUTPUT_STRIDE", p->channels},
        {"GRAD_VALUE_STRIDE", p->channels},
    };
    dcnv4i_text text = dcnv4i_text_empty();
    for (size_t i = 0; i < sizeof constants / sizeof *constants; ++i)
        dcnv4i_text_define(&text, constants[i].name, constants[i].number);
    dcnv4i_text_append(&text, "#define DCN_UNROLL_VECTORS DCN_UNROLL\n");
    return (dcnv4i_recipe){
        .constants = text.bytes,
        .texts = {dcnv4i_kernel_sample, dcnv4i_kernel_cells, dcnv4i_kernel_channels, dcnv4i_kernel_gather,
                  dcnv4i_kernel_scatter, resize_kernels},
        .kernels = {[FORWARD] = "resize_forward", [CLEAR] = "resize_clear", [BACKWARD] = "resize_backward"},
    };
}

static dcnv4i_step make_step(const dcnv4i_module *module, const resize_problem *problem, int kernel, int64_t items,
                             int64_t work_group) {
    const resize_params *p = &problem->params;
    return (dcnv4i_step){
        .kernel = module->kernels[kernel],
        .groups = (items - 1) / work_group + 1,
        .work_group = work_group,
        .signature = &signatures[kernel],
        .numbers =
            {
                [BATCH] = p->batch,
                [HEIGHT] = p->height,
                [WIDTH] = p->width,
                [OUTPUT_HEIGHT] = p->output_height,
                [OUTPUT_WIDTH] = p->output_width,
                [ELEMENTS] = problem->base.tensors[RESIZE_VALUE].pixels * p->channels,
            },
    };
}

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *base, dcnv4i_gpu_program **program) {
    const resize_problem *const problem = (const resize_problem *)base;
    const int64_t channels = problem->params.channels, group = dcnv4i_flat_group(&gpu->limits);
    const int64_t items = base->tensors[RESIZE_OUTPUT].pixels * channels / vector_of(&problem->params);
    dcnv4i_recipe recipe = make_recipe(&gpu->limits, &problem->params);
    const dcnv4i_module *module;
    const dcnv4_status status = dcnv4i_module_get(&gpu->modules, &recipe, &module);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_gpu_program *const made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    made->gpu = gpu, made->problem = base, made->op = &dcnv4i_gpu_resize;
    for (int aligned = 0; aligned < 2; ++aligned) {
        dcnv4i_step *const backward = made->passes[DCNV4_PASS_BACKWARD][aligned].step;
        made->has[aligned] = true;
        made->passes[DCNV4_PASS_FORWARD][aligned].step[0] = make_step(module, problem, FORWARD, items, group);
        backward[0] = make_step(module, problem, CLEAR, base->tensors[RESIZE_VALUE].pixels * channels, group);
        backward[1] = make_step(module, problem, BACKWARD, items, group);
    }
    const dcnv4_status fits = dcnv4i_program_check_launches(made);
    if (fits == DCNV4_SUCCESS)
        *program = made;
    else
        free(made);
    return fits;
}

static dcnv4i_loads loads(const dcnv4i_problem *problem, dcnv4_pass pass) {
    const bool forward = pass == DCNV4_PASS_FORWARD;
    return (dcnv4i_loads){forward ? RESIZE_VALUE : RESIZE_GRAD_OUTPUT, forward ? RESIZE_OUTPUT : RESIZE_GRAD_VALUE, 1,
                          problem->tensors[RESIZE_OUTPUT].pixels * ((const resize_problem *)problem)->params.channels};
}

static int32_t dtype(const dcnv4i_problem *problem) {
    (void)problem;
    return DCNV4_FLOAT32;
}

const dcnv4i_gpu_operator dcnv4i_gpu_resize = {
    .op = &dcnv4i_operator_resize,
    .create = create,
    .loads = loads,
    .dtype = dtype,
};
