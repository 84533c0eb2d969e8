#include "plot_view.h"

#include "../tensors/sampling.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDE = 1000, NARROW = 640, MARGIN = 28, LETTER = 11, LINE = 30, GAP = 14, COLUMNS = 3 };

/* If a pixel of value is smaller than the picture divided by this, each --at gets a magnified panel. */
enum { MAGNIFY_FROM = 40 };

/* A sampling point that counts: its position on value and its weight. */
typedef struct dot {
    double x, y, weight;
    int64_t group;
} dot;

/* A part of the canvas that shows a part of value. */
typedef struct region {
    int left, top, width, height; /* on the canvas */
    double x0, y0;                /* of value, at its upper left corner; pixel centres are at whole numbers */
    double unit_x, unit_y;        /* the size of a pixel of value on the canvas */
} region;

/* One of plot->pixels: its position on value, and its range of view.dots. */
typedef struct gaze {
    double x, y;
    int64_t first, count;
} gaze;

typedef struct view {
    const dcnv4i_plot *plot;
    const dcnv4i_canvas *picture;
    dcnv4i_canvas *canvas;
    dot *dots;
    int64_t count, outside; /* points that count, and those that do not */
    double heaviest;        /* the largest |weight| */
    gaze gazes[DCNV4I_PLOT_PIXELS];
} view;

static const uint32_t palette[] = {0xff5a5f, 0x2ec4ff, 0xffc233, 0x5be37d, 0xc58bff, 0xff8fd0, 0x3df2d0, 0xff9248};

static dcnv4i_color group_color(int64_t group) {
    return dcnv4i_color_of(palette[group % (int64_t)(sizeof palette / sizeof *palette)]);
}

/* ---- The background picture ----------------------------------------------------------------------------------------- */

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

/* Fills a region with its part of the picture; beyond the picture the canvas stays unchanged. */
static void paint(const view *v, const region *r) {
    const dcnv4i_canvas *picture = v->picture;
    const double step_x = picture->width / (double)v->plot->problem->width / r->unit_x;
    const double step_y = picture->height / (double)v->plot->problem->height / r->unit_y;
    const double first_x = (r->x0 + 0.5) * step_x * r->unit_x, first_y = (r->y0 + 0.5) * step_y * r->unit_y;
    for (int j = 0; j < r->height; ++j)
        for (int i = 0; i < r->width; ++i) {
            const double x = first_x + (i + 0.5) * step_x, y = first_y + (j + 0.5) * step_y;
            if (x >= 0 && x < picture->width && y >= 0 && y < picture->height)
                v->canvas->pixels[(size_t)(r->top + j) * (size_t)v->canvas->width +
                                  (size_t)(r->left + i)] = interpolate(picture, x - 0.5, y - 0.5);
        }
}

static double canvas_x(const region *r, double x) {
    return r->left + (x - r->x0) * r->unit_x;
}

static double canvas_y(const region *r, double y) {
    return r->top + (y - r->y0) * r->unit_y;
}

/* ---- Points --------------------------------------------------------------------------------------------------------- */

/* Appends the points of one output pixel. */
static void collect(view *v, const int64_t pixel[2], double *weights) {
    const dcnv4_problem *p = v->plot->problem;
    const int64_t points = v->plot->sizes->points;
    const double *row = v->plot->offset_mask +
                        (pixel[0] * v->plot->sizes->output_width + pixel[1]) * v->plot->sizes->offset_mask_row;
    for (int64_t group = 0; group < p->groups; ++group) {
        const double *block = row + 3 * points * group;
        dcnv4i_sampling_weights(p, block + 2 * points, points, weights);
        for (int64_t k = 0; k < points; ++k) {
            dcnv4i_coordinate cx, cy;
            dcnv4i_sampling_point(p, pixel[0], pixel[1], block, k, &cx, &cy);
            const double x = cx.base + p->offset_scale * (cx.grid + cx.offset);
            const double y = cy.base + p->offset_scale * (cy.grid + cy.offset);
            if (x > -1 && x < (double)p->width && y > -1 && y < (double)p->height && isfinite(weights[k])) {
                v->dots[v->count++] = (dot){x, y, weights[k], group};
                v->heaviest = fmax(v->heaviest, fabs(weights[k]));
            } else {
                v->outside += 1;
            }
        }
    }
}

/* The heaviest first, so that no disc hides another. */
static int by_weight(const void *one, const void *other) {
    const double a = fabs(((const dot *)one)->weight), b = fabs(((const dot *)other)->weight);
    return (a < b) - (a > b);
}

static void draw_dot(dcnv4i_canvas *canvas, double x, double y, double radius, bool positive, dcnv4i_color color) {
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

static void draw_cross(dcnv4i_canvas *canvas, double x, double y) {
    const double arm = 8;
    for (int pass = 0; pass < 2; ++pass) {
        const dcnv4i_color color = dcnv4i_color_of(pass ? 0xffffff : 0x101418);
        const double thickness = pass ? 2 : 4.5;
        dcnv4i_draw_line(canvas, x - arm, y, x + arm, y, thickness, color, 1);
        dcnv4i_draw_line(canvas, x, y - arm, x, y + arm, thickness, color, 1);
    }
}

/* Draws the points of some gazes, and then their crosses, in one region. */
static void draw_points(const view *v, const region *r, const gaze *gazes, int count, double radius) {
    for (int g = 0; g < count; ++g)
        for (int64_t i = gazes[g].first; i < gazes[g].first + gazes[g].count; ++i) {
            const dot *d = &v->dots[i];
            const double size = v->heaviest > 0 ? radius * sqrt(fabs(d->weight) / v->heaviest) : 0;
            draw_dot(v->canvas, canvas_x(r, d->x), canvas_y(r, d->y), fmax(size, 1), d->weight >= 0,
                     group_color(d->group));
        }
    for (int g = 0; g < count; ++g)
        draw_cross(v->canvas, canvas_x(r, gazes[g].x), canvas_y(r, gazes[g].y));
}

/* ---- Panels --------------------------------------------------------------------------------------------------------- */

/* Half the extent of a gaze's panel, in pixels of value: the distance to its farthest point, but at most 8. */
static double reach(const view *v, const gaze *g) {
    double far = 1.5;
    for (int64_t i = g->first; i < g->first + g->count; ++i)
        far = fmax(far, fmax(fabs(v->dots[i].x - g->x), fabs(v->dots[i].y - g->y)));
    return fmin(far, 8) + 0.75;
}

static void draw_frame(dcnv4i_canvas *canvas, double left, double top, double width, double height, double thickness,
                       dcnv4i_color color) {
    dcnv4i_draw_line(canvas, left, top, left + width, top, thickness, color, 1);
    dcnv4i_draw_line(canvas, left, top + height, left + width, top + height, thickness, color, 1);
    dcnv4i_draw_line(canvas, left, top, left, top + height, thickness, color, 1);
    dcnv4i_draw_line(canvas, left + width, top, left + width, top + height, thickness, color, 1);
}

/* Draws text on a dark rectangle with this upper left corner. */
static void draw_label(dcnv4i_canvas *canvas, double left, double top, const char *words) {
    dcnv4i_draw_rectangle(canvas, left, top, dcnv4i_text_width(LETTER, words) + 12, LETTER + 12,
                          dcnv4i_color_of(0x101418), 0.7);
    dcnv4i_draw_text(canvas, left + 6, top + 6 + LETTER, LETTER, words, dcnv4i_color_of(0xffffff));
}

/* Draws the panel of gaze number `number`, and the frame of its extent on the region `whole`. */
static void draw_panel(const view *v, const region *whole, int number, region panel) {
    const gaze *g = &v->gazes[number];
    const double far = reach(v, g), unit = (panel.width < panel.height ? panel.width : panel.height) / (2 * far);
    panel.unit_x = panel.unit_y = unit;
    panel.x0 = g->x - panel.width / unit / 2, panel.y0 = g->y - panel.height / unit / 2;
    const dcnv4i_color white = dcnv4i_color_of(0xffffff);
    char words[48];
    snprintf(words, sizeof words, "%" PRId64 ", %" PRId64, v->plot->pixels[number][0], v->plot->pixels[number][1]);
    dcnv4i_canvas_clip(v->canvas, panel.left, panel.top, panel.width, panel.height);
    dcnv4i_draw_rectangle(v->canvas, panel.left, panel.top, panel.width, panel.height, dcnv4i_color_of(0xd5dade), 1);
    paint(v, &panel);
    for (double x = ceil(panel.x0 - 0.5) + 0.5; canvas_x(&panel, x) < panel.left + panel.width; ++x)
        dcnv4i_draw_line(v->canvas, canvas_x(&panel, x), panel.top, canvas_x(&panel, x), panel.top + panel.height, 1,
                         white, 0.16);
    for (double y = ceil(panel.y0 - 0.5) + 0.5; canvas_y(&panel, y) < panel.top + panel.height; ++y)
        dcnv4i_draw_line(v->canvas, panel.left, canvas_y(&panel, y), panel.left + panel.width, canvas_y(&panel, y), 1,
                         white, 0.16);
    draw_points(v, &panel, g, 1, fmin(0.36 * unit, fmax(22, panel.width / 20.0)));
    draw_label(v->canvas, panel.left + 8, panel.top + 8, words);
    dcnv4i_canvas_clip(v->canvas, whole->left, whole->top, whole->width, whole->height);
    const double left = canvas_x(whole, g->x - far), top = canvas_y(whole, g->y - far);
    draw_frame(v->canvas, left, top, 2 * far * whole->unit_x, 2 * far * whole->unit_y, 3.6, dcnv4i_color_of(0x101418));
    draw_frame(v->canvas, left, top, 2 * far * whole->unit_x, 2 * far * whole->unit_y, 1.6, white);
    /* The label is below the frame, or above it if there is no room below. */
    const double below = top + 2 * far * whole->unit_y + 5, high = LETTER + 12,
                 wide = dcnv4i_text_width(LETTER, words) + 12;
    const double label_top = below + high <= whole->top + whole->height ? below : top - 5 - high;
    draw_label(v->canvas, fmin(fmax(left, whole->left), whole->left + whole->width - wide), label_top, words);
    dcnv4i_canvas_clip(v->canvas, 0, 0, 0, 0);
}

/* The width of the panels' rows and the legend, below the region `whole`. */
static int line_width(const region *whole) {
    return whole->width < NARROW ? NARROW : whole->width;
}

/* The region of panel number `number` of count, below the region `whole`. */
static region place_panel(const region *whole, int number, int count) {
    const int columns = count < COLUMNS ? count : COLUMNS, line = line_width(whole);
    const int width = (line - (columns - 1) * GAP) / columns;
    const int height = columns == COLUMNS ? width : columns == 2 ? width * 2 / 3 : width * 2 / 5;
    return (region){.left = whole->left + number % columns * (width + GAP),
                    .width = width,
                    .height = height,
                    .top = whole->top + whole->height + GAP + number / columns * (height + GAP)};
}

/* ---- Legend --------------------------------------------------------------------------------------------------------- */

typedef enum mark { DISC_MARK, RING_MARK, CROSS_MARK, NO_MARK } mark;

/* A mark and its text at *x, *y, or on the next line if there is no room; advances both. Draws if canvas is not
 * NULL. */
static void legend_entry(dcnv4i_canvas *canvas, int width, double *x, double *y, mark shape, dcnv4i_color color,
                         const char *words) {
    const double mark_width = shape == NO_MARK ? 0 : 24, wide = mark_width + dcnv4i_text_width(LETTER, words);
    if (*x > MARGIN && *x + wide > width - MARGIN)
        *x = MARGIN, *y += LINE;
    if (canvas) {
        const double middle = *y - LETTER / 2.0;
        if (shape == CROSS_MARK)
            draw_cross(canvas, *x + 8, middle);
        else if (shape != NO_MARK)
            draw_dot(canvas, *x + 8, middle, 7, shape == DISC_MARK, color);
        dcnv4i_draw_text(canvas, *x + mark_width, *y, LETTER, words, dcnv4i_color_of(0x22282e));
    }
    *x += wide + 26;
}

/* Lays out the legend below y, and returns the y of its last line. */
static double legend(const view *v, dcnv4i_canvas *canvas, int width, double y) {
    char words[96];
    double x = MARGIN;
    const dcnv4i_color gray = dcnv4i_color_of(0x8a949e);
    legend_entry(canvas, width, &x, &y, CROSS_MARK, gray, "output pixel");
    for (int64_t group = 0; group < v->plot->problem->groups; ++group) {
        snprintf(words, sizeof words, "group %" PRId64, group);
        legend_entry(canvas, width, &x, &y, DISC_MARK, group_color(group), words);
    }
    legend_entry(canvas, width, &x, &y, DISC_MARK, gray, "weight > 0");
    legend_entry(canvas, width, &x, &y, RING_MARK, gray, "weight < 0");
    snprintf(words, sizeof words, "area = |weight|, largest %.3g", v->heaviest);
    legend_entry(canvas, width, &x, &y, NO_MARK, gray, words);
    if (v->outside > 0) {
        snprintf(words, sizeof words, "%" PRId64 " points outside the image", v->outside);
        legend_entry(canvas, width, &x, &y, NO_MARK, gray, words);
    }
    return y;
}

/* ---- All of it ------------------------------------------------------------------------------------------------------ */

static void collect_all(view *v, double *weights) {
    const dcnv4_problem *p = v->plot->problem;
    const int64_t half_w = p->dilation_w * (p->kernel_w - 1) >> 1, half_h = p->dilation_h * (p->kernel_h - 1) >> 1;
    for (int i = 0; i < v->plot->pixel_count; ++i) {
        const int64_t *pixel = v->plot->pixels[i], first = v->count;
        collect(v, pixel, weights);
        v->gazes[i] = (gaze){(double)(pixel[1] * p->stride_w - p->pad_w + half_w),
                             (double)(pixel[0] * p->stride_h - p->pad_h + half_h), first, v->count - first};
        qsort(v->dots + first, (size_t)(v->count - first), sizeof *v->dots, by_weight);
    }
}

static dcnv4i_exit draw_all(view *v, const region *whole) {
    const double unit = fmin(whole->unit_x, whole->unit_y);
    const int panels = unit < line_width(whole) / (double)MAGNIFY_FROM ? v->plot->pixel_count : 0;
    int below = whole->top + whole->height;
    if (panels > 0) {
        const region last = place_panel(whole, panels - 1, panels);
        below = last.top + last.height;
    }
    const int width = line_width(whole) + 2 * MARGIN,
              height = (int)legend(v, NULL, width, below + MARGIN + LETTER) + MARGIN;
    if (!dcnv4i_canvas_create(width, height, dcnv4i_color_of(0xfafafa), v->canvas))
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a picture of %d times %d pixels", width, height);
    paint(v, whole);
    draw_points(v, whole, v->gazes, v->plot->pixel_count, fmin(fmax(0.36 * unit, 4), 22));
    for (int i = 0; i < panels; ++i)
        draw_panel(v, whole, i, place_panel(whole, i, panels));
    legend(v, v->canvas, width, below + MARGIN + LETTER);
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_plot_draw(const dcnv4i_plot *plot, const dcnv4i_canvas *picture, dcnv4i_canvas *canvas) {
    const int longer = picture->width > picture->height ? picture->width : picture->height;
    const int factor = longer >= WIDE ? 1 : (WIDE + longer / 2) / longer;
    const int64_t room = plot->pixel_count * plot->problem->groups * plot->sizes->points;
    region whole = {MARGIN, MARGIN, picture->width * factor, picture->height * factor, -0.5, -0.5, 0, 0};
    whole.unit_x = whole.width / (double)plot->problem->width,
    whole.unit_y = whole.height / (double)plot->problem->height;
    view v = {.plot = plot, .picture = picture, .canvas = canvas};
    v.dots = malloc((size_t)room * sizeof *v.dots + 1);
    double *weights = malloc((size_t)plot->sizes->points * sizeof *weights + 1);
    dcnv4i_exit verdict = DCNV4I_DONE;
    if (!v.dots || !weights) {
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 " points", room);
    } else {
        collect_all(&v, weights);
        verdict = draw_all(&v, &whole);
    }
    free(weights);
    free(v.dots);
    return verdict;
}
