/* Geometries chosen instead of the defaults, on disk: one file for a layer on a device. Only legal ones are used, so that no file
 * makes a result wrong. */
#ifndef DCNV4I_ATTN_CHOICES_H
#define DCNV4I_ATTN_CHOICES_H

#include "attention_source.h"

typedef struct dcnv4i_attn_choices {
    bool any;
    bool has[DCNV4I_ATTN_PARTS];
    dcnv4i_attn_geometry geometry[DCNV4I_ATTN_PARTS]; /* where `has` is set; for unaligned buffers */
} dcnv4i_attn_choices;

/* Reads the choices stored for a layer, for any N, Q, S and sizes of levels; their absence is no failure. */
dcnv4i_attn_choices dcnv4i_attn_choices_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                             const dcnv4i_ms_deform_attn *problem);

/* Stores a choice for one part and leaves those for the others, or removes it if geometry is NULL. DCNV4_UNSUPPORTED, with the
 * reason, if it could not be stored. */
dcnv4_status dcnv4i_attn_choices_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                      const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                                      const dcnv4i_attn_geometry *geometry);

#endif
