/* A picture to draw on, antialiased. Coordinates are in pixels; (0, 0) is the upper left corner of the first one. */
#ifndef DCNV4I_CANVAS_H
#define DCNV4I_CANVAS_H

#include <stdint.h>

typedef struct dcnv4i_color {
    float red, green, blue; /* 0 to 1 */
} dcnv4i_color;

typedef struct dcnv4i_canvas {
    int width, height;
    dcnv4i_color *pixels;         /* row after row */
    int left, top, right, bottom; /* nothing is drawn outside these bounds */
} dcnv4i_canvas;

/* False if out of memory. */
int dcnv4i_canvas_create(int width, int height, dcnv4i_color background, dcnv4i_canvas *canvas);
void dcnv4i_canvas_free(dcnv4i_canvas *canvas);

/* Draws inside this rectangle from now on; on the whole canvas with a width of 0. */
void dcnv4i_canvas_clip(dcnv4i_canvas *canvas, int left, int top, int width, int height);

/* 0xrrggbb. */
dcnv4i_color dcnv4i_color_of(uint32_t rgb);

/* Draw a shape, blended with this opacity. */
void dcnv4i_draw_disc(dcnv4i_canvas *canvas, double x, double y, double radius, dcnv4i_color color, double opacity);
void dcnv4i_draw_ring(dcnv4i_canvas *canvas, double x, double y, double radius, double thickness, dcnv4i_color color,
                      double opacity);
void dcnv4i_draw_line(dcnv4i_canvas *canvas, double x0, double y0, double x1, double y1, double thickness,
                      dcnv4i_color color, double opacity);
void dcnv4i_draw_rectangle(dcnv4i_canvas *canvas, double x, double y, double width, double height, dcnv4i_color color,
                           double opacity);

/* Draws a line of UTF-8 text whose capitals are `size` high, from x on, on the baseline y. Returns the x of its end. */
double dcnv4i_draw_text(dcnv4i_canvas *canvas, double x, double y, double size, const char *text, dcnv4i_color color);

/* The width of a drawn text. */
double dcnv4i_text_width(double size, const char *text);

#endif
