/* Multi-scale deformable attention on devices that compile. What a layer fixes (L, K of each level, M, D, dtypes, strides, flags)
 * is constant in its kernels; N, Q, S and the levels' sizes and starts are arguments, the last two as a table in the device's
 * memory. */
#include "../../../core/checked_math.h"
#include "../../../core/ms_deform_attn_problem.h"
#include "../../kernels/language/argument_lists.h"
#include "../../kernels/ms_deform_attn/attention_parameters.h"
#include "../program.h"
#include "../runtime/kernel_text.h"
#include "../runtime/text.h"

#include <inttypes.h>
#include <stdlib.h>

extern const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn;

/* ---- What kernels are passed ----------------------------------------------------------------------------------------- */

enum {
    DCNV4I_BUFFER_VALUE = DCNV4I_MSDA_VALUE,
    DCNV4I_BUFFER_LOCATIONS = DCNV4I_MSDA_LOCATIONS,
    DCNV4I_BUFFER_WEIGHTS = DCNV4I_MSDA_WEIGHTS,
    DCNV4I_BUFFER_OUTPUT = DCNV4I_MSDA_OUTPUT,
    DCNV4I_BUFFER_GRAD_OUTPUT = DCNV4I_MSDA_GRAD_OUTPUT,
    DCNV4I_BUFFER_GRAD_VALUE = DCNV4I_MSDA_GRAD_VALUE,
    DCNV4I_BUFFER_GRAD_LOCATIONS = DCNV4I_MSDA_GRAD_LOCATIONS,
    DCNV4I_BUFFER_GRAD_WEIGHTS = DCNV4I_MSDA_GRAD_WEIGHTS,
    DCNV4I_BUFFER_SUMS = DCNV4I_BUFFER_SCRATCH,
    DCNV4I_BUFFER_LEVELS = DCNV4I_BUFFER_TABLE
};
enum { DCNV4I_NUMBER_BATCH, DCNV4I_NUMBER_QUERIES, DCNV4I_NUMBER_VALUE_LENGTH, DCNV4I_NUMBER_PLACES };
enum { KERNEL_FORWARD, KERNEL_POINTS, KERNEL_CLEAR, KERNEL_VALUE, KERNEL_CONVERT, KERNELS };

/* With packed, weights are in the tensor of their locations. */
#define PACKED(id)                                                       \
    ((id) == DCNV4I_BUFFER_WEIGHTS        ? DCNV4I_BUFFER_LOCATIONS      \
     : (id) == DCNV4I_BUFFER_GRAD_WEIGHTS ? DCNV4I_BUFFER_GRAD_LOCATIONS \
                                          : (id))
#define PACKED_BUFFER(id, type, name) PACKED(DCNV4I_BUFFER_##id)
#define PACKED_LIST_OF(kernel) {DCN_ARGUMENTS_##kernel(PACKED_BUFFER, DCNV4I_ENTRY_OF_NUMBER)}

static const unsigned char forward_list[] = DCNV4I_LIST_OF(ATTN_FORWARD);
static const unsigned char points_list[] = DCNV4I_LIST_OF(ATTN_POINTS);
static const unsigned char clear_list[] = DCNV4I_LIST_OF(ATTN_CLEAR);
static const unsigned char value_list[] = DCNV4I_LIST_OF(ATTN_SCATTER);
static const unsigned char convert_list[] = DCNV4I_LIST_OF(ATTN_CONVERT);
static const unsigned char packed_forward_list[] = PACKED_LIST_OF(ATTN_FORWARD);
static const unsigned char packed_points_list[] = PACKED_LIST_OF(ATTN_POINTS);
static const unsigned char packed_value_list[] = PACKED_LIST_OF(ATTN_SCATTER);

/* For tensors apart, and packed. */
static const dcnv4i_signature signatures[2][KERNELS] = {
    {
        [KERNEL_FORWARD] = {"ATTN_FORWARD", sizeof forward_list, forward_list},
        [KERNEL_POINTS] = {"ATTN_POINTS", sizeof points_list, points_list},
        [KERNEL_CLEAR] = {"ATTN_CLEAR", sizeof clear_list, clear_list},
        [KERNEL_VALUE] = {"ATTN_SCATTER", sizeof value_list, value_list},
        [KERNEL_CONVERT] = {"ATTN_CONVERT", sizeof convert_list, convert_list},
    },
    {
        [KERNEL_FORWARD] = {"ATTN_FORWARD", sizeof packed_forward_list, packed_forward_list},
        [KERNEL_POINTS] = {"ATTN_POINTS", sizeof packed_points_list, packed_points_list},
        [KERNEL_CLEAR] = {"ATTN_CLEAR", sizeof clear_list, clear_list},
        [KERNEL_VALUE] = {"ATTN_SCATTER", sizeof packed_value_list, packed_value_list},
        [KERNEL_CONVERT] = {"ATTN_CONVERT", sizeof convert_list, convert_list},
    },
};

/* ---- Shape of the work ----------------------------------------------------------------------------------------------- */

/* How the channels of a head are shared out: accesses of `vector` channels, `lanes` work-items, `vectors` accesses of each. */
typedef struct shape {
    int64_t vector, lanes, vectors;
    bool wide, aligned;
} shape;

static bool rows_allow(const dcnv4i_ms_deform_attn *problem, int64_t vector) {
    static const int tensors[] = {DCNV4I_MSDA_VALUE, DCNV4I_MSDA_OUTPUT, DCNV4I_MSDA_GRAD_OUTPUT,
                                  DCNV4I_MSDA_GRAD_VALUE};
    bool allow = problem->params.head_channels % vector == 0;
    for (int i = 0; i < 4; ++i)
        allow = allow && problem->base.tensors[tensors[i]].stride % vector == 0;
    return allow;
}

/* Whether an element's or a work-item's number may not fit 32 bits, or a place's row or column not a float32. */
static bool needs_64_bits(const dcnv4i_ms_deform_attn *problem) {
    const int64_t most = INT64_C(1) << 30, farthest = INT64_C(1) << 22;
    for (int i = 0; i < DCNV4I_MSDA_TENSORS; ++i) {
        const dcnv4i_tensor *const tensor = &problem->base.tensors[i];
        if (dcnv4i_saturating_mul64(tensor->pixels, tensor->stride) >= most || tensor->stride >= most)
            return true;
    }
    for (int l = 0; l < problem->params.level_count; ++l)
        if (problem->levels[l].height >= farthest || problem->levels[l].width >= farthest)
            return true;
    return false;
}

static shape shape_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, bool aligned) {
    const int64_t item = (int64_t)dcnv4i_dtype_size(problem->params.dtype), depth = problem->params.head_channels;
    shape s = {.vector = 16 / item, .lanes = 1, .wide = needs_64_bits(problem), .aligned = aligned && !limits->cpu};
    while (!rows_allow(problem, s.vector))
        s.vector /= 2;
    const int64_t vectors = depth / s.vector;
    while (!limits->cpu && s.lanes * 2 <= vectors && s.lanes < 8)
        s.lanes *= 2;
    s.vectors = dcnv4i_min64(dcnv4i_ceil_div64(vectors, s.lanes), 4);
    return s;
}

/* Whether one work-item adds up all of a vector of grad_value: its sums have one order. Else atomic additions do, in any. */
static bool has_one_writer(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem) {
    return limits->cpu || problem->params.deterministic;
}

/* ---- Modules --------------------------------------------------------------------------------------------------------- */

static void define_layer(dcnv4i_text *to, const dcnv4i_ms_deform_attn *problem) {
    const dcnv4_msda_problem *p = &problem->params;
    const struct {
        const char *name;
        int64_t number;
    } constants[] = {
        {"MS_DEFORM_ATTN", 1},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"DTYPE", p->dtype},
        {"LOCATION_DTYPE", p->location_dtype},
        {"WEIGHT_DTYPE", p->weight_dtype},
        {"HEADS", p->heads},
        {"GROUPS", p->heads},
        {"CHANNELS", p->head_channels},
        {"POINTS", problem->points},
        {"LEVELS", p->level_count},
        {"SOFTMAX", p->softmax},
        {"NORMALIZED", p->location_unit == DCNV4_MSDA_NORMALIZED},
        {"LOCATION_HEAD", problem->location_head},
        {"WEIGHT_HEAD", problem->weight_head},
        {"WEIGHT_BEGIN", problem->weight_begin},
        {"VALUE_STRIDE", p->value_stride},
        {"LOCATION_STRIDE", p->location_stride},
        {"WEIGHT_STRIDE", p->packed ? p->location_stride : p->weight_stride},
        {"OUTPUT_STRIDE", p->output_stride},
        {"GRAD_OUTPUT_STRIDE", p->grad_output_stride},
        {"GRAD_VALUE_STRIDE", p->grad_value_stride},
        {"GRAD_LOCATION_STRIDE", p->grad_location_stride},
        {"GRAD_WEIGHT_STRIDE", p->packed ? p->grad_location_stride : p->grad_weight_stride},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; ++i)
        dcnv4i_text_define(to, constants[i].name, constants[i].number);
    /* One number for all levels, or a choice by the level's number, which is known where the loop is unrolled. */
    for (int l = 0; l < p->level_count; ++l)
        dcnv4i_text_append(to, "#define ATTN_POINTS_%d(l) ((l) == %d ? %" PRId64 " : %s%d%s)\n", l, l,
                           problem->levels[l].points, l + 1 < p->level_count ? "ATTN_POINTS_" : "",
                           l + 1 < p->level_count ? l + 1 : 0, l + 1 < p->level_count ? "(l)" : "");
    dcnv4i_text_append(to, "#define DCN_LEVEL_POINTS(l) ATTN_POINTS_0(l)\n");
}

static void define_shape(dcnv4i_text *to, const dcnv4i_limits *limits, const shape *s, bool one_writer) {
    const struct {
        const char *name;
        int64_t number;
    } constants[] = {
        {"VECTOR", s->vector},
        {"LANES", s->lanes},
        {"VECTORS", s->vectors},
        {"WIDE", s->wide},
        {"ALIGNED", s->aligned},
        {"RUN", 1},
        {"FLAT_GROUP", dcnv4i_flat_group(limits)},
        {"ONE_WRITER", one_writer},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; ++i)
        dcnv4i_text_define(to, constants[i].name, constants[i].number);
    dcnv4i_text_append(to, "#define DCN_UNROLL_VECTORS\n");
}

static dcnv4i_text constants_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, const shape *s,
                                const char *part) {
    dcnv4i_text text = dcnv4i_text_empty();
    define_layer(&text, problem);
    define_shape(&text, limits, s, has_one_writer(limits, problem));
    dcnv4i_text_define(&text, part, 1);
    return text;
}

static dcnv4i_recipe forward_recipe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, const shape *s) {
    return (dcnv4i_recipe){
        .constants = constants_of(limits, problem, s, "PART_FORWARD").bytes,
        .texts = {dcnv4i_kernel_sample, dcnv4i_kernel_cells, dcnv4i_kernel_channels, dcnv4i_kernel_attention_points,
                  dcnv4i_kernel_attention_parameters, dcnv4i_kernel_gather, dcnv4i_kernel_attention_forward},
        .kernels = {[KERNEL_FORWARD] = "attn_forward"},
    };
}

/* One lane has all channels of a block. */
static dcnv4i_recipe points_recipe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, shape s) {
    s.lanes = 1;
    return (dcnv4i_recipe){
        .constants = constants_of(limits, problem, &s, "PART_POINTS").bytes,
        .texts = {dcnv4i_kernel_sample, dcnv4i_kernel_cells, dcnv4i_kernel_channels, dcnv4i_kernel_attention_points,
                  dcnv4i_kernel_attention_parameters, dcnv4i_kernel_derivatives,
                  dcnv4i_kernel_attention_backward_points},
        .kernels = {[KERNEL_POINTS] = "attn_backward_points"},
    };
}

static dcnv4i_recipe value_recipe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, const shape *s) {
    return (dcnv4i_recipe){
        .constants = constants_of(limits, problem, s, "PART_VALUE").bytes,
        .texts = {dcnv4i_kernel_sample, dcnv4i_kernel_cells, dcnv4i_kernel_channels, dcnv4i_kernel_attention_points,
                  dcnv4i_kernel_attention_parameters, dcnv4i_kernel_scatter, dcnv4i_kernel_attention_backward_value},
        .kernels = {[KERNEL_CLEAR] = "attn_backward_clear",
                    [KERNEL_VALUE] = "attn_backward_value",
                    [KERNEL_CONVERT] = problem->params.dtype == DCNV4_FLOAT32 ? NULL : "attn_backward_convert"},
    };
}

/* ---- Launches -------------------------------------------------------------------------------------------------------- */

static dcnv4i_step make_step(const dcnv4i_gpu *gpu, const dcnv4i_ms_deform_attn *problem, const dcnv4i_module *module,
                             int kernel, int64_t items) {
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t group = dcnv4i_flat_group(&gpu->limits);
    return (dcnv4i_step){
        .kernel = module->kernels[kernel],
        .groups = dcnv4i_ceil_div64(items, group),
        .work_group = group,
        .signature = &signatures[p->packed][kernel],
        .numbers =
            {
                [DCNV4I_NUMBER_BATCH] = p->batch,
                [DCNV4I_NUMBER_QUERIES] = p->queries,
                [DCNV4I_NUMBER_VALUE_LENGTH] = p->value_length,
                [DCNV4I_NUMBER_PLACES] = problem->base.tensors[DCNV4I_MSDA_VALUE].pixels,
            },
    };
}

static void list_kernels(dcnv4i_gpu_program *made, const dcnv4i_module *module, bool aligned, bool atomic) {
    for (int k = 0; k < KERNELS; ++k)
        if (module->kernels[k])
            made->kernels[made->kernel_count++] = (dcnv4i_listed){module, k, aligned, atomic};
}

static dcnv4_status make_forward(dcnv4i_gpu_program *made, const dcnv4i_ms_deform_attn *problem, const shape *s) {
    dcnv4i_recipe recipe = forward_recipe(&made->gpu->limits, problem, s);
    const dcnv4i_module *module;
    const dcnv4_status status = dcnv4i_module_get(&made->gpu->modules, &recipe, &module);
    if (status != DCNV4_SUCCESS)
        return status;
    const int64_t parts = dcnv4i_ceil_div64(problem->params.head_channels, s->vector * s->lanes * s->vectors);
    const int64_t blocks = problem->base.tensors[DCNV4I_MSDA_OUTPUT].pixels * problem->params.heads;
    made->passes[DCNV4_PASS_FORWARD][s->aligned].step[0] = make_step(made->gpu, problem, module, KERNEL_FORWARD,
                                                                     blocks * parts * s->lanes);
    list_kernels(made, module, s->aligned, false);
    return DCNV4_SUCCESS;
}

static dcnv4_status make_backward(dcnv4i_gpu_program *made, const dcnv4i_ms_deform_attn *problem, const shape *s) {
    dcnv4i_gpu *const gpu = made->gpu;
    const dcnv4_msda_problem *p = &problem->params;
    dcnv4i_steps *const steps = &made->passes[DCNV4_PASS_BACKWARD][s->aligned];
    const int64_t blocks = problem->base.tensors[DCNV4I_MSDA_OUTPUT].pixels * p->heads;
    const int64_t elements = problem->base.tensors[DCNV4I_MSDA_VALUE].pixels * problem->channels;
    const bool one_writer = has_one_writer(&gpu->limits, problem);
    dcnv4i_recipe recipe = points_recipe(&gpu->limits, problem, *s);
    const dcnv4i_module *points, *value;
    dcnv4_status status = dcnv4i_module_get(&gpu->modules, &recipe, &points);
    if (status != DCNV4_SUCCESS)
        return status;
    recipe = value_recipe(&gpu->limits, problem, s);
    status = dcnv4i_module_get(&gpu->modules, &recipe, &value);
    if (status != DCNV4_SUCCESS)
        return status;
    list_kernels(made, points, s->aligned, false);
    list_kernels(made, value, s->aligned, !one_writer);
    steps->step[0] = make_step(gpu, problem, points, KERNEL_POINTS, blocks);
    steps->step[1] = make_step(gpu, problem, value, KERNEL_CLEAR, elements);
    steps->step[2] = make_step(gpu, problem, value, KERNEL_VALUE,
                               elements == 0 ? 0
                               : one_writer  ? p->batch * problem->channels / s->vector
                                             : blocks * s->lanes);
    if (p->dtype != DCNV4_FLOAT32) {
        steps->step[3] = make_step(gpu, problem, value, KERNEL_CONVERT, elements);
        steps->scratch[0] = (dcnv4i_scratch){(size_t)elements * sizeof(float), sizeof(float)};
    }
    dcnv4i_program_add_workspace(made, DCNV4_PASS_BACKWARD, steps);
    return DCNV4_SUCCESS;
}

/* Puts the levels' sizes and starts into the device's memory, where there is a device. */
static dcnv4_status make_table(dcnv4i_gpu_program *made, const dcnv4i_ms_deform_attn *problem) {
    const dcnv4i_gpu *const gpu = made->gpu;
    int64_t table[3 * DCNV4_MSDA_MAX_LEVELS];
    const size_t bytes = 3 * (size_t)problem->params.level_count * sizeof *table;
    for (int l = 0; l < problem->params.level_count; ++l) {
        table[3 * l] = problem->levels[l].height, table[3 * l + 1] = problem->levels[l].width;
        table[3 * l + 2] = problem->levels[l].start;
    }
    if (!gpu->modules.identity->machine)
        return DCNV4_SUCCESS;
    const dcnv4_status status = gpu->driver->buffer_create(gpu->device, bytes, &made->table);
    return status == DCNV4_SUCCESS ? gpu->driver->upload(gpu->device, made->table, 0, table, bytes) : status;
}

static dcnv4_status check(const dcnv4i_ms_deform_attn *problem) {
    if (problem->params.dtype == DCNV4_FLOAT64)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "float64 is for the reference and the cpu; this device has float32, float16 "
                           "and bfloat16");
    if (problem->params.location_unit >= DCNV4_MSDA_OFFSETS || problem->params.levels_in_buffers)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "this device has no reference points and no levels in buffers yet");
    if (problem->points > INT32_MAX / 4)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "a head has %" PRId64 " points, this device can have up to %d",
                           problem->points, INT32_MAX / 4);
    return DCNV4_SUCCESS;
}

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *base, dcnv4i_gpu_program **program) {
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    dcnv4_status status = check(problem);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_gpu_program *const made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    made->gpu = gpu, made->problem = base, made->op = &dcnv4i_gpu_ms_deform_attn;
    for (int aligned = 0; aligned < (gpu->limits.cpu ? 1 : 2) && status == DCNV4_SUCCESS; ++aligned) {
        const shape s = shape_of(&gpu->limits, problem, aligned);
        made->has[aligned] = true;
        status = make_forward(made, problem, &s);
        if (status == DCNV4_SUCCESS && !base->forward_only)
            status = make_backward(made, problem, &s);
    }
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_program_check_launches(made);
    if (status == DCNV4_SUCCESS)
        status = make_table(made, problem);
    if (status == DCNV4_SUCCESS)
        *program = made;
    else
        dcnv4i_program_free(made);
    return status;
}

static dcnv4i_loads loads(const dcnv4i_problem *base, dcnv4_pass pass) {
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    return (dcnv4i_loads){
        .from = DCNV4I_MSDA_VALUE,
        .to = pass == DCNV4_PASS_FORWARD ? DCNV4I_MSDA_OUTPUT : DCNV4I_MSDA_GRAD_VALUE,
        .cells = problem->points,
        .channels = base->tensors[DCNV4I_MSDA_OUTPUT].pixels * problem->channels,
    };
}

static int32_t dtype(const dcnv4i_problem *base) {
    return ((const dcnv4i_ms_deform_attn *)base)->params.dtype;
}

#define BIT(id) (1u << DCNV4I_MSDA_##id)

const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .vectors = {BIT(VALUE) | BIT(OUTPUT), BIT(VALUE) | BIT(GRAD_OUTPUT) | BIT(GRAD_VALUE)},
    .create = create,
    .loads = loads,
    .dtype = dtype,
};
