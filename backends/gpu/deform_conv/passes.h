/* The launches of a program's passes, without the buffers. */
#ifndef DCNV4I_PASSES_H
#define DCNV4I_PASSES_H

#include "choices.h"
#include "signatures.h"

typedef struct dcnv4i_deform_conv_program {
    dcnv4i_gpu_program base;
    const dcnv4i_deform_conv *problem;
    dcnv4i_choices choices; /* instead of the defaults */
    int only;               /* the only part; or DCNV4I_DEFORM_CONV_PARTS: all parts of the problem */
} dcnv4i_deform_conv_program;

/* Fills in *made, with these choices; `only` is as in the struct. */
dcnv4_status dcnv4i_passes_make(dcnv4i_deform_conv_program *made, dcnv4i_gpu *gpu, const dcnv4i_deform_conv *problem,
                                const dcnv4i_choices *choices, int only);

/* The geometry of a part: chosen, or the default. */
dcnv4i_geometry dcnv4i_passes_geometry(const dcnv4i_deform_conv_program *program, dcnv4_part id, bool aligned);

#endif
