/* The recipe of a part's kernels, from a layer, a device's limits and a geometry. It does not depend on the image size,
 * so that plans for other sizes share the module. */
#ifndef DCNV4I_SOURCE_H
#define DCNV4I_SOURCE_H

#include "../runtime/module_store.h"
#include "geometry.h"

/* The kernels' numbers in a module. Those of a part follow one another. */
typedef enum dcnv4i_kernel {
    DCNV4I_KERNEL_FORWARD,
    DCNV4I_KERNEL_POINTS,
    DCNV4I_KERNEL_SCATTER,
    DCNV4I_KERNEL_BOUNDS,  /* before an owned scatter */
    DCNV4I_KERNEL_CLEAR,   /* before an atomic one */
    DCNV4I_KERNEL_CONVERT, /* after it, for 16-bit types */
    DCNV4I_KERNEL_BOTH,    /* instead of points and scatter, where a program has both, on a CPU */
    DCNV4I_KERNELS
} dcnv4i_kernel;

/* Which parts a module has: 1 << dcnv4_part for each. They share the geometry. */
typedef unsigned dcnv4i_part_set;

dcnv4i_recipe dcnv4i_deform_conv_recipe(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem,
                                        dcnv4i_part_set parts, const dcnv4i_geometry *geometry);

/* What a problem's modules depend on, as text, for free(); NULL if there is no memory. */
char *dcnv4i_deform_conv_layer(const dcnv4i_deform_conv *problem);

#endif
