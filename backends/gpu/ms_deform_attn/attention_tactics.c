#include "attention_tactics.h"

#include <stdio.h>

/* ---- What is possible -------------------------------------------------------------------------------------------- */

static bool is_power(int64_t number) {
    return number >= 1 && (number & (number - 1)) == 0;
}

static bool between(int64_t least, int64_t number, int64_t most) {
    return number >= least && number <= most;
}

/* Checks each number by itself, so that none of the products below overflows. */
static bool in_range(const dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem) {
    return is_power(g->vector) && is_power(g->lanes) && between(1, g->lanes, 64) && between(1, g->vectors, 8) &&
           between(1, g->blocks, 1024) && between(1, g->round_points, 64) && between(0, g->hits, INT16_MAX) &&
           between(0, g->chunk, 64) && (int64_t)g->lanes * g->vector <= problem->params.head_channels;
}

/* Numbers of points and of their corners have 32 bits. */
static bool tiles_fit(const dcnv4i_attn_geometry *g, const dcnv4i_ms_deform_attn *problem) {
    const int64_t items = (int64_t)g->blocks * g->lanes;
    bool fit = g->hits >= 4 * items && g->chunk >= 1;
    for (int l = 0; l < problem->params.level_count && fit; ++l)
        fit = problem->levels[l].points <= INT32_MAX / 4 / (g->chunk * items);
    return fit;
}

static bool way_fits(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                     const dcnv4i_attn_geometry *g) {
    const bool value = part == DCNV4_MSDA_PART_GRAD_VALUE;
    switch (g->way) {
    case DCNV4I_ATTN_PLAIN: return !value && g->lanes == 1 && g->blocks == 1;
    case DCNV4I_ATTN_OWNED: return value && g->blocks == 1;
    case DCNV4I_ATTN_RUN:
        return limits->cpu && !g->wide && g->lanes == 1 && (value ? g->blocks == 1 : g->blocks % 8 == 0) &&
               between(1, problem->points, 64);
    case DCNV4I_ATTN_STAGED: return !value && !limits->cpu && g->lanes > 1 && problem->points > 0;
    case DCNV4I_ATTN_TILES: return value && !limits->cpu && tiles_fit(g, problem);
    case DCNV4I_ATTN_ATOMIC: return value && !limits->cpu && !problem->params.deterministic;
    }
    return false;
}

bool dcnv4i_attn_geometry_legal(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                                const dcnv4i_attn_geometry *g) {
    const dcnv4i_attn_geometry standard = dcnv4i_attn_geometry_of(limits, problem, part, g->aligned);
    /* The default has the widest accesses that the rows allow, all widths being powers of two. */
    return g->wide == standard.wide && g->aligned == standard.aligned && g->vector <= standard.vector &&
           in_range(g, problem) && way_fits(limits, problem, part, g) &&
           (g->way == DCNV4I_ATTN_TILES || (g->hits == 0 && g->chunk == 0)) &&
           (g->way == DCNV4I_ATTN_RUN || (int64_t)g->blocks * g->lanes <= limits->work_group) &&
           dcnv4i_attn_geometry_local_memory(g, problem, part) <= limits->local_memory;
}

/* ---- What is worth trying ---------------------------------------------------------------------------------------- */

typedef struct list {
    const dcnv4i_limits *limits;
    const dcnv4i_ms_deform_attn *problem;
    dcnv4_msda_part part;
    dcnv4i_attn_geometry *items;
    int count;
} list;

static bool is_legal(const list *l, const dcnv4i_attn_geometry *g) {
    return dcnv4i_attn_geometry_legal(l->limits, l->problem, l->part, g);
}

/* Adds a geometry if it is new, with fewer points staged, or fewer hits, if it is legal only then. */
static void add(list *l, dcnv4i_attn_geometry g) {
    while (g.way != DCNV4I_ATTN_TILES && g.round_points > 1 && !is_legal(l, &g))
        --g.round_points;
    while (g.hits > 64 && !is_legal(l, &g))
        g.hits -= 64;
    bool is_new = l->count < DCNV4I_ATTN_MAX_TACTICS && is_legal(l, &g);
    for (int i = 0; i < l->count && is_new; ++i)
        is_new = !dcnv4i_attn_geometry_equal(&l->items[i], &g);
    if (is_new)
        l->items[l->count++] = g;
}

static dcnv4i_attn_geometry with_blocks(dcnv4i_attn_geometry g, int32_t blocks) {
    g.blocks = blocks;
    return g;
}

/* Half as many lanes, each with more vectors, for the same blocks: more loads in flight, for more registers. */
static dcnv4i_attn_geometry fewer_lanes(const list *l, dcnv4i_attn_geometry g) {
    const int64_t vectors = l->problem->params.head_channels / g.vector;
    g.lanes /= 2;
    while (g.lanes > 0 && g.vectors < 4 && (int64_t)g.vectors * g.lanes < vectors)
        ++g.vectors;
    return g;
}

static dcnv4i_attn_geometry more_lanes(dcnv4i_attn_geometry g) {
    g.lanes *= 2;
    g.vectors = (g.vectors + 1) / 2;
    return g;
}

static void add_staged(list *l, const dcnv4i_attn_geometry standard) {
    const dcnv4i_attn_geometry fewer = fewer_lanes(l, standard);
    dcnv4i_attn_geometry g = standard;
    add(l, fewer);
    add(l, with_blocks(fewer, 2 * fewer.blocks));
    add(l, with_blocks(standard, 2 * standard.blocks));
    add(l, with_blocks(standard, standard.blocks / 2));
    add(l, with_blocks(standard, standard.blocks / 4));
    add(l, more_lanes(standard));
    g.round_points = l->problem->points < 32 ? (int32_t)l->problem->points : 32;
    add(l, g); /* fewer barriers */
    g.round_points = (standard.round_points + 1) / 2;
    add(l, g); /* less local memory, so that more work-groups run at once */
    g.round_points = (standard.round_points + 3) / 4;
    add(l, g);
}

/* How many points a tile tests, and how many hits it stores, decide its time and how many tiles run at once. */
static void add_tiles(list *l, dcnv4i_attn_geometry standard) {
    dcnv4i_attn_geometry g = standard;
    add(l, standard);
    g.hits = 3 * standard.hits / 4 / 64 * 64;
    add(l, g);
    g = standard;
    g.chunk = standard.chunk / 2;
    add(l, g);
    g.chunk = standard.chunk * 2;
    add(l, g);
    add(l, with_blocks(standard, standard.blocks / 2));
    add(l, with_blocks(more_lanes(standard), standard.blocks / 2));
    add(l, with_blocks(fewer_lanes(l, standard), 2 * standard.blocks));
}

/* Narrower vectors use a processor's registers better if these are narrower than the default. */
static void add_for_cpu(list *l, dcnv4i_attn_geometry g) {
    if (g.way == DCNV4I_ATTN_RUN) {
        add(l, with_blocks(g, 4 * g.blocks));
        add(l, with_blocks(g, g.blocks / 4));
    }
    for (int halvings = 0; halvings < 2 && g.vector > 1; ++halvings) {
        g.vector /= 2;
        g.vectors = g.vectors < 4 ? 2 * g.vectors : 8;
        add(l, g);
    }
}

int dcnv4i_attn_tactics_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                           bool aligned, dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS]) {
    const dcnv4i_attn_geometry standard = dcnv4i_attn_geometry_of(limits, problem, part, aligned);
    list l = {limits, problem, part, tactics, 1};
    tactics[0] = standard;
    if (limits->cpu)
        add_for_cpu(&l, standard);
    else if (part != DCNV4_MSDA_PART_GRAD_VALUE)
        add_staged(&l, standard);
    else {
        /* Both ways, unless the bits have to be the same in every run. */
        if (standard.way == DCNV4I_ATTN_ATOMIC)
            add_staged(&l, standard);
        l.count = l.count > 6 ? 6 : l.count;
        dcnv4i_attn_geometry tiles;
        if (dcnv4i_attn_geometry_tiles(limits, problem, aligned, &tiles))
            add_tiles(&l, tiles);
    }
    return l.count;
}

/* ---- Descriptions ------------------------------------------------------------------------------------------------ */

void dcnv4i_attn_geometry_describe(const dcnv4i_attn_geometry *g, dcnv4_msda_part part,
                                   char description[DCNV4I_ATTN_DESCRIPTION]) {
    char lanes[32] = "", vectors[16] = "", rest[80] = "";
    const bool value = part == DCNV4_MSDA_PART_GRAD_VALUE, run = g->way == DCNV4I_ATTN_RUN;
    const bool sums = g->way == DCNV4I_ATTN_TILES || part == DCNV4_MSDA_PART_OUTPUT || (value && run);
    if (g->lanes > 1)
        snprintf(lanes, sizeof lanes, "%d lanes × ", (int)g->lanes);
    if (sums && g->vectors > 1)
        snprintf(vectors, sizeof vectors, "%d×", (int)g->vectors);
    if (g->way == DCNV4I_ATTN_TILES)
        snprintf(rest, sizeof rest, ", tiles of %d places, %d hits, chunks of %d queries", (int)g->blocks, (int)g->hits,
                 (int)g->chunk);
    else if (run && value)
        snprintf(rest, sizeof rest, ", whole images by 8 queries");
    else if (g->way == DCNV4I_ATTN_OWNED)
        snprintf(rest, sizeof rest, ", whole images");
    else if (run)
        snprintf(rest, sizeof rest, ", %d queries", (int)g->blocks);
    else if (g->way == DCNV4I_ATTN_PLAIN)
        snprintf(rest, sizeof rest, ", a query at a time");
    else
        snprintf(rest, sizeof rest, ", %d queries, %d points at a time%s", (int)g->blocks, (int)g->round_points,
                 g->way == DCNV4I_ATTN_ATOMIC ? ", atomic" : "");
    snprintf(description, DCNV4I_ATTN_DESCRIPTION, "%s%s%d channels%s", lanes, vectors, (int)g->vector, rest);
}
