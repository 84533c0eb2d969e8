#include "picture.h"

#include <math.h>
#include <stddef.h>

static const uint32_t palette[] = {0xff5a5f, 0x2ec4ff, 0xffc233, 0x5be37d, 0xc58bff, 0xff8fd0, 0x3df2d0, 0xff9248};

dcnv4i_color dcnv4i_group_color(int64_t group) {
    return dcnv4i_color_of(palette[group % (int64_t)(sizeof palette / sizeof *palette)]);
}

/* ---- Regions -------------------------------------------------------------------------------------------------------- */

/* Catmull and Rom's cubic through four values. */
static float cubic(const float v[4], float t) {
    return v[1] +
           0.5f * t *
               (v[2] - v[0] + t * (2 * v[0] - 5 * v[1] + 4 * v[2] - v[3] + t * (3 * (v[1] - v[2]) + v[3] - v[0])));
}

static float channel(dcnv4i_color color, int number) {
    return number == 0 ? color.red : number == 1 ? color.green : color.blue;
}

static dcnv4i_color interpolate(const dcnv4i_canvas *picture, double x, double y) {
    const int left = (int)floor(x), top = (int)floor(y);
    float mixed[3];
    for (int c = 0; c < 3; ++c) {
        float rows[4];
        for (int j = 0; j < 4; ++j) {
            float row[4];
            for (int i = 0; i < 4; ++i) {
                int px = left - 1 + i, py = top - 1 + j;
                px = px < 0 ? 0 : px >= picture->width ? picture->width - 1 : px;
                py = py < 0 ? 0 : py >= picture->height ? picture->height - 1 : py;
                row[i] = channel(picture->pixels[(size_t)py * (size_t)picture->width + (size_t)px], c);
            }
            rows[j] = cubic(row, (float)(x - left));
        }
        mixed[c] = cubic(rows, (float)(y - top));
    }
    return (dcnv4i_color){mixed[0], mixed[1], mixed[2]};
}

void dcnv4i_region_paint(dcnv4i_canvas *canvas, const dcnv4i_region *r, const dcnv4i_canvas *picture, int64_t map_width,
                         int64_t map_height) {
    const double step_x = picture->width / (double)map_width / r->unit_x;
    const double step_y = picture->height / (double)map_height / r->unit_y;
    const double first_x = (r->x0 + 0.5) * step_x * r->unit_x, first_y = (r->y0 + 0.5) * step_y * r->unit_y;
    for (int j = 0; j < r->height; ++j)
        for (int i = 0; i < r->width; ++i) {
            const double x = first_x + (i + 0.5) * step_x, y = first_y + (j + 0.5) * step_y;
            if (x >= 0 && x < picture->width && y >= 0 && y < picture->height)
                canvas->pixels[(size_t)(r->top + j) * (size_t)canvas->width + (size_t)(r->left + i)] = interpolate(
                    picture, x - 0.5, y - 0.5);
        }
}

double dcnv4i_region_x(const dcnv4i_region *r, double x) {
    return r->left + (x - r->x0) * r->unit_x;
}

double dcnv4i_region_y(const dcnv4i_region *r, double y) {
    return r->top + (y - r->y0) * r->unit_y;
}

/* ---- Marks ---------------------------------------------------------------------------------------------------------- */

void dcnv4i_mark_dot(dcnv4i_canvas *canvas, double x, double y, double radius, bool positive, dcnv4i_color color) {
    const dcnv4i_color dark = dcnv4i_color_of(0x101418);
    if (positive) {
        dcnv4i_draw_disc(canvas, x, y, radius + 1.2, dark, 0.75);
        dcnv4i_draw_disc(canvas, x, y, radius, color, 0.95);
    } else {
        const double thick = fmin(fmax(radius * 0.35, 1.6), radius);
        dcnv4i_draw_ring(canvas, x, y, radius - thick / 2, thick + 2.4, dark, 0.75);
        dcnv4i_draw_ring(canvas, x, y, radius - thick / 2, thick, color, 0.95);
    }
}

void dcnv4i_mark_cross(dcnv4i_canvas *canvas, double x, double y) {
    const double arm = 8;
    for (int pass = 0; pass < 2; ++pass) {
        const dcnv4i_color color = dcnv4i_color_of(pass ? 0xffffff : 0x101418);
        const double thickness = pass ? 2 : 4.5;
        dcnv4i_draw_line(canvas, x - arm, y, x + arm, y, thickness, color, 1);
        dcnv4i_draw_line(canvas, x, y - arm, x, y + arm, thickness, color, 1);
    }
}

void dcnv4i_mark_frame(dcnv4i_canvas *canvas, double left, double top, double width, double height, double thickness,
                       dcnv4i_color color) {
    dcnv4i_draw_line(canvas, left, top, left + width, top, thickness, color, 1);
    dcnv4i_draw_line(canvas, left, top + height, left + width, top + height, thickness, color, 1);
    dcnv4i_draw_line(canvas, left, top, left, top + height, thickness, color, 1);
    dcnv4i_draw_line(canvas, left + width, top, left + width, top + height, thickness, color, 1);
}

void dcnv4i_mark_label(dcnv4i_canvas *canvas, double left, double top, const char *words) {
    dcnv4i_draw_rectangle(canvas, left, top, dcnv4i_text_width(DCNV4I_LETTER, words) + 12, DCNV4I_LETTER + 12,
                          dcnv4i_color_of(0x101418), 0.7);
    dcnv4i_draw_text(canvas, left + 6, top + 6 + DCNV4I_LETTER, DCNV4I_LETTER, words, dcnv4i_color_of(0xffffff));
}

/* ---- Legends -------------------------------------------------------------------------------------------------------- */

void dcnv4i_legend_entry(dcnv4i_canvas *canvas, int width, double *x, double *y, dcnv4i_legend_mark shape,
                         dcnv4i_color color, const char *words) {
    const double mark_width = shape == DCNV4I_NO_MARK ? 0 : 24,
                 wide = mark_width + dcnv4i_text_width(DCNV4I_LETTER, words);
    if (*x > DCNV4I_MARGIN && *x + wide > width - DCNV4I_MARGIN)
        *x = DCNV4I_MARGIN, *y += DCNV4I_LINE;
    if (canvas) {
        const double middle = *y - DCNV4I_LETTER / 2.0;
        if (shape == DCNV4I_CROSS_MARK)
            dcnv4i_mark_cross(canvas, *x + 8, middle);
        else if (shape != DCNV4I_NO_MARK)
            dcnv4i_mark_dot(canvas, *x + 8, middle, 7, shape == DCNV4I_DISC_MARK, color);
        dcnv4i_draw_text(canvas, *x + mark_width, *y, DCNV4I_LETTER, words, dcnv4i_color_of(0x22282e));
    }
    *x += wide + 26;
}
