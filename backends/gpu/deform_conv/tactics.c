#include "tactics.h"

#include <stdio.h>

/* ---- What is possible -------------------------------------------------------------------------------------------- */

static bool is_power(int64_t number) {
    return number >= 1 && (number & (number - 1)) == 0;
}

static bool between(int64_t least, int64_t number, int64_t most) {
    return number >= least && number <= most;
}

static int64_t items_of(const dcnv4i_geometry *g) {
    return (int64_t)g->tile_h * g->tile_w * g->tile_groups * g->lanes;
}

/* Checks each number by itself, so that none of the products below overflows. */
static bool in_range(const dcnv4i_geometry *g, const dcnv4i_deform_conv *problem) {
    return is_power(g->vector) && is_power(g->lanes) && between(1, g->lanes, 64) && between(1, g->vectors, 8) &&
           between(1, g->tile_h, 1024) && between(1, g->tile_w, 1024) && between(1, g->tile_groups, 1024) &&
           g->tile_groups <= problem->params.groups && between(1, g->round_points, 16) &&
           (int64_t)g->lanes * g->vector <= problem->params.group_channels;
}

/* A hit's rank and the index of its cell share 32 bits; the numbers of points also have 32 bits. */
static bool tiles_fit(const dcnv4i_geometry *g, const dcnv4i_deform_conv *problem) {
    return g->tile_groups == 1 && between(items_of(g), g->hits, INT16_MAX) && between(1, g->chunk_h, 32) &&
           between(1, g->chunk_w, 32) && ((int64_t)g->tile_h + 1) * (g->tile_w + 1) < UINT16_MAX &&
           problem->points > 0 && problem->points <= INT32_MAX / (g->chunk_h * g->chunk_w * items_of(g));
}

static bool scatter_fits(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                         const dcnv4i_geometry *g) {
    if (part == DCNV4_PART_GRAD_VALUE && g->scatter == DCNV4I_SCATTER_TILES)
        return !limits->cpu && tiles_fit(g, problem);
    if (g->hits != 0 || g->chunk_h != 0 || g->chunk_w != 0)
        return false;
    return g->scatter == DCNV4I_SCATTER_BANDS ||
           (part == DCNV4_PART_GRAD_VALUE && g->scatter == DCNV4I_SCATTER_ATOMIC && !limits->cpu &&
            !problem->params.deterministic);
}

bool dcnv4i_geometry_legal(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                           const dcnv4i_geometry *geometry) {
    const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, part, geometry->aligned);
    /* The default has the widest accesses that the rows allow, all widths being powers of two. */
    if (geometry->run != standard.run || geometry->tile_w % geometry->run != 0 || geometry->wide != standard.wide ||
        geometry->aligned != standard.aligned || geometry->vector > standard.vector || !in_range(geometry, problem) ||
        !scatter_fits(limits, problem, part, geometry))
        return false;
    /* The default's 64 blocks are legal on every CPU: none is known to have a lower limit. */
    if (geometry->run == 1 && items_of(geometry) > (limits->cpu && limits->work_group < 64 ? 64 : limits->work_group))
        return false;
    if (limits->cpu)
        return geometry->lanes == 1 && !geometry->staged;
    if (geometry->staged && (geometry->lanes == 1 || part == DCNV4_PART_GRAD_VALUE))
        return false;
    /* Lanes sum up a point's gradients in local memory, which needs staging. */
    if (part == DCNV4_PART_GRAD_OFFSET_MASK && !geometry->staged && geometry->lanes > 1)
        return false;
    return dcnv4i_geometry_local_memory(geometry, problem, part) <= limits->local_memory;
}

/* ---- What is worth trying ---------------------------------------------------------------------------------------- */

typedef struct list {
    const dcnv4i_limits *limits;
    const dcnv4i_deform_conv *problem;
    dcnv4_part part;
    dcnv4i_geometry *items;
    int count;
} list;

static bool is_legal(const list *l, const dcnv4i_geometry *g) {
    return dcnv4i_geometry_legal(l->limits, l->problem, l->part, g);
}

/* Adds a geometry if it is new, with fewer points staged, or fewer hits, if it is legal only then. */
static void add(list *l, dcnv4i_geometry g) {
    while (g.staged && g.round_points > 1 && !is_legal(l, &g))
        --g.round_points;
    while (g.hits > 64 && !is_legal(l, &g))
        g.hits -= 64;
    bool is_new = l->count < DCNV4I_MAX_TACTICS && is_legal(l, &g);
    for (int i = 0; i < l->count && is_new; ++i)
        is_new = !dcnv4i_geometry_equal(&l->items[i], &g);
    if (is_new)
        l->items[l->count++] = g;
}

/* A tile of twice as many pixels, or of half as many, at least as square as before. */
static dcnv4i_geometry larger(dcnv4i_geometry g) {
    *(g.tile_h < g.tile_w ? &g.tile_h : &g.tile_w) *= 2;
    return g;
}

static dcnv4i_geometry smaller(dcnv4i_geometry g) {
    *(g.tile_h > g.tile_w ? &g.tile_h : &g.tile_w) /= 2;
    return g;
}

/* Half as many lanes, each with more vectors, for the same pixels: more loads in flight, for more registers. */
static dcnv4i_geometry fewer_lanes(const list *l, dcnv4i_geometry g) {
    const int64_t vectors = l->problem->params.group_channels / g.vector;
    g.lanes /= 2;
    g.staged = g.staged && g.lanes > 1;
    while (g.lanes > 0 && g.vectors < 4 && (int64_t)g.vectors * g.lanes < vectors)
        ++g.vectors;
    return g;
}

static dcnv4i_geometry more_lanes(dcnv4i_geometry g) {
    g.lanes *= 2;
    g.vectors = (g.vectors + 1) / 2;
    return g;
}

/* Half as high and twice as wide: offset_mask is read in longer contiguous runs. */
static dcnv4i_geometry flatter(dcnv4i_geometry g) {
    g.tile_h /= 2, g.tile_w *= 2;
    return g;
}

static dcnv4i_geometry with_chunks(dcnv4i_geometry g, int32_t height, int32_t width) {
    g.chunk_h = height, g.chunk_w = width;
    return g;
}

static void add_for_gpu(list *l, const dcnv4i_geometry standard) {
    const dcnv4i_geometry fewer = fewer_lanes(l, standard);
    dcnv4i_geometry g = standard;
    if (l->part == DCNV4_PART_GRAD_VALUE && standard.scatter == DCNV4I_SCATTER_BANDS) { /* a band has no tile */
        add(l, fewer);
        add(l, more_lanes(standard));
        return;
    }
    add(l, larger(fewer));
    add(l, fewer);
    add(l, larger(standard));
    add(l, smaller(standard));
    add(l, more_lanes(standard));
    add(l, flatter(standard));
    if (standard.staged) {
        g.round_points = l->problem->points < 16 ? (int32_t)l->problem->points : 16;
        add(l, g); /* fewer barriers */
        g.round_points = (g.round_points + 1) / 2;
        add(l, g); /* less local memory, so that more work-groups run at once */
    }
    g = smaller(standard);
    g.tile_groups *= 2; /* neighbouring groups' channels share lines of the caches */
    add(l, g);
    add(l, larger(larger(fewer_lanes(l, fewer))));
    add(l, smaller(smaller(standard)));
}

/* How many points a tile tests, and how many hits it stores, decide its time and how many tiles run at once. */
static void add_for_tiles(list *l, const dcnv4i_geometry standard) {
    const dcnv4i_geometry fewer = fewer_lanes(l, standard);
    dcnv4i_geometry g = standard;
    add(l, larger(fewer));
    add(l, larger(standard));
    add(l, smaller(standard));
    add(l, more_lanes(standard));
    add(l, smaller(more_lanes(standard)));
    add(l, fewer);
    g.hits = standard.hits / 2 / 64 * 64;
    add(l, g);
    add(l, with_chunks(standard, 4, 8));
    add(l, with_chunks(standard, 2, 4));
    add(l, with_chunks(standard, 8, 8));
    add(l, flatter(standard));
}

/* Narrower vectors use a processor's registers better if these are narrower than the default; tiles of few groups have
 * samples that lie together, those of many have whole rows; fewer points at a time leave registers for sums. */
static void add_for_cpu(list *l, const dcnv4i_geometry standard) {
    /* The two parts of backward are one kernel only while their geometries are the same; measured alone, they would not
     * be. */
    if (l->part != DCNV4_PART_OUTPUT && standard.run > 1)
        return;
    dcnv4i_geometry g = standard;
    for (int halvings = 0; halvings < 2 && g.vector > 1; ++halvings) {
        g.vector /= 2;
        g.vectors = g.vectors < 4 ? 2 * g.vectors : 8;
        add(l, g);
    }
    g = standard;
    g.round_points = (g.round_points + 1) / 2;
    if (g.run > 1)
        add(l, g);
    if (l->part == DCNV4_PART_GRAD_VALUE) /* a band has no tile */
        return;
    g = standard;
    while (g.tile_groups > 1) {
        g.tile_groups = (g.tile_groups + 1) / 2, g.tile_w *= 2;
        add(l, g);
    }
    g = standard;
    g.tile_w *= 4;
    add(l, g);
    g = standard;
    g.tile_w = g.tile_w >= 4 * g.run ? g.tile_w / 4 : g.run;
    add(l, g);
}

int dcnv4i_tactics_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part, bool aligned,
                      dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS]) {
    const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, part, aligned);
    list l = {limits, problem, part, tactics, 1};
    tactics[0] = standard;
    if (limits->cpu)
        add_for_cpu(&l, standard);
    else if (standard.scatter == DCNV4I_SCATTER_TILES)
        add_for_tiles(&l, standard);
    else
        add_for_gpu(&l, standard);
    return l.count;
}

/* ---- Descriptions ------------------------------------------------------------------------------------------------ */

void dcnv4i_geometry_describe(const dcnv4i_geometry *g, dcnv4_part part,
                              char description[DCNV4I_GEOMETRY_DESCRIPTION]) {
    char lanes[32] = "", vectors[16] = "", groups[32] = "", rest[64] = "";
    if (g->lanes > 1)
        snprintf(lanes, sizeof lanes, "%d lanes × ", (int)g->lanes);
    if (part != DCNV4_PART_GRAD_OFFSET_MASK && g->scatter != DCNV4I_SCATTER_ATOMIC && g->vectors > 1)
        snprintf(vectors, sizeof vectors, "%d×", (int)g->vectors);
    if (g->tile_groups > 1)
        snprintf(groups, sizeof groups, " of %d groups", (int)g->tile_groups);
    if (g->scatter == DCNV4I_SCATTER_TILES)
        snprintf(rest, sizeof rest, ", %d hits, chunks of %d×%d", (int)g->hits, (int)g->chunk_h, (int)g->chunk_w);
    else if (g->scatter == DCNV4I_SCATTER_ATOMIC)
        snprintf(rest, sizeof rest, ", atomic");
    else if (g->staged || g->run > 1)
        snprintf(rest, sizeof rest, ", %d points at a time", (int)g->round_points);
    if (part == DCNV4_PART_GRAD_VALUE && g->scatter == DCNV4I_SCATTER_BANDS)
        snprintf(description, DCNV4I_GEOMETRY_DESCRIPTION, "%s%s%d channels, bands%s", lanes, vectors, (int)g->vector,
                 rest);
    else
        snprintf(description, DCNV4I_GEOMETRY_DESCRIPTION, "%s%s%d channels, %d×%d pixels%s%s", lanes, vectors,
                 (int)g->vector, (int)g->tile_h, (int)g->tile_w, groups, rest);
}
