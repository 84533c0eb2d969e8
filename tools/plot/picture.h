/* What pictures of sampling points are made of: parts of an image, marks, labels and legends. */
#ifndef DCNV4I_PICTURE_H
#define DCNV4I_PICTURE_H

#include "canvas.h"

#include <stdbool.h>

enum { DCNV4I_MARGIN = 28, DCNV4I_LETTER = 11, DCNV4I_LINE = 30, DCNV4I_GAP = 14 };

/* A part of the canvas that shows a part of a feature map. */
typedef struct dcnv4i_region {
    int left, top, width, height; /* on the canvas */
    double x0, y0;                /* of the map, at its upper left corner; pixel centres are at whole numbers */
    double unit_x, unit_y;        /* the size of a pixel of the map on the canvas */
} dcnv4i_region;

double dcnv4i_region_x(const dcnv4i_region *region, double x);
double dcnv4i_region_y(const dcnv4i_region *region, double y);

/* Fills a region with its part of the picture, which shows the same view as a map of this size; beyond the picture the
 * canvas stays unchanged. */
void dcnv4i_region_paint(dcnv4i_canvas *canvas, const dcnv4i_region *region, const dcnv4i_canvas *picture,
                         int64_t map_width, int64_t map_height);

/* The colour of a group or head. */
dcnv4i_color dcnv4i_group_color(int64_t group);

/* A disc, or a ring for what is not positive. */
void dcnv4i_mark_dot(dcnv4i_canvas *canvas, double x, double y, double radius, bool positive, dcnv4i_color color);
void dcnv4i_mark_cross(dcnv4i_canvas *canvas, double x, double y);
void dcnv4i_mark_frame(dcnv4i_canvas *canvas, double left, double top, double width, double height, double thickness,
                       dcnv4i_color color);

/* Text on a dark rectangle with this upper left corner. */
void dcnv4i_mark_label(dcnv4i_canvas *canvas, double left, double top, const char *words);

typedef enum dcnv4i_legend_mark {
    DCNV4I_DISC_MARK,
    DCNV4I_RING_MARK,
    DCNV4I_CROSS_MARK,
    DCNV4I_NO_MARK
} dcnv4i_legend_mark;

/* A mark and its text at *x, *y, or on the next line if there is no room; advances both. Draws if canvas is not NULL. */
void dcnv4i_legend_entry(dcnv4i_canvas *canvas, int width, double *x, double *y, dcnv4i_legend_mark shape,
                         dcnv4i_color color, const char *words);

#endif
