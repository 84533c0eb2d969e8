/* Which geometries are worth measuring, and which are legal at all: pure functions of what the default depends on. */
#ifndef DCNV4I_TACTICS_H
#define DCNV4I_TACTICS_H

#include "geometry.h"

enum { DCNV4I_MAX_TACTICS = 12, DCNV4I_GEOMETRY_DESCRIPTION = 128 };

/* Whether a part's kernels of this geometry compile, start and give right results. It checks tactics and the contents
 * of files. */
bool dcnv4i_geometry_legal(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                           const dcnv4i_geometry *geometry);

/* Fills in the default and what may be faster on some device, all legal and different. Returns how many. */
int dcnv4i_tactics_of(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part, bool aligned,
                      dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS]);

/* Describes what of a geometry affects the part: "4 lanes × 8 channels, 8×8 pixels, 9 points at a time". */
void dcnv4i_geometry_describe(const dcnv4i_geometry *geometry, dcnv4_part part,
                              char description[DCNV4I_GEOMETRY_DESCRIPTION]);

#endif
