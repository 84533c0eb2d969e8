#include "source.h"
#include "../../../core/checked_math.h"
#include "../runtime/kernel_text.h"
#include "../runtime/text.h"

/* ---- The constants, as text -------------------------------------------------------------------------------------- */

static void define_layer(dcnv4i_text *to, const dcnv4i_deform_conv *problem) {
    const dcnv4_problem *p = &problem->params;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"DTYPE", p->dtype},
        {"OFFSET_DTYPE", p->offset_mask_dtype},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"REMOVE_CENTER", p->remove_center},
        {"SOFTMAX", p->softmax},
        {"GROUPS", p->groups},
        {"CHANNELS", p->group_channels},
        {"KERNEL_H", p->kernel_h},
        {"KERNEL_W", p->kernel_w},
        {"POINTS", problem->points},
        {"STRIDE_H", p->stride_h},
        {"STRIDE_W", p->stride_w},
        {"PAD_H", p->pad_h},
        {"PAD_W", p->pad_w},
        {"DILATION_H", p->dilation_h},
        {"DILATION_W", p->dilation_w},
        {"HALF_H", p->dilation_h * (p->kernel_h - 1) >> 1},
        {"HALF_W", p->dilation_w * (p->kernel_w - 1) >> 1},
        {"OFFSET_MASK_ROW", p->offset_mask_row},
        {"VALUE_STRIDE", p->value_stride},
        {"OFFSET_MASK_STRIDE", p->offset_mask_stride},
        {"OUTPUT_STRIDE", p->output_stride},
        {"GRAD_OUTPUT_STRIDE", p->grad_output_stride},
        {"GRAD_VALUE_STRIDE", p->grad_value_stride},
        {"GRAD_OFFSET_MASK_STRIDE", p->grad_offset_mask_stride},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        dcnv4i_text_define(to, fields[i].name, fields[i].number);
    dcnv4i_text_define_real(to, "SCALE", p->offset_scale);
}

static bool has(dcnv4i_part_set parts, dcnv4_part part) {
    return parts >> part & 1;
}

/* Whether one kernel writes the gradients of points and adds up those of value. */
static bool does_both(dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    return has(parts, DCNV4_PART_GRAD_OFFSET_MASK) && has(parts, DCNV4_PART_GRAD_VALUE) && geometry->run > 1;
}

static void define_geometry(dcnv4i_text *to, const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem,
                            dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    const int64_t lane_vectors = dcnv4i_ceil_div64(problem->params.group_channels, geometry->vector) / geometry->lanes;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"PART_FORWARD", has(parts, DCNV4_PART_OUTPUT)},
        {"PART_POINTS", has(parts, DCNV4_PART_GRAD_OFFSET_MASK)},
        {"PART_SCATTER", has(parts, DCNV4_PART_GRAD_VALUE)},
        {"BOTH", does_both(parts, geometry)},
        {"VECTOR", geometry->vector},
        {"LANES", geometry->lanes},
        {"VECTORS", geometry->vectors},
        {"TILE_H", geometry->tile_h},
        {"TILE_W", geometry->tile_w},
        {"TILE_GROUPS", geometry->tile_groups},
        {"RUN", geometry->run},
        {"ROUND_POINTS", geometry->round_points},
        {"STAGED", geometry->staged},
        {"SCATTER", geometry->scatter},
        {"SCATTER_BANDS", DCNV4I_SCATTER_BANDS},
        {"SCATTER_TILES", DCNV4I_SCATTER_TILES},
        {"HITS", geometry->hits},
        {"CHUNK_H", geometry->chunk_h},
        {"CHUNK_W", geometry->chunk_w},
        {"WIDE", geometry->wide},
        {"ALIGNED", geometry->aligned},
        {"FLAT_GROUP", dcnv4i_flat_group(limits)},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        dcnv4i_text_define(to, fields[i].name, fields[i].number);
    /* On CPUs the loop over points gains nothing from being unrolled, and takes twice as long to compile. */
    dcnv4i_text_append(to, "#define DCN_UNROLL_POINTS %s\n", problem->points <= 32 && !limits->cpu ? "DCN_UNROLL" : "");
    dcnv4i_text_append(to, "#define DCN_UNROLL_VECTORS %s\n", lane_vectors <= 8 ? "DCN_UNROLL" : "");
}

static char *constants_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4i_part_set parts,
                          const dcnv4i_geometry *geometry) {
    dcnv4i_text constants = dcnv4i_text_empty();
    define_layer(&constants, problem);
    define_geometry(&constants, limits, problem, parts, geometry);
    return constants.bytes;
}

char *dcnv4i_deform_conv_layer(const dcnv4i_deform_conv *problem) {
    dcnv4i_text layer = dcnv4i_text_empty();
    define_layer(&layer, problem);
    return layer.bytes;
}

/* ---- Texts and kernels ------------------------------------------------------------------------------------------- */

static void add(const char ***next, const char *text) {
    *(*next)++ = text;
}

/* Each variant of a part is a text of its own, after the texts that the variants share. */
static void add_forward(const char ***next, const dcnv4i_geometry *geometry) {
    add(next, dcnv4i_kernel_gather);
    if (geometry->run > 1 || geometry->staged)
        add(next, dcnv4i_kernel_forward_exact);
    add(next, geometry->run > 1  ? dcnv4i_kernel_forward_run
              : geometry->staged ? dcnv4i_kernel_forward_staged
                                 : dcnv4i_kernel_forward_plain);
}

static void add_scatter(const char ***next, const dcnv4i_geometry *geometry) {
    static const char *const ways[] = {
        [DCNV4I_SCATTER_BANDS] = dcnv4i_kernel_backward_scatter_bands,
        [DCNV4I_SCATTER_TILES] = dcnv4i_kernel_backward_scatter_tiles,
        [DCNV4I_SCATTER_ATOMIC] = dcnv4i_kernel_backward_scatter_atomic,
    };
    add(next, dcnv4i_kernel_scatter);
    add(next, ways[geometry->scatter]);
}

static void add_points(const char ***next, dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    add(next, dcnv4i_kernel_derivatives);
    add(next, dcnv4i_kernel_backward_exact);
    add(next, geometry->run > 1  ? dcnv4i_kernel_backward_points_run
              : geometry->staged ? dcnv4i_kernel_backward_points_staged
                                 : dcnv4i_kernel_backward_points_plain);
    if (does_both(parts, geometry))
        add(next, dcnv4i_kernel_backward_both);
}

static void choose_texts(const char **next, dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    add(&next, dcnv4i_kernel_sample);
    add(&next, dcnv4i_kernel_cells);
    add(&next, dcnv4i_kernel_channels);
    if (geometry->run > 1)
        add(&next, dcnv4i_kernel_vector_cells);
    add(&next, dcnv4i_kernel_deform_conv_parameters);
    add(&next, dcnv4i_kernel_points);
    add(&next, dcnv4i_kernel_tiles);
    if (geometry->run > 1)
        add(&next, dcnv4i_kernel_runs);
    if (has(parts, DCNV4_PART_OUTPUT))
        add_forward(&next, geometry);
    if (has(parts, DCNV4_PART_GRAD_VALUE))
        add_scatter(&next, geometry);
    if (has(parts, DCNV4_PART_GRAD_OFFSET_MASK))
        add_points(&next, parts, geometry);
}

static void choose_kernels(const char *kernels[DCNV4I_KERNELS], const dcnv4i_deform_conv *problem,
                           dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    const bool scatter = has(parts, DCNV4_PART_GRAD_VALUE), both = does_both(parts, geometry);
    const bool atomic = geometry->scatter == DCNV4I_SCATTER_ATOMIC;
    const struct {
        const char *name;
        bool has;
    } all[DCNV4I_KERNELS] = {
        [DCNV4I_KERNEL_FORWARD] = {"dcn_forward", has(parts, DCNV4_PART_OUTPUT)},
        [DCNV4I_KERNEL_POINTS] = {"dcn_backward_points", has(parts, DCNV4_PART_GRAD_OFFSET_MASK) && !both},
        [DCNV4I_KERNEL_SCATTER] = {"dcn_backward_scatter", scatter && !both},
        [DCNV4I_KERNEL_BOUNDS] = {"dcn_backward_bounds", scatter && !atomic},
        [DCNV4I_KERNEL_CLEAR] = {"dcn_backward_clear", scatter && atomic},
        [DCNV4I_KERNEL_CONVERT] = {"dcn_backward_convert", scatter && atomic && problem->params.dtype != DCNV4_FLOAT32},
        [DCNV4I_KERNEL_BOTH] = {"dcn_backward", both},
    };
    for (int i = 0; i < DCNV4I_KERNELS; ++i)
        kernels[i] = all[i].has ? all[i].name : NULL;
}

dcnv4i_recipe dcnv4i_deform_conv_recipe(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem,
                                        dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    dcnv4i_recipe recipe = {.constants = constants_of(limits, problem, parts, geometry)};
    choose_texts(recipe.texts, parts, geometry);
    choose_kernels(recipe.kernels, problem, parts, geometry);
    return recipe;
}
