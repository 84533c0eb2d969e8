/* From a problem and a device's limits to the geometry of kernels: pure functions. */
#ifndef DCNV4I_ATTN_GEOMETRY_H
#define DCNV4I_ATTN_GEOMETRY_H

#include "../../../core/ms_deform_attn_problem.h"
#include "../program.h"

enum { DCNV4I_ATTN_PARTS = 3 };

/* How a part's main kernel divides its work. */
typedef enum dcnv4i_attn_way {
    DCNV4I_ATTN_PLAIN,  /* output, points: a work-item computes the positions of its points by itself */
    DCNV4I_ATTN_RUN,    /* on CPUs: eight queries at a time; in grad_value, of some channels of an image and head */
    DCNV4I_ATTN_STAGED, /* output, points: the lanes of a block share them out */
    DCNV4I_ATTN_OWNED,  /* grad_value: a lane has its channels of a whole image and head */
    DCNV4I_ATTN_TILES,  /* grad_value: a work-group owns a tile of places */
    DCNV4I_ATTN_ATOMIC, /* grad_value: each block adds to the places that it touches, staged likewise */
} dcnv4i_attn_way;

/* These are compile-time constants of the kernels, so nothing here depends on N, Q, S and the levels' sizes. A block is one head of
 * one query. */
typedef struct dcnv4i_attn_geometry {
    int32_t vector;  /* channels of one access: 1, 2, 4, 8 or 16, a divisor of D */
    int32_t lanes;   /* work-items that share a block */
    int32_t vectors; /* output, tiles, runs: vectors that one work-item sums up in registers */
    int32_t blocks;  /* queries of a work-group, in one head; with tiles, places of value; 1 where it has all queries */
    int32_t round_points; /* points of a block that are staged at a time */
    dcnv4i_attn_way way;
    int32_t hits, chunk; /* tiles: corners that a work-group collects before it adds them up; queries tested together */
    bool wide;           /* element numbers need 64 bits */
    bool aligned;        /* every vector access is at a multiple of its size */
} dcnv4i_attn_geometry;

bool dcnv4i_attn_geometry_equal(const dcnv4i_attn_geometry *a, const dcnv4i_attn_geometry *b);

/* aligned says whether the buffers begin at multiples of DCNV4I_ALIGNMENT. On a CPU it makes no difference. */
dcnv4i_attn_geometry dcnv4i_attn_geometry_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                                             dcnv4_msda_part part, bool aligned);

/* The geometry of tiles, for grad_value; false if the device or the problem cannot have them. */
bool dcnv4i_attn_geometry_tiles(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, bool aligned,
                                dcnv4i_attn_geometry *tiles);

/* Bytes of local memory of a work-group of the part's main kernel, at most. */
int64_t dcnv4i_attn_geometry_local_memory(const dcnv4i_attn_geometry *geometry, const dcnv4i_ms_deform_attn *problem,
                                          dcnv4_msda_part part);

/* Work-groups of a part's main kernel, and work-items of each; 0 groups if there is nothing to do. */
typedef struct dcnv4i_attn_grid {
    int64_t groups, work_group;
} dcnv4i_attn_grid;

dcnv4i_attn_grid dcnv4i_attn_geometry_grid(const dcnv4i_limits *limits, const dcnv4i_attn_geometry *geometry,
                                           const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part);

/* Runs, in grad_value: whether sums are in the workspace, the channels of each work-group one place after the other, and how many
 * floats they take. */
bool dcnv4i_attn_geometry_packs(const dcnv4i_attn_geometry *geometry, const dcnv4i_ms_deform_attn *problem);
int64_t dcnv4i_attn_geometry_packed(const dcnv4i_limits *limits, const dcnv4i_attn_geometry *geometry,
                                    const dcnv4i_ms_deform_attn *problem);

/* Runs, in grad_value: work-groups of a launch, at most. */
int64_t dcnv4i_attn_shares(const dcnv4i_limits *limits);

/* Tiles: how many bounds there are, of all chunks in each image, head and level; two numbers each. */
int64_t dcnv4i_attn_geometry_bounds(const dcnv4i_attn_geometry *geometry, const dcnv4i_ms_deform_attn *problem);

/* Work-group size of a part's kernels that have no tile: a power of two. */
int64_t dcnv4i_attn_flat_group(const dcnv4i_limits *limits, dcnv4_msda_part part);

#endif
