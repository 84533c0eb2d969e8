#include "attn_view.h"

#include "../operators/attn_task.h"
#include "picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDE = 1000, NARROW = 640, COLUMNS = 4 };

typedef struct view {
    const dcnv4i_layer *layer;
    const dcnv4i_attn_look *looks;
    int count;                    /* of looks */
    int64_t dots;                 /* of each */
    const dcnv4i_canvas *picture; /* the enlarged picture is `factor` times as large */
    dcnv4i_canvas *canvas;
    int factor, left, top;
    double heaviest; /* the largest |weight| of a point that counts */
    int64_t outside; /* points that do not count */
    bool negative;   /* some weight is */
} view;

static const dcnv4_msda_level *level_of(const view *v, int level) {
    return &v->layer->task.levels[level];
}

/* A point on the picture, in its pixels; the first one's centre is at 0. */
static double picture_x(const view *v, const dcnv4i_attn_dot *d) {
    return (d->x + 0.5) / (double)level_of(v, d->level)->width * v->picture->width - 0.5;
}

static double picture_y(const view *v, const dcnv4i_attn_dot *d) {
    return (d->y + 0.5) / (double)level_of(v, d->level)->height * v->picture->height - 0.5;
}

static void weigh(view *v) {
    for (int i = 0; i < v->count; ++i)
        for (int64_t k = 0; k < v->dots; ++k) {
            const dcnv4i_attn_dot *const d = &v->looks[i].dots[k];
            v->outside += !d->counts;
            v->heaviest = d->counts ? fmax(v->heaviest, fabs(d->weight)) : v->heaviest;
            v->negative = v->negative || (d->counts && d->weight < 0);
        }
}

/* The larger discs first, so that no disc hides another. */
static int by_weight(const void *one, const void *other) {
    const double a = fabs(((const dcnv4i_attn_dot *)one)->weight), b = fabs(((const dcnv4i_attn_dot *)other)->weight);
    return (a < b) - (a > b);
}

/* ---- Drawing -------------------------------------------------------------------------------------------------------- */

/* Draws a query's points of a level, or of all levels if that is DCNV4I_NONE, in a region of the picture; and where the
 * query is. */
static void draw_look(const view *v, const dcnv4i_attn_look *look, int level, const dcnv4i_region *r, double radius) {
    for (int64_t k = 0; k < v->dots; ++k) {
        const dcnv4i_attn_dot *const d = &look->dots[k];
        if (!d->counts || (level != DCNV4I_NONE && d->level != level))
            continue;
        const double size = v->heaviest > 0 ? radius * sqrt(fabs(d->weight) / v->heaviest) : 0;
        dcnv4i_mark_dot(v->canvas, dcnv4i_region_x(r, picture_x(v, d)), dcnv4i_region_y(r, picture_y(v, d)),
                        fmax(size, 1.5), d->weight >= 0, dcnv4i_group_color(d->head));
    }
    if (isfinite(look->x) && isfinite(look->y))
        dcnv4i_mark_cross(v->canvas, dcnv4i_region_x(r, look->x * v->picture->width - 0.5),
                          dcnv4i_region_y(r, look->y * v->picture->height - 0.5));
}

/* The borders of a level's places. */
static void draw_grid(const view *v, int level, const dcnv4i_region *r) {
    const dcnv4_msda_level *const l = level_of(v, level);
    const double step_x = v->picture->width / (double)l->width, step_y = v->picture->height / (double)l->height;
    const dcnv4i_color white = dcnv4i_color_of(0xffffff);
    for (double i = fmax(0, ceil((r->x0 + 0.5) / step_x)); i <= (double)l->width; ++i) {
        const double x = dcnv4i_region_x(r, i * step_x - 0.5);
        if (x > r->left + r->width)
            break;
        dcnv4i_draw_line(v->canvas, x, r->top, x, r->top + r->height, 1, white, 0.3);
    }
    for (double i = fmax(0, ceil((r->y0 + 0.5) / step_y)); i <= (double)l->height; ++i) {
        const double y = dcnv4i_region_y(r, i * step_y - 0.5);
        if (y > r->top + r->height)
            break;
        dcnv4i_draw_line(v->canvas, r->left, y, r->left + r->width, y, 1, white, 0.3);
    }
}

/* How far a query's points of a level are from it, in pixels of the picture: at least 1.5 places, at most the picture. */
static double reach(const view *v, const dcnv4i_attn_look *look, int level, double x, double y) {
    const dcnv4_msda_level *const l = level_of(v, level);
    const double step = fmax(v->picture->width / (double)l->width, v->picture->height / (double)l->height);
    double far = 1.5 * step;
    for (int64_t k = 0; k < v->dots; ++k)
        if (look->dots[k].counts && look->dots[k].level == level)
            far = fmax(far, fmax(fabs(picture_x(v, &look->dots[k]) - x), fabs(picture_y(v, &look->dots[k]) - y)));
    const double most = v->picture->width > v->picture->height ? v->picture->width : v->picture->height;
    return fmin(1.1 * far + 0.75 * step, most); /* room for the discs */
}

/* A level's part of the picture around a query, in a square panel. */
static void draw_panel(const view *v, const dcnv4i_attn_look *look, int level, dcnv4i_region panel) {
    const dcnv4_msda_level *const l = level_of(v, level);
    const bool somewhere = isfinite(look->x) && isfinite(look->y);
    const double x = (somewhere ? look->x : 0.5) * v->picture->width - 0.5;
    const double y = (somewhere ? look->y : 0.5) * v->picture->height - 0.5;
    char words[96];
    dcnv4i_canvas_clip(v->canvas, panel.left, panel.top, panel.width, panel.height);
    dcnv4i_draw_rectangle(v->canvas, panel.left, panel.top, panel.width, panel.height, dcnv4i_color_of(0xd5dade), 1);
    if (l->height > 0 && l->width > 0) {
        panel.unit_x = panel.unit_y = panel.width / (2 * reach(v, look, level, x, y));
        panel.x0 = x - panel.width / panel.unit_x / 2, panel.y0 = y - panel.height / panel.unit_y / 2;
        const double place = panel.unit_x * v->picture->width / (double)l->width;
        dcnv4i_region_paint(v->canvas, &panel, v->picture, v->picture->width, v->picture->height);
        if (place >= 6)
            draw_grid(v, level, &panel);
        draw_look(v, look, level, &panel, panel.width / 22.0);
    }
    snprintf(words, sizeof words, "query %" PRId64 ", level %d", look->query, level);
    dcnv4i_mark_label(v->canvas, panel.left + 8, panel.top + 8, words);
    snprintf(words, sizeof words, "%" PRId64 "×%" PRId64, l->height, l->width);
    dcnv4i_mark_label(v->canvas, panel.left + 8, panel.top + panel.height - DCNV4I_LETTER - 20, words);
    dcnv4i_canvas_clip(v->canvas, 0, 0, 0, 0);
}

/* ---- Layout --------------------------------------------------------------------------------------------------------- */

static int line_width(const view *v) {
    const int width = v->picture->width * v->factor;
    return width < NARROW ? NARROW : width;
}

/* Panel number `number`: below the picture, a row or more for each query. */
static dcnv4i_region place_panel(const view *v, int look, int level) {
    const int levels = (int)v->layer->task.attn.level_count, columns = levels < COLUMNS ? levels : COLUMNS;
    const int rows = (levels + columns - 1) / columns, row = look * rows + level / columns;
    const int most = (line_width(v) - (COLUMNS - 1) * DCNV4I_GAP) / COLUMNS;
    const int width = columns == COLUMNS ? most : (line_width(v) - (columns - 1) * DCNV4I_GAP) / columns;
    const int side = width > 2 * most ? 2 * most : width;
    return (dcnv4i_region){.left = v->left + level % columns * (side + DCNV4I_GAP),
                           .top = v->top + v->picture->height * v->factor + DCNV4I_GAP + row * (side + DCNV4I_GAP),
                           .width = side,
                           .height = side};
}

/* Lays out the legend below y, and returns the y of its last line. */
static double legend(const view *v, dcnv4i_canvas *canvas, int width, double y) {
    char words[96];
    double x = DCNV4I_MARGIN;
    const dcnv4i_color gray = dcnv4i_color_of(0x8a949e);
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_CROSS_MARK, gray,
                        dcnv4i_attn_reference_numbers(&v->layer->task) > 0 ? "reference of the query"
                                                                           : "middle of the query's points");
    for (int64_t head = 0; head < v->layer->task.attn.heads; ++head) {
        snprintf(words, sizeof words, "head %" PRId64, head);
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_DISC_MARK, dcnv4i_group_color(head), words);
    }
    if (v->negative) {
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_DISC_MARK, gray, "weight > 0");
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_RING_MARK, gray, "weight < 0");
    }
    snprintf(words, sizeof words, "area = |weight|, largest %.3g", v->heaviest);
    dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_NO_MARK, gray, words);
    if (v->outside > 0) {
        snprintf(words, sizeof words, "%" PRId64 " %s outside their level", v->outside,
                 v->outside == 1 ? "point" : "points");
        dcnv4i_legend_entry(canvas, width, &x, &y, DCNV4I_NO_MARK, gray, words);
    }
    return y;
}

/* The picture with all queries, each with its number. */
static void draw_whole(const view *v) {
    dcnv4i_region whole = {
        v->left,   v->top,   v->picture->width * v->factor, v->picture->height * v->factor, -0.5, -0.5,
        v->factor, v->factor};
    dcnv4i_region_paint(v->canvas, &whole, v->picture, v->picture->width, v->picture->height);
    dcnv4i_canvas_clip(v->canvas, whole.left, whole.top, whole.width, whole.height);
    for (int i = 0; i < v->count; ++i)
        draw_look(v, &v->looks[i], DCNV4I_NONE, &whole, 9);
    for (int i = 0; i < v->count; ++i) {
        char words[48];
        snprintf(words, sizeof words, "query %" PRId64, v->looks[i].query);
        const double wide = dcnv4i_text_width(DCNV4I_LETTER, words) + 12, high = DCNV4I_LETTER + 12;
        const double x = dcnv4i_region_x(&whole, v->looks[i].x * v->picture->width - 0.5) + 14;
        const double y = dcnv4i_region_y(&whole, v->looks[i].y * v->picture->height - 0.5) + 14;
        if (isfinite(x) && isfinite(y))
            dcnv4i_mark_label(v->canvas, fmin(fmax(x, whole.left), whole.left + whole.width - wide),
                              fmin(fmax(y, whole.top), whole.top + whole.height - high), words);
    }
    dcnv4i_canvas_clip(v->canvas, 0, 0, 0, 0);
}

dcnv4i_exit dcnv4i_attn_draw_looks(const dcnv4i_layer *layer, const dcnv4i_attn_look *looks, int count,
                                   const dcnv4i_canvas *picture, dcnv4i_canvas *canvas) {
    const int longer = picture->width > picture->height ? picture->width : picture->height;
    const int levels = (int)layer->task.attn.level_count;
    view v = {.layer = layer, .looks = looks, .count = count, .picture = picture, .canvas = canvas};
    v.dots = layer->task.attn.heads * dcnv4i_attn_points(&layer->task);
    v.factor = longer >= WIDE ? 1 : (WIDE + longer / 2) / longer;
    v.left = v.top = DCNV4I_MARGIN;
    weigh(&v);
    for (int i = 0; i < count; ++i)
        qsort(looks[i].dots, (size_t)v.dots, sizeof *looks[i].dots, by_weight);
    const dcnv4i_region last = place_panel(&v, count - 1, levels - 1);
    const int width = line_width(&v) + 2 * DCNV4I_MARGIN;
    const double below = last.top + last.height + DCNV4I_MARGIN + DCNV4I_LETTER;
    const int height = (int)legend(&v, NULL, width, below) + DCNV4I_MARGIN;
    if (!dcnv4i_canvas_create(width, height, dcnv4i_color_of(0xfafafa), canvas))
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a picture of %d times %d pixels", width, height);
    draw_whole(&v);
    for (int i = 0; i < count; ++i)
        for (int level = 0; level < levels; ++level)
            draw_panel(&v, &looks[i], level, place_panel(&v, i, level));
    legend(&v, canvas, width, below);
    return DCNV4I_DONE;
}
