/* The recipe of a part's kernels, from a layer, a device's limits and a geometry. It does not depend on N, Q, S and the levels'
 * sizes, so that plans for other sizes share the module. */
#ifndef DCNV4I_ATTN_SOURCE_H
#define DCNV4I_ATTN_SOURCE_H

#include "../runtime/module_store.h"
#include "attention_geometry.h"

/* The kernels' numbers in a module. */
typedef enum dcnv4i_attn_kernel {
    DCNV4I_ATTN_KERNEL_FORWARD,
    DCNV4I_ATTN_KERNEL_POINTS,
    DCNV4I_ATTN_KERNEL_REFERENCES, /* after points, if there are references */
    DCNV4I_ATTN_KERNEL_VALUE,
    DCNV4I_ATTN_KERNEL_BOUNDS,  /* before tiles */
    DCNV4I_ATTN_KERNEL_CLEAR,   /* before the other ways to sum grad_value */
    DCNV4I_ATTN_KERNEL_CONVERT, /* after them, for 16-bit types */
    DCNV4I_ATTN_KERNELS
} dcnv4i_attn_kernel;

dcnv4i_recipe dcnv4i_attn_recipe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem,
                                 dcnv4_msda_part part, const dcnv4i_attn_geometry *geometry);

/* What a problem's modules depend on, as text, for free(); NULL if there is no memory. */
char *dcnv4i_attn_layer(const dcnv4i_ms_deform_attn *problem);

#endif
