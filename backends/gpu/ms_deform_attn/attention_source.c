#include "attention_source.h"
#include "../../../core/checked_math.h"
#include "../runtime/kernel_text.h"
#include "../runtime/text.h"

#include <inttypes.h>

/* ---- The constants, as text -------------------------------------------------------------------------------------- */

/* What a kernel asks of level l, or point k: a chain of choices, or one number where all levels have as many points. */
static void define_levels(dcnv4i_text *to, const dcnv4i_ms_deform_attn *problem) {
    const int count = (int)problem->params.level_count;
    const int64_t first = problem->levels[0].points;
    bool even = first > 0;
    for (int l = 1; l < count; ++l)
        even = even && problem->levels[l].points == first;
    if (even) {
        dcnv4i_text_append(to,
                           "#define DCN_LEVEL_POINTS(l) %" PRId64 "\n#define DCN_LEVEL_BEGIN(l) ((l) * %" PRId64
                           ")\n#define DCN_LEVEL_OF(k) ((k) / %" PRId64 ")\n",
                           first, first, first);
        return;
    }
    int64_t begin = 0;
    dcnv4i_text_append(to, "#define DCN_LEVEL_POINTS(l) ATTN_POINTS_0(l)\n#define DCN_LEVEL_BEGIN(l) ATTN_BEGIN_0(l)\n"
                           "#define DCN_LEVEL_OF(k) ATTN_LEVEL_0(k)\n");
    for (int l = 0; l < count; begin += problem->levels[l++].points) {
        const int64_t points = problem->levels[l].points, end = begin + points;
        if (l + 1 == count) {
            dcnv4i_text_append(to, "#define ATTN_POINTS_%d(l) %" PRId64 "\n", l, points);
            dcnv4i_text_append(to, "#define ATTN_BEGIN_%d(l) %" PRId64 "\n#define ATTN_LEVEL_%d(k) 0\n", l, begin, l);
            return;
        }
        dcnv4i_text_append(to, "#define ATTN_POINTS_%d(l) ((l) == %d ? %" PRId64 " : ATTN_POINTS_%d(l))\n", l, l,
                           points, l + 1);
        dcnv4i_text_append(to, "#define ATTN_BEGIN_%d(l) ((l) == %d ? %" PRId64 " : ATTN_BEGIN_%d(l))\n", l, l, begin,
                           l + 1);
        dcnv4i_text_append(to, "#define ATTN_LEVEL_%d(k) (((k) >= %" PRId64 ") + ATTN_LEVEL_%d(k))\n", l, end, l + 1);
    }
}

static void define_layer(dcnv4i_text *to, const dcnv4i_ms_deform_attn *problem) {
    const dcnv4_msda_problem *p = &problem->params;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"MS_DEFORM_ATTN", 1},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"DTYPE", p->dtype},
        {"LOCATION_DTYPE", p->location_dtype},
        {"WEIGHT_DTYPE", p->weight_dtype},
        {"REFERENCE_DTYPE", p->reference_dtype},
        {"HEADS", p->heads},
        {"GROUPS", p->heads},
        {"CHANNELS", p->head_channels},
        {"POINTS", problem->points},
        {"LEVELS", p->level_count},
        {"LEVELS_IN_BUFFERS", p->levels_in_buffers},
        {"STARTS_BEGIN", p->levels_in_buffers ? 0 : 2 * p->level_count},
        {"SOFTMAX", p->softmax},
        {"UNIT", p->location_unit},
        {"UNIT_NORMALIZED", DCNV4_MSDA_NORMALIZED},
        {"UNIT_PLACES", DCNV4_MSDA_PLACES},
        {"UNIT_OFFSETS", DCNV4_MSDA_OFFSETS},
        {"UNIT_BOX_OFFSETS", DCNV4_MSDA_BOX_OFFSETS},
        {"REFERENCE_LEVELS", p->reference_levels},
        {"LOCATION_HEAD", problem->location_head},
        {"WEIGHT_HEAD", problem->weight_head},
        {"WEIGHT_BEGIN", problem->weight_begin},
        {"VALUE_STRIDE", p->value_stride},
        {"LOCATION_STRIDE", p->location_stride},
        {"WEIGHT_STRIDE", p->packed ? p->location_stride : p->weight_stride},
        {"REFERENCE_STRIDE", p->reference_stride},
        {"OUTPUT_STRIDE", p->output_stride},
        {"GRAD_OUTPUT_STRIDE", p->grad_output_stride},
        {"GRAD_VALUE_STRIDE", p->grad_value_stride},
        {"GRAD_LOCATION_STRIDE", p->grad_location_stride},
        {"GRAD_WEIGHT_STRIDE", p->packed ? p->grad_location_stride : p->grad_weight_stride},
        {"GRAD_REFERENCE_STRIDE", p->grad_reference_stride},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        dcnv4i_text_define(to, fields[i].name, fields[i].number);
    dcnv4i_text_define_real(to, "BOX_SCALE", p->box_scale);
    define_levels(to, problem);
}

static void define_geometry(dcnv4i_text *to, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                            dcnv4_msda_part part, const dcnv4i_attn_geometry *g) {
    const int64_t lane_vectors = dcnv4i_ceil_div64(problem->params.head_channels, g->vector) / g->lanes;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"PART", part},
        {"VECTOR", g->vector},
        {"LANES", g->lanes},
        {"VECTORS", g->vectors},
        {"BLOCKS", g->blocks},
        {"ROUND_POINTS", g->round_points},
        {"WAY", g->way},
        {"HITS", g->hits},
        {"CHUNK", g->chunk},
        {"WIDE", g->wide},
        {"ALIGNED", g->aligned},
        {"RUN", g->way == DCNV4I_ATTN_RUN ? 8 : 1},
        {"FLAT_GROUP", dcnv4i_attn_flat_group(limits, part)},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        dcnv4i_text_define(to, fields[i].name, fields[i].number);
    dcnv4i_text_append(to, "#define DCN_UNROLL_VECTORS %s\n", lane_vectors <= 8 ? "DCN_UNROLL" : "");
}

char *dcnv4i_attn_layer(const dcnv4i_ms_deform_attn *problem) {
    dcnv4i_text layer = dcnv4i_text_empty();
    define_layer(&layer, problem);
    return layer.bytes;
}

/* ---- Texts and kernels ------------------------------------------------------------------------------------------- */

static void add(const char ***next, const char *text) {
    *(*next)++ = text;
}

static void add_value(const char ***next, dcnv4i_attn_way way) {
    if (way == DCNV4I_ATTN_TILES) {
        add(next, dcnv4i_kernel_gather);
        add(next, dcnv4i_kernel_attention_backward_value_tiles);
        return;
    }
    if (way == DCNV4I_ATTN_RUN) {
        add(next, dcnv4i_kernel_attention_backward_value_run);
        return;
    }
    add(next, dcnv4i_kernel_scatter);
    add(next, dcnv4i_kernel_attention_backward_value_sums);
    add(next, way == DCNV4I_ATTN_ATOMIC ? dcnv4i_kernel_attention_backward_value_atomic
                                        : dcnv4i_kernel_attention_backward_value_owned);
}

/* Each way of a part is a text of its own, after the texts that the ways share. */
static void choose_texts(const char **next, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                         dcnv4i_attn_way way) {
    const bool staged = way == DCNV4I_ATTN_STAGED, run = way == DCNV4I_ATTN_RUN;
    add(&next, dcnv4i_kernel_sample);
    add(&next, dcnv4i_kernel_cells);
    add(&next, dcnv4i_kernel_channels);
    add(&next, dcnv4i_kernel_attention_parameters);
    add(&next, dcnv4i_kernel_attention_points);
    if (run) {
        add(&next, dcnv4i_kernel_vector_cells);
        add(&next, dcnv4i_kernel_attention_runs);
    } else if (way != DCNV4I_ATTN_PLAIN && way != DCNV4I_ATTN_OWNED)
        add(&next, dcnv4i_kernel_attention_tiles);
    if (part == DCNV4_MSDA_PART_OUTPUT) {
        add(&next, dcnv4i_kernel_gather);
        add(&next, dcnv4i_kernel_attention_exact);
        add(&next, staged ? dcnv4i_kernel_attention_forward_staged
                   : run  ? dcnv4i_kernel_attention_forward_run
                          : dcnv4i_kernel_attention_forward_plain);
    } else if (part == DCNV4_MSDA_PART_GRAD_POINTS) {
        add(&next, dcnv4i_kernel_derivatives);
        add(&next, dcnv4i_kernel_attention_derivatives);
        if (problem->reference_numbers > 0)
            add(&next, dcnv4i_kernel_attention_backward_references);
        add(&next, staged ? dcnv4i_kernel_attention_backward_points_staged
                   : run  ? dcnv4i_kernel_attention_backward_points_run
                          : dcnv4i_kernel_attention_backward_points_plain);
    } else
        add_value(&next, way);
}

static void choose_kernels(const char *kernels[DCNV4I_ATTN_KERNELS], const dcnv4i_ms_deform_attn *problem,
                           dcnv4_msda_part part, dcnv4i_attn_way way) {
    const bool points = part == DCNV4_MSDA_PART_GRAD_POINTS, value = part == DCNV4_MSDA_PART_GRAD_VALUE;
    const bool tiles = way == DCNV4I_ATTN_TILES, half = problem->params.dtype != DCNV4_FLOAT32;
    const bool run = way == DCNV4I_ATTN_RUN;
    const struct {
        const char *name;
        bool has;
    } all[DCNV4I_ATTN_KERNELS] = {
        [DCNV4I_ATTN_KERNEL_FORWARD] = {"attn_forward", part == DCNV4_MSDA_PART_OUTPUT},
        [DCNV4I_ATTN_KERNEL_POINTS] = {"attn_backward_points", points},
        [DCNV4I_ATTN_KERNEL_REFERENCES] = {"attn_backward_references", points && problem->reference_numbers > 0},
        [DCNV4I_ATTN_KERNEL_VALUE] = {"attn_backward_value", value},
        [DCNV4I_ATTN_KERNEL_BOUNDS] = {"attn_backward_bounds", value && tiles},
        [DCNV4I_ATTN_KERNEL_CLEAR] = {"attn_backward_clear", value && !tiles && !(run && half)},
        [DCNV4I_ATTN_KERNEL_CONVERT] = {"attn_backward_convert", value && !tiles && !run && half},
    };
    for (int i = 0; i < DCNV4I_ATTN_KERNELS; ++i)
        kernels[i] = all[i].has ? all[i].name : NULL;
}

dcnv4i_recipe dcnv4i_attn_recipe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                                 dcnv4_msda_part part, const dcnv4i_attn_geometry *geometry) {
    dcnv4i_text constants = dcnv4i_text_empty();
    define_layer(&constants, problem);
    define_geometry(&constants, limits, problem, part, geometry);
    dcnv4i_recipe recipe = {.constants = constants.bytes};
    choose_texts(recipe.texts, problem, part, geometry->way);
    choose_kernels(recipe.kernels, problem, part, geometry->way);
    return recipe;
}
