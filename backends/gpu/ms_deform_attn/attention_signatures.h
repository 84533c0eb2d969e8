/* The arguments of attention's kernels, from the same lists as in their texts. */
#ifndef DCNV4I_ATTN_SIGNATURES_H
#define DCNV4I_ATTN_SIGNATURES_H

#include "../../../core/ms_deform_attn_problem.h"
#include "../program.h"

/* The scratch buffers: float32 sums of grad_value; the places that chunks of points touch; gradients by the points' positions in
 * places. */
enum { DCNV4I_ATTN_SUMS, DCNV4I_ATTN_BOUNDS, DCNV4I_ATTN_MOVES };

/* The numbers. */
enum {
    DCNV4I_NUMBER_BATCH,
    DCNV4I_NUMBER_QUERIES,
    DCNV4I_NUMBER_VALUE_LENGTH,
    DCNV4I_NUMBER_BY_QUERIES,
    DCNV4I_NUMBER_PLACES,
    DCNV4I_NUMBER_PACKED,
    DCNV4I_NUMBER_SHARES
};

typedef enum dcnv4i_attn_signature {
    DCNV4I_ATTN_FORWARD,
    DCNV4I_ATTN_POINTS,
    DCNV4I_ATTN_REFERENCES,
    DCNV4I_ATTN_VALUE, /* atomic or owned */
    DCNV4I_ATTN_VALUE_BY_RUNS,
    DCNV4I_ATTN_BOUNDS_OF_CHUNKS,
    DCNV4I_ATTN_VALUE_TILES,
    DCNV4I_ATTN_CLEAR,
    DCNV4I_ATTN_CLEAR_BY_RUNS,
    DCNV4I_ATTN_CONVERT,
    DCNV4I_ATTN_SIGNATURES
} dcnv4i_attn_signature;

/* With packed, weights are in the tensor of their locations; without levels_in_buffers, levels are in the program's table: all
 * shapes, and then all starts. */
const dcnv4i_signature *dcnv4i_attn_signature_of(const dcnv4i_ms_deform_attn *problem, dcnv4i_attn_signature id);

#endif
