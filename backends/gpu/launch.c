#include "launch.h"

static int64_t at_least_1(int64_t number) {
    return number < 1 ? 1 : number;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t total, int64_t each) {
    return total / each + (total % each != 0);
}

/* The largest power of two that is at most number, which is at least 1. */
static int64_t power_below(int64_t number) {
    int64_t power = 1;
    while (power <= number / 2)
        power *= 2;
    return power;
}

/* Whether an element's number, or a position before its offset, may not fit 32 bits. One bit is kept free for the corner
 * below and right of the last pixel, one for the sign. */
static bool needs_64_bits(const dcnv4i_problem *problem) {
    const dcnv4_problem *p = &problem->asked;
    const int64_t most = INT64_C(1) << 30;
    for (int id = 0; id < DCNV4I_TENSORS; ++id) {
        const dcnv4i_tensor *tensor = &problem->tensors[id];
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
        if (axes[a].size >= most || axes[a].pad >= most / 4 || axes[a].output >= most / 4 / axes[a].stride ||
            axes[a].dilation >= most / 4 / axes[a].kernel)
            return true;
    return false;
}

/* Whether every row that a part accesses in vectors begins at a multiple of width elements. */
static bool rows_allow(const dcnv4i_problem *problem, dcnv4i_part part, int64_t width) {
    static const struct {
        dcnv4i_part part;
        dcnv4i_tensor_id tensor;
    } accesses[] = {
        {DCNV4I_PART_FORWARD, DCNV4I_VALUE},       {DCNV4I_PART_FORWARD, DCNV4I_OUTPUT},
        {DCNV4I_PART_POINTS, DCNV4I_VALUE},        {DCNV4I_PART_POINTS, DCNV4I_GRAD_OUTPUT},
        {DCNV4I_PART_SCATTER, DCNV4I_GRAD_OUTPUT}, {DCNV4I_PART_SCATTER, DCNV4I_GRAD_VALUE},
    };
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; ++i)
        if (accesses[i].part == part && problem->tensors[accesses[i].tensor].stride % width != 0)
            return false;
    return problem->asked.group_channels % width == 0;
}

/* A GPU's accesses are of 16 bytes, where the rows' alignment allows; a CPU's vectors need none. */
static int32_t vector_of(const dcnv4i_limits *limits, const dcnv4i_problem *problem, dcnv4i_part part) {
    int64_t width = limits->cpu ? 16 : 16 / (int64_t)problem->item;
    while (limits->cpu ? problem->asked.group_channels % width != 0 : !rows_allow(problem, part, width))
        width /= 2;
    return (int32_t)width;
}

/* One work-item has all channels of a block, or, in forward, up to 64 of them: its samples stay in registers. */
static void plan_for_cpu(dcnv4i_geometry *geometry, const dcnv4i_problem *problem) {
    const int64_t depth = problem->asked.group_channels;
    geometry->lanes = 1;
    geometry->vectors = (int32_t)smaller(blocks_of(depth, geometry->vector), 8);
    geometry->tile_groups = (int32_t)smaller(problem->asked.groups, 64);
    geometry->tile_w = (int32_t)power_below(64 / geometry->tile_groups);
    geometry->tile_h = 1;
}

/* As many lanes as a block's vectors fill, so that neighbouring lanes read neighbouring addresses; a tile as square as
 * the rest of the work-group allows, since neighbouring pixels read the same rows. */
static void plan_for_gpu(dcnv4i_geometry *geometry, const dcnv4i_limits *limits, const dcnv4i_problem *problem,
                         dcnv4i_part part) {
    const int64_t vectors = blocks_of(problem->asked.group_channels, geometry->vector);
    const int64_t work_group = smaller(limits->work_group, 128);
    geometry->lanes = (int32_t)smaller(power_below(vectors), smaller(power_below(work_group), 16));
    geometry->vectors = (int32_t)smaller(blocks_of(vectors, geometry->lanes), 4);
    const int64_t blocks = power_below(work_group) / geometry->lanes;
    geometry->tile_groups = (int32_t)smaller(power_below(problem->asked.groups), smaller(blocks, 4));
    const int64_t pixels = power_below(blocks / geometry->tile_groups);
    geometry->tile_h = 1;
    while (geometry->tile_h * geometry->tile_h * 2 <= pixels && geometry->tile_h < 8)
        geometry->tile_h *= 2;
    geometry->tile_w = (int32_t)(pixels / geometry->tile_h);
    geometry->staged = geometry->lanes > 1 && part != DCNV4I_PART_SCATTER;

    /* What is staged of a point: its sample, and in backward three sums a lane; half of the local memory is left to a
     * second work-group. */
    const int64_t point = (geometry->wide ? 24 : 20) + (part == DCNV4I_PART_POINTS ? 12 * geometry->lanes : 0);
    const int64_t room = (limits->local_memory / 2 - (int64_t)sizeof(float) * work_group) / (point * blocks);
    geometry->taps = (int32_t)smaller(at_least_1(problem->points), smaller(at_least_1(room), 32));
}

dcnv4i_geometry dcnv4i_geometry_of(const dcnv4i_limits *limits, const dcnv4i_problem *problem, dcnv4i_part part,
                                   bool aligned) {
    dcnv4i_geometry geometry = {.vector = vector_of(limits, problem, part), .taps = 1};
    geometry.aligned = aligned && !limits->cpu;
    geometry.wide = needs_64_bits(problem);
    if (limits->cpu)
        plan_for_cpu(&geometry, problem);
    else
        plan_for_gpu(&geometry, limits, problem, part);
    geometry.owned = limits->cpu || (part == DCNV4I_PART_SCATTER && problem->asked.deterministic);
    return geometry;
}

int64_t dcnv4i_flat_group(const dcnv4i_limits *limits) {
    return at_least_1(smaller(64, limits->work_group));
}

bool dcnv4i_geometry_equal(const dcnv4i_geometry *a, const dcnv4i_geometry *b) {
    return a->vector == b->vector && a->lanes == b->lanes && a->vectors == b->vectors && a->tile_h == b->tile_h &&
           a->tile_w == b->tile_w && a->tile_groups == b->tile_groups && a->taps == b->taps && a->staged == b->staged &&
           a->owned == b->owned && a->wide == b->wide && a->aligned == b->aligned;
}

int64_t dcnv4i_geometry_groups(const dcnv4i_geometry *geometry, const dcnv4i_problem *problem, dcnv4i_part part,
                               dcnv4i_cuts cuts) {
    const dcnv4_problem *p = &problem->asked;
    if (part == DCNV4I_PART_SCATTER && geometry->owned)
        return problem->tensors[DCNV4I_VALUE].pixels == 0 ? 0 : p->batch * cuts.shares * cuts.bands;
    if (problem->tensors[DCNV4I_OUTPUT].pixels == 0)
        return 0;
    const int64_t rows = blocks_of(problem->output_height, geometry->tile_h);
    const int64_t columns = blocks_of(problem->output_width, geometry->tile_w);
    const int64_t each = (int64_t)geometry->vector * geometry->lanes * geometry->vectors;
    const int64_t parts = part == DCNV4I_PART_FORWARD ? blocks_of(p->group_channels, each) : 1;
    return p->batch * rows * columns * blocks_of(p->groups, geometry->tile_groups) * parts;
}

/* On a CPU a share of several groups writes whole cache lines of neighbouring ones, and needs fewer positions looked at; on
 * a GPU a work-group has one group's channels. */
dcnv4i_cuts dcnv4i_cuts_of(const dcnv4i_limits *limits, const dcnv4i_problem *problem) {
    const int64_t groups = problem->asked.groups;
    if (problem->tensors[DCNV4I_VALUE].pixels == 0)
        return (dcnv4i_cuts){1, 1};
    const int64_t wanted = blocks_of(2 * at_least_1(limits->units), problem->asked.batch);
    const int64_t shares = limits->cpu ? smaller(wanted, groups) : groups;
    return (dcnv4i_cuts){smaller(blocks_of(wanted, shares), problem->asked.height), shares};
}
