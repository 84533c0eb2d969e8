#include "geometry.h"
#include "../../../core/checked_math.h"

static int64_t at_least_1(int64_t number) {
    return number < 1 ? 1 : number;
}

/* The largest power of two that is at most number, which is at least 1. */
static int64_t power_below(int64_t number) {
    int64_t power = 1;
    while (power <= number / 2)
        power *= 2;
    return power;
}

/* Whether an element index may not fit 32 bits, or a position in pixels, before its offset, not a float32. One bit is
 * kept free for the corner below and right of the last pixel, one for the sign. */
static bool needs_64_bits(const dcnv4i_deform_conv *problem) {
    const dcnv4_problem *p = &problem->params;
    const int64_t most = INT64_C(1) << 30, farthest = INT64_C(1) << 23;
    for (int id = 0; id < DCNV4I_DEFORM_CONV_TENSORS; ++id) {
        const dcnv4i_tensor *tensor = &problem->base.tensors[id];
        if (tensor->stride >= most || tensor->pixels >= most / at_least_1(tensor->stride))
            return true;
    }
    const struct {
        int64_t size, output, kernel, stride, pad, dilation;
    } axes[] = {
        {p->height, problem->output_height, p->kernel_h, p->stride_h, p->pad_h, p->dilation_h},
        {p->width, problem->output_width, p->kernel_w, p->stride_w, p->pad_w, p->dilation_w},
    };
    for (int a = 0; a < 2; ++a)
        if (axes[a].size >= farthest || axes[a].pad >= farthest / 4 ||
            axes[a].output >= farthest / 4 / axes[a].stride || axes[a].dilation >= farthest / 4 / axes[a].kernel)
            return true;
    return false;
}

/* Whether every row that a part accesses in vectors begins at a multiple of width elements. */
static bool rows_allow(const dcnv4i_deform_conv *problem, dcnv4_part part, int64_t width) {
    static const struct {
        dcnv4_part part;
        dcnv4i_deform_conv_tensor tensor;
    } accesses[] = {
        {DCNV4_PART_OUTPUT, DCNV4I_VALUE},           {DCNV4_PART_OUTPUT, DCNV4I_OUTPUT},
        {DCNV4_PART_GRAD_OFFSET_MASK, DCNV4I_VALUE}, {DCNV4_PART_GRAD_OFFSET_MASK, DCNV4I_GRAD_OUTPUT},
        {DCNV4_PART_GRAD_VALUE, DCNV4I_GRAD_OUTPUT}, {DCNV4_PART_GRAD_VALUE, DCNV4I_GRAD_VALUE},
    };
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; ++i)
        if (accesses[i].part == part && problem->base.tensors[accesses[i].tensor].stride % width != 0)
            return false;
    return problem->params.group_channels % width == 0;
}

/* A GPU accesses 16 bytes at a time where the rows' alignment allows; a CPU's vectors need no alignment. Those of runs
 * are chosen by plan_for_cpu. */
static int32_t vector_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part) {
    int64_t width = limits->cpu ? 16 : 16 / (int64_t)problem->item;
    while (limits->cpu ? problem->params.group_channels % width != 0 : !rows_allow(problem, part, width))
        width /= 2;
    return (int32_t)width;
}

/* A work-item processes all channels of its blocks, or, in forward, up to 64 of them: its tile run by run, or a single
 * block where there are no runs. */
static void plan_for_cpu(dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem) {
    enum { RUN = 8, MAX_ROUND_POINTS = 16 };
    const int64_t depth = problem->params.group_channels, points = problem->points;
    geometry->lanes = 1;
    geometry->run = geometry->wide || points == 0 ? 1 : RUN; /* runs have 32-bit vectors of indices */
    if (geometry->run > 1)
        geometry->vector = dcnv4i_vector_of_run(depth);
    geometry->vectors = (int32_t)dcnv4i_min64(dcnv4i_ceil_div64(depth, geometry->vector), 4);
    if (points > 0)
        geometry->round_points = (int32_t)dcnv4i_ceil_div64(points, dcnv4i_ceil_div64(points, MAX_ROUND_POINTS));
    const int64_t items = geometry->run > 1 ? 16 : 64;
    geometry->tile_groups = (int32_t)dcnv4i_min64(problem->params.groups, items);
    geometry->tile_w = (int32_t)power_below(items / geometry->tile_groups) * geometry->run;
    geometry->tile_h = 1;
}

/* As many lanes as a block has vectors, up to most_lanes, so that neighbouring lanes read neighbouring addresses. A
 * tile has one group's pixels and is as square as the rest of the work-group allows, since neighbouring pixels read the
 * same rows. */
static void plan_for_gpu(dcnv4i_geometry *geometry, const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem,
                         int64_t most_lanes, int64_t most_items) {
    const int64_t vectors = dcnv4i_ceil_div64(problem->params.group_channels, geometry->vector);
    const int64_t work_group = power_below(dcnv4i_min64(limits->work_group, most_items));
    geometry->lanes = (int32_t)dcnv4i_min64(power_below(vectors), dcnv4i_min64(work_group, most_lanes));
    geometry->vectors = (int32_t)dcnv4i_min64(dcnv4i_ceil_div64(vectors, geometry->lanes), 4);
    const int64_t pixels = work_group / geometry->lanes;
    geometry->tile_groups = 1;
    geometry->tile_h = 1;
    while (geometry->tile_h * geometry->tile_h * 2 <= pixels && geometry->tile_h < 8)
        geometry->tile_h *= 2;
    geometry->tile_w = (int32_t)(pixels / geometry->tile_h);
}

static int64_t index_size(const dcnv4i_geometry *geometry) {
    return geometry->wide ? 8 : 4;
}

/* Bytes of local memory that owned tiles need: a fixed size, and the size of each hit. */
static int64_t tile_fixed(const dcnv4i_geometry *geometry) {
    const int64_t items = (int64_t)geometry->tile_h * geometry->tile_w * geometry->lanes;
    const int64_t rows = geometry->tile_h + 1, cells = rows * (geometry->tile_w + 1);
    return 4 * (rows + 2 * cells + 3) + items * (4 + 2 * index_size(geometry)) + 64; /* 64: for alignment */
}

static int64_t tile_hit(const dcnv4i_geometry *geometry) {
    return 4 * 4 + 4 + 3 * index_size(geometry);
}

/* Few lanes with several vectors make large tiles, which test fewer points that are not theirs. Where the local memory
 * of a device serves several work-groups (64 KiB on AMD's), two should fit. Chunks are small, so that the bounds of few
 * overlap a tile. */
static void plan_scatter(dcnv4i_geometry *geometry, const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    enum { MOST_HITS = 1024, MOST_POINTS = 4096 };
    const int64_t items = (int64_t)geometry->tile_h * geometry->tile_w * geometry->lanes;
    const int64_t local = limits->local_memory >= 65536 ? limits->local_memory / 2 : limits->local_memory;
    const int64_t hits = dcnv4i_min64((local - tile_fixed(geometry)) / tile_hit(geometry), MOST_HITS) / 64 * 64;
    if (hits >= items && problem->points > 0 && problem->points <= MOST_POINTS) {
        geometry->scatter = DCNV4I_SCATTER_TILES;
        geometry->hits = (int32_t)hits;
        geometry->chunk_h = geometry->chunk_w = 4;
    } else
        geometry->scatter = problem->params.deterministic ? DCNV4I_SCATTER_BANDS : DCNV4I_SCATTER_ATOMIC;
}

/* Samples are staged where lanes share them: as many points at a time as fit half of the local memory, which leaves the
 * other half to a second work-group; then the points are divided evenly among the rounds. */
static void plan_staging(dcnv4i_geometry *geometry, const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem,
                         dcnv4_part part) {
    int64_t most = dcnv4i_min64(problem->points, 16);
    geometry->staged = geometry->lanes > 1;
    for (geometry->round_points = (int32_t)most; most > 0; geometry->round_points = (int32_t)--most)
        if (dcnv4i_geometry_local_memory(geometry, problem, part) <= limits->local_memory / 2)
            break;
    geometry->staged &= most > 0;
    geometry->round_points = most > 0
                                 ? (int32_t)dcnv4i_ceil_div64(problem->points, dcnv4i_ceil_div64(problem->points, most))
                                 : 1;
}

dcnv4i_geometry dcnv4i_geometry_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                                   bool aligned) {
    dcnv4i_geometry geometry = {.vector = vector_of(limits, problem, part), .run = 1, .round_points = 1};
    geometry.aligned = aligned && !limits->cpu;
    geometry.wide = needs_64_bits(problem);
    if (limits->cpu)
        plan_for_cpu(&geometry, problem);
    else if (part == DCNV4_PART_GRAD_VALUE) {
        plan_for_gpu(&geometry, limits, problem, 4, 256);
        plan_scatter(&geometry, limits, problem);
    } else {
        plan_for_gpu(&geometry, limits, problem, 8, part == DCNV4_PART_OUTPUT ? 256 : 128);
        plan_staging(&geometry, limits, problem, part);
        /* Lanes sum up a point's gradients in local memory: where that is too small, a block has one lane. */
        if (part == DCNV4_PART_GRAD_OFFSET_MASK && !geometry.staged)
            plan_for_gpu(&geometry, limits, problem, 1, 128);
    }
    return geometry;
}

int64_t dcnv4i_geometry_local_memory(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem,
                                     dcnv4_part part) {
    const int64_t blocks = (int64_t)geometry->tile_h * geometry->tile_w * geometry->tile_groups;
    const int64_t staged = blocks * (geometry->round_points | 1), plane = (staged + 7) / 8 * 8 + 8;
    if (part == DCNV4_PART_GRAD_VALUE)
        return geometry->scatter == DCNV4I_SCATTER_TILES ? tile_fixed(geometry) + geometry->hits * tile_hit(geometry)
                                                         : 0;
    if (!geometry->staged)
        return 0;
    if (part == DCNV4_PART_OUTPUT) {
        const int64_t cells = geometry->lanes < 4 ? geometry->round_points | 1
                                                  : 4 * (dcnv4i_ceil_div64(geometry->round_points, 4) | 1);
        return staged * 16 + blocks * cells * index_size(geometry);
    }
    return staged * index_size(geometry) + 16 * geometry->lanes * plane + 16 +
           (problem->params.softmax ? 4 * blocks * geometry->lanes : 0);
}

bool dcnv4i_geometry_equal(const dcnv4i_geometry *a, const dcnv4i_geometry *b) {
    return a->vector == b->vector && a->lanes == b->lanes && a->vectors == b->vectors && a->tile_h == b->tile_h &&
           a->tile_w == b->tile_w && a->tile_groups == b->tile_groups && a->round_points == b->round_points &&
           a->staged == b->staged && a->scatter == b->scatter && a->hits == b->hits && a->chunk_h == b->chunk_h &&
           a->chunk_w == b->chunk_w && a->run == b->run && a->wide == b->wide && a->aligned == b->aligned;
}

static bool owns_tiles(const dcnv4i_geometry *geometry, dcnv4_part part) {
    return part == DCNV4_PART_GRAD_VALUE && geometry->scatter == DCNV4I_SCATTER_TILES;
}

dcnv4i_grid dcnv4i_geometry_tiles(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem, dcnv4_part part) {
    const bool of_value = owns_tiles(geometry, part);
    return (dcnv4i_grid){
        dcnv4i_ceil_div64(of_value ? problem->params.height : problem->output_height, geometry->tile_h),
        dcnv4i_ceil_div64(of_value ? problem->params.width : problem->output_width, geometry->tile_w),
    };
}

/* Tiles of all images, groups and ranges of channels. */
static int64_t tiles_of(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem, dcnv4_part part) {
    const dcnv4_problem *p = &problem->params;
    const int64_t each = (int64_t)geometry->vector * geometry->lanes * geometry->vectors;
    const bool parts = part == DCNV4_PART_OUTPUT || owns_tiles(geometry, part);
    const dcnv4i_grid grid = dcnv4i_geometry_tiles(geometry, problem, part);
    return p->batch * grid.rows * grid.columns * dcnv4i_ceil_div64(p->groups, geometry->tile_groups) *
           (parts ? dcnv4i_ceil_div64(p->group_channels, each) : 1);
}

int64_t dcnv4i_geometry_groups(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem, dcnv4_part part,
                               dcnv4i_cuts cuts) {
    const bool owned = part == DCNV4_PART_GRAD_VALUE && geometry->scatter != DCNV4I_SCATTER_ATOMIC;
    if (problem->base.tensors[owned ? DCNV4I_VALUE : DCNV4I_OUTPUT].pixels == 0)
        return 0;
    return owned && geometry->scatter == DCNV4I_SCATTER_BANDS ? problem->params.batch * cuts.shares * cuts.bands
                                                              : tiles_of(geometry, problem, part);
}

dcnv4i_grid dcnv4i_geometry_chunks(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem) {
    return (dcnv4i_grid){dcnv4i_ceil_div64(problem->output_height, geometry->chunk_h),
                         dcnv4i_ceil_div64(problem->output_width, geometry->chunk_w)};
}

/* On a CPU each share works on a copy of its own, one group after the other: twice as many work-groups as keep all
 * units busy even out delays of some units. On a GPU a work-group has one group's channels. */
dcnv4i_cuts dcnv4i_cuts_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    const int64_t groups = problem->params.groups;
    if (problem->base.tensors[DCNV4I_VALUE].pixels == 0)
        return (dcnv4i_cuts){1, 1};
    const int64_t wanted = dcnv4i_ceil_div64(2 * at_least_1(limits->units), problem->params.batch);
    const int64_t shares = limits->cpu ? dcnv4i_min64(2 * wanted, groups) : groups;
    return (dcnv4i_cuts){dcnv4i_min64(dcnv4i_ceil_div64(wanted, shares), problem->params.height), shares};
}
