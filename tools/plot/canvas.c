#include "canvas.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

int dcnv4i_canvas_create(int width, int height, dcnv4i_color background, dcnv4i_canvas *canvas) {
    const size_t count = (size_t)width * (size_t)height;
    *canvas = (dcnv4i_canvas){width, height, malloc(count * sizeof *canvas->pixels), 0, 0, width, height};
    for (size_t i = 0; canvas->pixels && i < count; ++i)
        canvas->pixels[i] = background;
    return canvas->pixels != NULL;
}

void dcnv4i_canvas_free(dcnv4i_canvas *canvas) {
    free(canvas->pixels);
    *canvas = (dcnv4i_canvas){.pixels = NULL};
}

void dcnv4i_canvas_clip(dcnv4i_canvas *canvas, int left, int top, int width, int height) {
    const bool whole = width == 0;
    canvas->left = whole || left < 0 ? 0 : left;
    canvas->top = whole || top < 0 ? 0 : top;
    canvas->right = whole || left + width > canvas->width ? canvas->width : left + width;
    canvas->bottom = whole || top + height > canvas->height ? canvas->height : top + height;
}

dcnv4i_color dcnv4i_color_of(uint32_t rgb) {
    return (dcnv4i_color){(float)(rgb >> 16 & 255) / 255, (float)(rgb >> 8 & 255) / 255, (float)(rgb & 255) / 255};
}

/* A shape to draw. Its signed distance (see distance) is negative inside. */
typedef struct shape {
    enum { DISC, RING, SEGMENT, BOX } kind;
    double x0, y0, x1, y1; /* centre, or both ends */
    double size;           /* radius, or half the thickness of a segment; half width of a box */
    double other;          /* half the thickness of a ring; half height of a box */
} shape;

static double distance(const shape *s, double x, double y) {
    switch (s->kind) {
    case DISC: return hypot(x - s->x0, y - s->y0) - s->size;
    case RING: return fabs(hypot(x - s->x0, y - s->y0) - s->size) - s->other;
    case BOX: return fmax(fabs(x - s->x0) - s->size, fabs(y - s->y0) - s->other);
    case SEGMENT: break;
    }
    const double dx = s->x1 - s->x0, dy = s->y1 - s->y0, square = dx * dx + dy * dy;
    double along = square > 0 ? ((x - s->x0) * dx + (y - s->y0) * dy) / square : 0;
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    return hypot(x - s->x0 - along * dx, y - s->y0 - along * dy) - s->size;
}

static int inside(double number, int least, int most) {
    return number < least ? least : number > most ? most : (int)number;
}

/* A pixel's coverage is 0.5 minus the signed distance of its centre, clamped to 0 and 1. */
static void blend(dcnv4i_canvas *canvas, const shape *s, double reach_x, double reach_y, dcnv4i_color color,
                  double opacity) {
    const double x1 = s->kind == SEGMENT ? s->x1 : s->x0, y1 = s->kind == SEGMENT ? s->y1 : s->y0;
    const int left = inside(fmin(s->x0, x1) - reach_x - 1, canvas->left, canvas->right);
    const int right = inside(fmax(s->x0, x1) + reach_x + 2, canvas->left, canvas->right);
    const int top = inside(fmin(s->y0, y1) - reach_y - 1, canvas->top, canvas->bottom);
    const int bottom = inside(fmax(s->y0, y1) + reach_y + 2, canvas->top, canvas->bottom);
    for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x) {
            double cover = 0.5 - distance(s, x + 0.5, y + 0.5);
            cover = cover < 0 ? 0 : cover > 1 ? 1 : cover;
            const float part = (float)(cover * opacity);
            dcnv4i_color *pixel = &canvas->pixels[(size_t)y * (size_t)canvas->width + (size_t)x];
            pixel->red += part * (color.red - pixel->red);
            pixel->green += part * (color.green - pixel->green);
            pixel->blue += part * (color.blue - pixel->blue);
        }
}

void dcnv4i_draw_disc(dcnv4i_canvas *canvas, double x, double y, double radius, dcnv4i_color color, double opacity) {
    blend(canvas, &(shape){DISC, x, y, 0, 0, radius, 0}, radius, radius, color, opacity);
}

void dcnv4i_draw_ring(dcnv4i_canvas *canvas, double x, double y, double radius, double thickness, dcnv4i_color color,
                      double opacity) {
    const double reach = radius + thickness / 2;
    blend(canvas, &(shape){RING, x, y, 0, 0, radius, thickness / 2}, reach, reach, color, opacity);
}

void dcnv4i_draw_line(dcnv4i_canvas *canvas, double x0, double y0, double x1, double y1, double thickness,
                      dcnv4i_color color, double opacity) {
    blend(canvas, &(shape){SEGMENT, x0, y0, x1, y1, thickness / 2, 0}, thickness / 2, thickness / 2, color, opacity);
}

void dcnv4i_draw_rectangle(dcnv4i_canvas *canvas, double x, double y, double width, double height, dcnv4i_color color,
                           double opacity) {
    blend(canvas, &(shape){BOX, x + width / 2, y + height / 2, 0, 0, width / 2, height / 2}, width / 2, height / 2,
          color, opacity);
}
