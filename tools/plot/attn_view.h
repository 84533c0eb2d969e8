/* The picture of where queries of multi-scale deformable attention look. */
#ifndef DCNV4I_ATTN_VIEW_H
#define DCNV4I_ATTN_VIEW_H

#include "plotters.h"

enum { DCNV4I_PLOT_QUERIES = 16 };

/* A point: its position in places of its level, and the weight with which it is used. */
typedef struct dcnv4i_attn_dot {
    double x, y, weight;
    int64_t head;
    int level;
    bool counts;
} dcnv4i_attn_dot;

/* A query of the first image: its points, all heads and levels, and where it is, both axes from 0 to 1. */
typedef struct dcnv4i_attn_look {
    int64_t query;
    dcnv4i_attn_dot *dots;
    double x, y;
} dcnv4i_attn_look;

/* Finds where a query is: at its reference, else in the middle of its points; NaN if none is anywhere. dots: of all heads
 * and points, or NULL. */
void dcnv4i_attn_look_at(const dcnv4i_layer *layer, int64_t query, dcnv4i_attn_dot *dots, double *weights, double *x,
                         double *y);

/* Draws the queries over the enlarged picture, then for each query and level the part of it around the points. */
dcnv4i_exit dcnv4i_attn_draw_looks(const dcnv4i_layer *layer, const dcnv4i_attn_look *looks, int count,
                                   const dcnv4i_canvas *picture, dcnv4i_canvas *canvas);

#endif
