/* Which geometries are worth measuring, and which are legal at all: pure functions of what the default depends on. */
#ifndef DCNV4I_ATTN_TACTICS_H
#define DCNV4I_ATTN_TACTICS_H

#include "attention_geometry.h"

enum { DCNV4I_ATTN_MAX_TACTICS = 12, DCNV4I_ATTN_DESCRIPTION = 128 };

/* Whether a part's kernels of this geometry compile, start and give right results. It checks tactics and the contents of files. */
bool dcnv4i_attn_geometry_legal(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                                const dcnv4i_attn_geometry *geometry);

/* Fills in the default and what may be faster on some device, all legal and different. Returns how many. */
int dcnv4i_attn_tactics_of(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                           bool aligned, dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS]);

/* Describes what of a geometry affects the part: "8 lanes × 4 channels, 32 queries, 16 points at a time". */
void dcnv4i_attn_geometry_describe(const dcnv4i_attn_geometry *geometry, dcnv4_msda_part part,
                                   char description[DCNV4I_ATTN_DESCRIPTION]);

#endif
