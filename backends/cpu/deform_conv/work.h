/* How a run is cut into pieces for the threads: a pure function of the layer and the number of threads, in whole numbers, so
 * that it is the same wherever it is asked for. */
#ifndef DCNV4I_CPU_WORK_H
#define DCNV4I_CPU_WORK_H

#include "../kernels.h"

/* Images × chunks of groups × bands of rows. */
typedef struct dcnv4i_work {
    int64_t pieces;
    int workers;           /* that are worth waking */
    int64_t bands, chunks; /* of an image */
    int64_t band_rows;     /* output rows of a forward band but the last */
    int64_t chunk_groups;  /* groups of a chunk but the last */
    int64_t packed_groups; /* of them, how many forward works on at a time */
    bool whole;            /* forward: every piece has all rows of value */
    int64_t spare_rows;    /* backward: of value, that a piece has on both sides of its own */
    size_t scratch;        /* bytes that one piece needs, a multiple of 64; 0 for none */
} dcnv4i_work;

/* What layer->reach is to be; the one number here that is made of a float. Less than 2⁶¹. */
int64_t dcnv4i_work_reach(const dcnv4i_deform_conv *problem);

/* Fails with DCNV4_UNSUPPORTED where the scratch would be past what can be addressed, which depends on the layer alone. */
dcnv4_status dcnv4i_work_cut(const dcnv4i_layer *layer, dcnv4_pass pass, int threads, dcnv4i_work *work);

/* Bytes of workspace that a run needs: a scratch for every worker, and room to align the first. */
size_t dcnv4i_work_space(const dcnv4i_work *work);

/* Piece number `number`, but for its scratch. */
dcnv4i_piece dcnv4i_work_piece(const dcnv4i_layer *layer, dcnv4_pass pass, const dcnv4i_work *work, int64_t number);

#endif
