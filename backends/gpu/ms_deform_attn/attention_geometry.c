#include "attention_geometry.h"
#include "../../../core/checked_math.h"

enum { CHUNK = 16 };

static int64_t power_below(int64_t number) {
    int64_t power = 1;
    while (power <= number / 2)
        power *= 2;
    return power;
}

bool dcnv4i_attn_geometry_equal(const dcnv4i_attn_geometry *a, const dcnv4i_attn_geometry *b) {
    return a->vector == b->vector && a->lanes == b->lanes && a->vectors == b->vectors && a->blocks == b->blocks &&
           a->round_points == b->round_points && a->way == b->way && a->hits == b->hits && a->chunk == b->chunk &&
           a->wide == b->wide && a->aligned == b->aligned;
}

/* ---- What rows and sizes allow ----------------------------------------------------------------------------------- */

static bool rows_allow(const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part, int64_t vector) {
    static const int tensors[DCNV4I_ATTN_PARTS][2] = {
        [DCNV4_MSDA_PART_OUTPUT] = {DCNV4I_MSDA_VALUE, DCNV4I_MSDA_OUTPUT},
        [DCNV4_MSDA_PART_GRAD_POINTS] = {DCNV4I_MSDA_VALUE, DCNV4I_MSDA_GRAD_OUTPUT},
        [DCNV4_MSDA_PART_GRAD_VALUE] = {DCNV4I_MSDA_GRAD_OUTPUT, DCNV4I_MSDA_GRAD_VALUE},
    };
    return problem->params.head_channels % vector == 0 &&
           problem->base.tensors[tensors[part][0]].stride % vector == 0 &&
           problem->base.tensors[tensors[part][1]].stride % vector == 0;
}

/* The bounds of all chunks, in each image, head and level; at most 2⁵⁸. */
static int64_t bounds_of(const dcnv4i_ms_deform_attn *problem, int64_t chunk) {
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t chunks = dcnv4i_saturating_mul64(p->batch, dcnv4i_ceil_div64(p->queries, chunk));
    return dcnv4i_min64(dcnv4i_saturating_mul64(chunks, p->heads * p->level_count), INT64_C(1) << 58);
}

/* Whether an element's or a work-item's number may not fit 32 bits, or a place's row or column not a float32. */
static bool needs_64_bits(const dcnv4i_ms_deform_attn *problem) {
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t most = INT64_C(1) << 30, farthest = INT64_C(1) << 22;
    for (int i = 0; i < DCNV4I_MSDA_TENSORS; ++i) {
        const dcnv4i_tensor *const tensor = &problem->base.tensors[i];
        if (dcnv4i_saturating_mul64(tensor->pixels, tensor->stride) >= most || tensor->stride >= most)
            return true;
    }
    if (2 * bounds_of(problem, CHUNK) >= most)
        return true;
    for (int l = 0; l < p->level_count; ++l)
        if (problem->levels[l].height >= farthest || problem->levels[l].width >= farthest)
            return true;
    return false;
}

/* A GPU accesses 16 bytes at a time where the rows' alignment allows; a CPU's vectors need no alignment. */
static int32_t vector_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part) {
    int64_t width = limits->cpu ? 16 : 16 / (int64_t)dcnv4i_dtype_size(problem->params.dtype);
    while (limits->cpu ? problem->params.head_channels % width != 0 : !rows_allow(problem, part, width))
        width /= 2;
    return (int32_t)width;
}

static dcnv4i_attn_geometry start(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                                  dcnv4_msda_part part, bool aligned) {
    return (dcnv4i_attn_geometry){
        .vector = vector_of(limits, problem, part), .wide = needs_64_bits(problem), .aligned = aligned && !limits->cpu};
}

/* ---- The default ------------------------------------------------------------------------------------------------- */

/* A work-item has all channels of its blocks, or in output up to 64 of them. */
static void plan_alone(dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part) {
    g->way = part == DCNV4_MSDA_PART_GRAD_VALUE ? DCNV4I_ATTN_OWNED : DCNV4I_ATTN_PLAIN;
    g->lanes = g->blocks = g->round_points = 1;
    g->vectors = (int32_t)dcnv4i_min64(dcnv4i_ceil_div64(problem->params.head_channels, g->vector), 4);
}

/* A work-item has runs of eight queries; they have 32-bit vectors of indices, and all points in private arrays. For grad_value it
 * has all of an image's, in as many channels of a head as fit registers, or fewer if that leaves units without work. */
static void plan_for_cpu(dcnv4i_attn_geometry *g, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                         dcnv4_msda_part part) {
    plan_alone(g, problem, part);
    if (g->wide || problem->points < 1 || problem->points > 64)
        return;
    g->way = DCNV4I_ATTN_RUN;
    g->vector = dcnv4i_vector_of_run(problem->params.head_channels);
    g->vectors = (int32_t)dcnv4i_min64(dcnv4i_ceil_div64(problem->params.head_channels, g->vector), 4);
    if (part != DCNV4_MSDA_PART_GRAD_VALUE)
        g->blocks = 64;
    else if (limits->units > problem->params.heads)
        g->vectors = 1;
}

/* As many lanes as a block has vectors, up to most, so that neighbouring lanes read neighbouring addresses. */
static void plan_lanes(dcnv4i_attn_geometry *g, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                       int64_t most, int64_t most_items) {
    const int64_t vectors = dcnv4i_ceil_div64(problem->params.head_channels, g->vector);
    const int64_t work_group = power_below(dcnv4i_min64(limits->work_group, most_items));
    g->lanes = (int32_t)dcnv4i_min64(power_below(vectors), dcnv4i_min64(work_group, most));
    g->vectors = (int32_t)dcnv4i_min64(dcnv4i_ceil_div64(vectors, g->lanes), 4);
    g->blocks = (int32_t)(work_group / g->lanes);
}

/* Blocks share out their points where they have lanes: as many points at a time as fit half of the local memory, which leaves the
 * other half to a second work-group; then the points are divided evenly among the rounds. */
static void plan_staging(dcnv4i_attn_geometry *g, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                         dcnv4_msda_part part) {
    int64_t most = dcnv4i_min64(problem->points, 16);
    g->way = part == DCNV4_MSDA_PART_GRAD_VALUE ? DCNV4I_ATTN_ATOMIC : DCNV4I_ATTN_STAGED;
    for (g->round_points = (int32_t)most; most > 0; g->round_points = (int32_t)--most)
        if (dcnv4i_attn_geometry_local_memory(g, problem, part) <= limits->local_memory / 2)
            break;
    if (most == 0 || g->lanes == 1)
        plan_alone(g, problem, part);
    else
        g->round_points = (int32_t)dcnv4i_ceil_div64(problem->points, dcnv4i_ceil_div64(problem->points, most));
}

static int64_t most_level_points(const dcnv4i_ms_deform_attn *problem) {
    int64_t most = 0;
    for (int l = 0; l < problem->params.level_count; ++l)
        most = problem->levels[l].points > most ? problem->levels[l].points : most;
    return most;
}

/* Few lanes with several vectors make large tiles, which test fewer points that are not theirs. A work-item's four corners must
 * fit beside the hits that were collected before. */
static bool plan_tiles(dcnv4i_attn_geometry *g, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem) {
    enum { MOST_HITS = 1024, MOST_POINTS = 4096 };
    plan_lanes(g, limits, problem, 2, 128);
    g->way = DCNV4I_ATTN_TILES, g->hits = MOST_HITS, g->chunk = CHUNK, g->round_points = 1;
    while (g->hits >= 64 &&
           dcnv4i_attn_geometry_local_memory(g, problem, DCNV4_MSDA_PART_GRAD_VALUE) > limits->local_memory)
        g->hits -= 64;
    return g->hits >= 4 * g->blocks * g->lanes && most_level_points(problem) <= MOST_POINTS;
}

bool dcnv4i_attn_geometry_tiles(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, bool aligned,
                                dcnv4i_attn_geometry *tiles) {
    *tiles = start(limits, problem, DCNV4_MSDA_PART_GRAD_VALUE, aligned);
    return !limits->cpu && plan_tiles(tiles, limits, problem);
}

/* Atomic additions are faster where there are few queries; where a device has none for float32, or the bits must be the same in
 * every run, tiles are. */
static void plan_value(dcnv4i_attn_geometry *g, const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem) {
    const bool owns = problem->params.deterministic || limits->atomics == DCNV4I_ATOMICS_EXCHANGE;
    if (owns && plan_tiles(g, limits, problem))
        return;
    g->hits = g->chunk = 0;
    plan_lanes(g, limits, problem, 8, 128);
    if (problem->params.deterministic) {
        g->way = DCNV4I_ATTN_OWNED;
        g->blocks = g->round_points = 1;
        return;
    }
    plan_staging(g, limits, problem, DCNV4_MSDA_PART_GRAD_VALUE);
    if (g->way == DCNV4I_ATTN_OWNED) { /* with one lane too, and one point at a time */
        plan_lanes(g, limits, problem, 8, 32);
        g->way = DCNV4I_ATTN_ATOMIC, g->round_points = 1;
    }
}

dcnv4i_attn_geometry dcnv4i_attn_geometry_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                                             dcnv4_msda_part part, bool aligned) {
    dcnv4i_attn_geometry g = start(limits, problem, part, aligned);
    if (limits->cpu)
        plan_for_cpu(&g, limits, problem, part);
    else if (part == DCNV4_MSDA_PART_GRAD_VALUE)
        plan_value(&g, limits, problem);
    else {
        plan_lanes(&g, limits, problem, 8, part == DCNV4_MSDA_PART_OUTPUT ? 256 : 128);
        plan_staging(&g, limits, problem, part);
    }
    return g;
}

/* ---- What follows from it ---------------------------------------------------------------------------------------- */

int64_t dcnv4i_attn_geometry_local_memory(const dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem,
                                          dcnv4_msda_part part) {
    const int64_t index = g->wide ? 8 : 4, items = (int64_t)g->blocks * g->lanes;
    const int64_t staged = (int64_t)g->blocks * (g->round_points | 1), plane = (staged + 7) / 8 * 8 + 8;
    const int64_t shared = problem->params.level_count * 4 * index + (problem->params.softmax ? 4 * items : 0) + 64;
    switch (g->way) {
    case DCNV4I_ATTN_STAGED:
        return shared + staged * 2 * index + 16 * (part == DCNV4_MSDA_PART_OUTPUT ? staged : g->lanes * plane);
    case DCNV4I_ATTN_ATOMIC: return shared + staged * (16 + 3 * index);
    case DCNV4I_ATTN_TILES:
        return g->hits * (3 * index + 8) + g->blocks * 8 + items * (4 + index) + 64; /* 64: for alignment */
    case DCNV4I_ATTN_PLAIN:
    case DCNV4I_ATTN_RUN:
    case DCNV4I_ATTN_OWNED: break;
    }
    return 0;
}

int64_t dcnv4i_attn_geometry_bounds(const dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem) {
    return g->way == DCNV4I_ATTN_TILES ? bounds_of(problem, g->chunk) : 0;
}

/* Where places are read many times, as by encoders, it pays to have those of a head side by side; 16-bit types, and vectors that
 * have channels of another work-item as well, need sums apart from grad_value anyway. */
bool dcnv4i_attn_geometry_packs(const dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem) {
    const dcnv4_msda_problem *p = &problem->params;
    return p->dtype != DCNV4_FLOAT32 || p->head_channels % g->vector != 0 ||
           dcnv4i_saturating_mul64(p->queries, problem->points) >= dcnv4i_saturating_mul64(2, p->value_length);
}

int64_t dcnv4i_attn_geometry_packed(const dcnv4i_limits *limits, const dcnv4i_attn_geometry *g,
                                    const dcnv4i_ms_deform_attn *problem) {
    const dcnv4i_attn_grid grid = dcnv4i_attn_geometry_grid(limits, g, problem, DCNV4_MSDA_PART_GRAD_VALUE);
    return dcnv4i_attn_geometry_packs(g, problem) ? grid.groups * problem->params.value_length * g->vector * g->vectors
                                                  : 0;
}

/* Some more than there are units even out delays of some. */
int64_t dcnv4i_attn_shares(const dcnv4i_limits *limits) {
    return 4 * (limits->units > 1 ? limits->units : 1);
}

/* On a CPU those of grad_value write one number a work-item, far less than a work-group costs: so these are large. */
int64_t dcnv4i_attn_flat_group(const dcnv4i_limits *limits, dcnv4_msda_part part) {
    return limits->cpu && part == DCNV4_MSDA_PART_GRAD_VALUE ? power_below(dcnv4i_min64(limits->work_group, 1024))
                                                             : dcnv4i_flat_group(limits);
}

dcnv4i_attn_grid dcnv4i_attn_geometry_grid(const dcnv4i_limits *limits, const dcnv4i_attn_geometry *g,
                                           const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part) {
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t flat = dcnv4i_attn_flat_group(limits, part), rows = problem->base.tensors[DCNV4I_MSDA_OUTPUT].pixels;
    const int64_t places = problem->base.tensors[DCNV4I_MSDA_VALUE].pixels;
    const int64_t each = (int64_t)g->vector * g->lanes * g->vectors;
    const int64_t parts = part == DCNV4_MSDA_PART_GRAD_POINTS ? 1 : dcnv4i_ceil_div64(p->head_channels, each);
    if (part == DCNV4_MSDA_PART_GRAD_VALUE && places == 0)
        return (dcnv4i_attn_grid){0, flat};
    switch (g->way) {
    case DCNV4I_ATTN_OWNED: return (dcnv4i_attn_grid){rows > 0 ? p->batch * p->heads : 0, g->lanes};
    case DCNV4I_ATTN_PLAIN: return (dcnv4i_attn_grid){dcnv4i_ceil_div64(rows * p->heads * parts, flat), flat};
    case DCNV4I_ATTN_RUN:
        if (part == DCNV4_MSDA_PART_GRAD_VALUE)
            return (dcnv4i_attn_grid){dcnv4i_min64(p->batch * p->heads * parts, dcnv4i_attn_shares(limits)), 1};
        return (dcnv4i_attn_grid){dcnv4i_ceil_div64(rows, g->blocks) * p->heads, 1};
    case DCNV4I_ATTN_TILES:
        return (dcnv4i_attn_grid){p->batch * dcnv4i_ceil_div64(p->value_length, g->blocks) * p->heads * parts,
                                  (int64_t)g->blocks * g->lanes};
    case DCNV4I_ATTN_ATOMIC:
    case DCNV4I_ATTN_STAGED: break; /* below */
    }
    return (dcnv4i_attn_grid){dcnv4i_ceil_div64(rows, g->blocks) * p->heads *
                                  (g->way == DCNV4I_ATTN_ATOMIC ? 1 : parts),
                              (int64_t)g->blocks * g->lanes};
}
