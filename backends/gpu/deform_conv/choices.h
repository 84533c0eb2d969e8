/* Geometries that were chosen instead of the defaults, on disk: a file for a layer on a device. What it says is taken only
 * if it is legal, so that no file makes a result wrong. */
#ifndef DCNV4I_CHOICES_H
#define DCNV4I_CHOICES_H

#include "source.h"

typedef struct dcnv4i_choices {
    bool any;
    bool has[DCNV4I_DEFORM_CONV_PARTS];
    dcnv4i_geometry geometry[DCNV4I_DEFORM_CONV_PARTS]; /* of those that there are, for buffers that are not aligned */
} dcnv4i_choices;

/* Reads what is kept for a layer, whatever N, H and W are; none is no failure. */
dcnv4i_choices dcnv4i_choices_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                   const dcnv4i_deform_conv *problem);

/* Keeps a choice for one part beside those for the others, or forgets it if geometry is NULL. DCNV4_UNSUPPORTED if it could
 * not be kept, with the reason. */
dcnv4_status dcnv4i_choices_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                 const dcnv4i_deform_conv *problem, dcnv4_part part, const dcnv4i_geometry *geometry);

#endif
