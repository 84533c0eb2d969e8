#include "conv_view.h"

#include "../operators/conv_points.h"
#include "../operators/point_bound.h"
#include "picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDE = 1000, NARROW = 640, COLUMNS = 3 };

/* If a pixel of value is smaller than the picture divided by this, each --at gets a magnified panel. */
enum { MAGNIFY_FROM = 40 };

/* A sampling point that counts: its position on value and its weight. */
typedef struct dot {
    double x, y, weight;
    int64_t group;
} dot;

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

/* ---- Points --------------------------------------------------------------------------------------------------------- */

/* Appends the points of one output pixel. */
static void collect(view *v, const int64_t pixel[2], double *weights) {
    const dcnv4_problem *p = v->plot->problem;
    const int64_t points = v->plot->sizes->points;
    const double *row = v->plot->offset_mask +
                        (pixel[0] * v->plot->sizes->output_width + pixel[1]) * v->plot->sizes->offset_mask_row;
    for (int64_t group = 0; group < p->groups; ++group) {
        const double *block = row + 3 * points * group;
        dcnv4i_weights(p->softmax, block + 2 * points, points, weights);
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

/* Draws the points of some gazes, and then their crosses, in one region. */
static void draw_points(const view *v, const dcnv4i_region *r, const gaze *gazes, int count, double radius) {
    for (int g = 0; g < count; ++g)
        for (int64_t i = gazes[g].first; i < gazes[g].first + gazes[g].count; ++i) {
            const dot *d = &v->dots[i];
            const double size = v->heaviest > 0 ? radius * sqrt(fabs(d->weight) / v->heaviest) : 0;
            dcnv4i_mark_dot(v->canvas, dcnv4i_region_x(r, d->x), dcnv4i_region_y(r, d->y), fmax(size, 1),
                            d->weight >= 0, dcnv4i_group_color(d->group));
        }
    for (int g = 0; g < count; ++g)
        dcnv4i_mark_cross(v->canvas, dcnv4i_region_x(r, gazes[g].x), dcnv4i_region_y(r, gazes[g].y));
}

/* ---- Panels --------------------------------------------------------------------------------------------------------- */

/* Half the extent of a gaze's panel, in pixels of value: the distance to its farthest point, but at most 8. */
static double reach(const view *v, const gaze *g) {
    double far = 1.5;
    for (int64_t i = g->first; i < g->first + g->count; ++i)
        far = fmax(far, fmax(fabs(v->dots[i].x - g->x), fabs(v->dots[i].y - g->y)));
    return fmin(far, 8) + 0.75;
}

/* Draws the panel of gaze number `number`, and the frame of its extent on the region `whole`. */
static void draw_panel(const view *v, const dcnv4i_region *whole, int number, dcnv4i_region panel) {
    const gaze *g = &v->gazes[number];
    const double far = reach(v, g), unit = (panel.width < panel.height ? panel.width : panel.height) / (2 * far);
    panel.unit_x = panel.unit_y = unit;
    panel.x0 = g->x - panel.width / unit / 2, panel.y0 = g->y - panel.height / unit / 2;
    const dcnv4i_color white = dcnv4i_color_of(0xffffff);
    char words[48];
    snprintf(words, sizeof words, "%" PRId64 ", %" PRId64, v->plot->pixels[number][0], v->plot->pixels[number][1]);
    dcnv4i_canvas_clip(v->canvas, panel.left, panel.top, panel.width, panel.height);
    dcnv4i_draw_rectangle(v->canvas, panel.left, panel.top, panel.width, panel.height, dcnv4i_color_of(0xd5dade), 1);
    dcnv4i_region_paint(v->canvas, &panel, v->picture, v->plot->problem->width, v->plot->problem->height);
    for (double x = ceil(panel.x0 - 0.5) + 0.5; dcnv4i_region_x(&panel, x) < panel.left + panel.width; ++x)
        dcnv4i_draw_line(v->canvas, dcnv4i_region_x(&panel, x), panel.top, dcnv4i_region_x(&panel, x),
                         panel.top + panel.height, 1, white, 0.16);
    for (double y = ceil(panel.y0 - 0.5) + 0.5; dcnv4i_region_y(&panel, y) < panel.top + panel.height; ++y)
        dcnv4i_draw_line(v->canvas, panel.left, dcnv4i_region_y(&panel, y), panel.left + panel.width,
                         dcnv4i_region_y(&panel, y), 1, white, 0.16);
    draw_points(v, &panel, g, 1, fmin(0.36 * unit, fmax(22, panel.width / 20.0)));
    dcnv4i_mark_label(v->canvas, panel.left + 8, panel.top + 8, words);
    dcnv4i_canvas_clip(v->canvas, whole->left, whole->top, whole->width, whole->height);
    const double left = dcnv4i_region_x(whole, g->x - far), top = dcnv4i_region_y(whole, g->y - far);
    dcnv4i_mark_frame(v->canvas, left, top, 2 * far * whole->unit_x, 2 * far * whole->unit_y, 3.6,
                      dcnv4i_color_of(0x101418));
    dcnv4i_mark_frame(v->canvas, left, top, 2 * far * whole->unit_x, 2 * far * whole->unit_y, 1.6, white);
    /* The label is below the frame, or above it if there is no room below. */
    const double below = top + 2 * far * whole->unit_y + 5, high = DCNV4I_LETTER + 12,
                 wide = dcnv4i_text_width(DCNV4I_LETTER, words) + 12;
    const double label_top = below + high <= whole->top + whole->height ? below : top - 5 - high;
    dcnv4i_mark_label(v->canvas, fmin(fmax(left, whole->left), whole->left + whole->width - wide), label_top, words);
    dcnv4i_canvas_clip(v->canvas, 0, 0, 0, 0);
}

/* The width of the panels' rows and the legend, below the region `whole`. */
static int line_width(const dcnv4i_region *whole) {
    return whole->width < NARROW ? NARROW : whole->width;
}

/* The region of panel number `number` of count, below the region `whole`. */
static dcnv4i_region place_panel(const dcnv4i_region *whole, int number, int count) {
    const int columns = count < COLUMNS ? count : COLUMNS, line = line_width(whole);
    const int width = (line - (columns - 1) * DCNV4I_GAP) / columns;
    const int height = columns == COLUMNS ? width : columns == 2 ? width * 2 / 3 : width * 2 / 5;
    return (dcnv4i_region){.left = whole->left + number % columns * (width + DCNV4I_GAP),
                           .width = width,
                           .height = height,
                           .top = whole->top + whole->height + DCNV4I_GAP + number / columns * (height + DCNV4I_GAP)};
}

/* ---- Legend --------------------------------------------------------------------------------------------------------- */

/* Lays out the legend below y, and returns the y of its last line. */
static double legend(const view *v, dcnv4i_canvas *canvas, int width, double y) {
    char words[96];
    double x = DCNV4I_MARGIN;
    const dcnv4i_color gray = dcnv4i_color_of(0x8a949e);
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_CROSS_MARK, gray, "output pixel");
    for (int64_t group = 0; group < v->plot->problem->groups; ++group) {
        snprintf(words, sizeof words, "group %" PRId64, group);
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_DISC_MARK, dcnv4i_group_color(group), words);
    }
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_DISC_MARK, gray, "weight > 0");
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_RING_MARK, gray, "weight < 0");
    snprintf(words, sizeof words, "area = |weight|, largest %.3g", v->heaviest);
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_NO_MARK, gray, words);
    if (v->outside > 0) {
        snprintf(words, sizeof words, "%" PRId64 " points outside the image", v->outside);
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_NO_MARK, gray, words);
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

static dcnv4i_exit draw_all(view *v, const dcnv4i_region *whole) {
    const double unit = fmin(whole->unit_x, whole->unit_y);
    const int panels = unit < line_width(whole) / (double)MAGNIFY_FROM ? v->plot->pixel_count : 0;
    int below = whole->top + whole->height;
    if (panels > 0) {
        const dcnv4i_region last = place_panel(whole, panels - 1, panels);
        below = last.top + last.height;
    }
    const int width = line_width(whole) + 2 * DCNV4I_MARGIN,
              height = (int)legend(v, NULL, width, below + DCNV4I_MARGIN + DCNV4I_LETTER) + DCNV4I_MARGIN;
    if (!dcnv4i_canvas_create(width, height, dcnv4i_color_of(0xfafafa), v->canvas))
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a picture of %d times %d pixels", width, height);
    dcnv4i_region_paint(v->canvas, whole, v->picture, v->plot->problem->width, v->plot->problem->height);
    draw_points(v, whole, v->gazes, v->plot->pixel_count, fmin(fmax(0.36 * unit, 4), 22));
    for (int i = 0; i < panels; ++i)
        draw_panel(v, whole, i, place_panel(whole, i, panels));
    legend(v, v->canvas, width, below + DCNV4I_MARGIN + DCNV4I_LETTER);
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_plot_draw(const dcnv4i_plot *plot, const dcnv4i_canvas *picture, dcnv4i_canvas *canvas) {
    const int longer = picture->width > picture->height ? picture->width : picture->height;
    const int factor = longer >= WIDE ? 1 : (WIDE + longer / 2) / longer;
    const int64_t room = plot->pixel_count * plot->problem->groups * plot->sizes->points;
    dcnv4i_region whole = {
        DCNV4I_MARGIN, DCNV4I_MARGIN, picture->width * factor, picture->height * factor, -0.5, -0.5, 0, 0};
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
