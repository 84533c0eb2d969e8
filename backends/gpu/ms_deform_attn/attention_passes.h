/* From a problem to a program: modules, and the launches of each pass. */
#ifndef DCNV4I_ATTN_PASSES_H
#define DCNV4I_ATTN_PASSES_H

#include "attention_choices.h"

/* A program of this operator. */
typedef struct dcnv4i_attn_program {
    dcnv4i_gpu_program base;
    const dcnv4i_ms_deform_attn *problem;
    dcnv4i_attn_choices choices; /* geometries in place of the defaults */
    int only;                    /* the only part that it does; DCNV4I_ATTN_PARTS for all */
} dcnv4i_attn_program;

/* Fills in *made, whose table is the caller's to free, also after a failure. */
dcnv4_status dcnv4i_attn_passes_make(dcnv4i_attn_program *made, dcnv4i_gpu *gpu, const dcnv4i_ms_deform_attn *problem,
                                     const dcnv4i_attn_choices *choices, int only);

/* The geometry that a program uses for a part. */
dcnv4i_attn_geometry dcnv4i_attn_passes_geometry(const dcnv4i_attn_program *program, dcnv4_msda_part id, bool aligned);

#endif
