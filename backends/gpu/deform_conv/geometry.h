/* From a problem and a device's limits to the geometry of kernels: pure functions. */
#ifndef DCNV4I_LAUNCH_H
#define DCNV4I_LAUNCH_H

#include "../../../core/deform_conv_problem.h"
#include "../program.h"

/* The parts of the operator (dcnv4_part). Each has a geometry of its own; those with the same one are compiled
 * together. */
enum { DCNV4I_DEFORM_CONV_PARTS = 3 };

/* How grad_value is summed. */
typedef enum dcnv4i_scatter {
    DCNV4I_SCATTER_BANDS = 0,  /* a work-group owns a band of rows of value; for CPUs */
    DCNV4I_SCATTER_TILES = 1,  /* a work-group owns a tile of value; for GPUs */
    DCNV4I_SCATTER_ATOMIC = 2, /* each block adds to the pixels that it touches */
} dcnv4i_scatter;

/* How a part's kernels divide the work. These are compile-time constants of the kernels, so nothing here depends on N,
 * H and W. A block is one group of one output pixel. */
typedef struct dcnv4i_geometry {
    int32_t vector;  /* channels of one access: 1, 2, 4, 8 or 16, at most D; without runs a divisor of D */
    int32_t lanes;   /* work-items that share a block */
    int32_t vectors; /* forward, tiles: vectors that one work-item sums up in registers */
    int32_t tile_h, tile_w, tile_groups; /* blocks of a work-group; with owned tiles, pixels of value */
    int32_t round_points;                /* points of a block that are staged at a time */
    bool staged;                         /* samples go through local memory, computed once for all lanes */
    dcnv4i_scatter scatter;
    int32_t hits;             /* tiles: points that a work-group collects before it adds them up */
    int32_t chunk_h, chunk_w; /* tiles: output pixels whose bounds are tested together */
    int32_t run;              /* on a CPU: neighbouring pixels of a row whose samples are computed together; else 1 */
    bool wide;                /* element numbers need 64 bits */
    bool aligned;             /* every vector access is at a multiple of its size */
} dcnv4i_geometry;

bool dcnv4i_geometry_equal(const dcnv4i_geometry *a, const dcnv4i_geometry *b);

/* aligned says whether the buffers begin at multiples of DCNV4I_ALIGNMENT. On a CPU it makes no difference. */
dcnv4i_geometry dcnv4i_geometry_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                                   bool aligned);

/* Maximum bytes of local memory of a work-group of the part's main kernel. */
int64_t dcnv4i_geometry_local_memory(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem,
                                     dcnv4_part part);

/* For the scatter in bands: how many bands the rows of an image are divided into, and how many shares the groups;
 * enough to keep all units busy. */
typedef struct dcnv4i_cuts {
    int64_t bands, shares;
} dcnv4i_cuts;

dcnv4i_cuts dcnv4i_cuts_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem);

/* Work-groups of a part's main kernel; 0 if there is nothing to do. */
int64_t dcnv4i_geometry_groups(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem, dcnv4_part part,
                               dcnv4i_cuts cuts);

/* The tiles or chunks that cover an image of output, or, for owned tiles, of value. */
typedef struct dcnv4i_grid {
    int64_t rows, columns;
} dcnv4i_grid;

dcnv4i_grid dcnv4i_geometry_tiles(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem, dcnv4_part part);

/* With tiles: chunks of output. */
dcnv4i_grid dcnv4i_geometry_chunks(const dcnv4i_geometry *geometry, const dcnv4i_deform_conv *problem);

#endif
