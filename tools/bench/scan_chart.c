#include "scan_chart.h"

#include "../output/output_file.h"
#include "../plot/sheet.h"
#include "bench_report.h"
#include "bench_run.h"

#include <math.h>
#include <string.h>

enum {
    MARGIN = 28,
    HEAD = 84,
    COLUMNS = 3,
    PANEL = 400, /* the width of a panel with its scale, */
    SCALE = 46,  /* of the scale, */
    HIGH = 150,  /* and the height of its inside; above and below it: */
    TITLE = 34,
    VALUES = 40,
    LINES_MOST = 8
};
enum { INK = 0x1f2933, GRAY = 0x7b8794, LIGHT = 0xe4e7eb, CLIFF = 0xd64545 };

static const uint32_t palette[LINES_MOST] = {0x2f7ed8, 0xf2a33a, 0x3ba272, 0x9b6dd6,
                                             0xe06c9f, 0x35b5c9, 0x8a9a3b, 0xa0643c};

/* A device and pass, which has a colour. */
typedef struct curve {
    const char *device;
    dcnv4_pass pass;
} curve;

typedef struct chart {
    dcnv4i_sheet *sheet;
    const dcnv4i_scan_records *records;
    curve curves[LINES_MOST];
    int curve_count;
} chart;

/* The records of an axis, first to end − 1, and where they are drawn. */
typedef struct panel {
    int64_t first, end;
    dcnv4i_scan_axis axis;
    double left, top;   /* of the inside */
    double least, most; /* of the scale, which is logarithmic */
} panel;

/* ---- Layout --------------------------------------------------------------------------------------------------------- */

static int64_t end_of_axis(const dcnv4i_scan_records *records, int64_t first) {
    int64_t end = first;
    while (end < records->count && records->items[end].item.axis == records->items[first].item.axis)
        ++end;
    return end;
}

static int panel_count(const dcnv4i_scan_records *records) {
    int count = 0;
    for (int64_t i = 0; i < records->count; i = end_of_axis(records, i))
        ++count;
    return count;
}

/* The curve of a record; those past the last colour share it. */
static int curve_of(chart *c, const dcnv4i_scan_record *r) {
    int number = 0;
    while (number < c->curve_count &&
           (c->curves[number].pass != r->pass || strcmp(c->curves[number].device, r->device) != 0))
        ++number;
    if (number < c->curve_count)
        return number;
    if (number == LINES_MOST)
        return LINES_MOST - 1;
    c->curves[c->curve_count++] = (curve){r->device, r->pass};
    return number;
}

static panel lay_out(const chart *c, int number, int64_t first) {
    panel p = {.first = first, .end = end_of_axis(c->records, first), .least = INFINITY};
    p.axis = dcnv4i_scan_axis_here(c->records->items[first].item.axis);
    const int column = number % COLUMNS, row = number / COLUMNS;
    p.left = MARGIN + column * PANEL + SCALE;
    p.top = HEAD + row * (TITLE + HIGH + VALUES) + TITLE;
    for (int64_t i = first; i < p.end; ++i) {
        p.least = fmin(p.least, c->records->items[i].ns);
        p.most = fmax(p.most, c->records->items[i].ns);
    }
    p.least /= 1.15;
    p.most = fmax(p.most * 1.6, p.least * 4);
    return p;
}

static double across(const panel *p, double value) {
    int at = 0;
    while (at < p->axis.count - 1 && p->axis.values[at] != value)
        ++at;
    return p->left + (at + 0.5) * (PANEL - SCALE - 16) / p->axis.count;
}

static double down(const panel *p, double ns) {
    return p->top + HIGH * (1 - log(ns / p->least) / log(p->most / p->least));
}

/* ---- Drawing -------------------------------------------------------------------------------------------------------- */

static void draw_scale(const chart *c, const panel *p) {
    static const double factors[] = {1, 2, 5};
    char words[32];
    const bool wide = p->most / p->least > 100;
    for (double power = pow(10, floor(log10(p->least))); power <= p->most; power *= 10)
        for (int i = 0; i < (wide ? 1 : 3); ++i) {
            const double at = power * factors[i];
            if (at < p->least || at > p->most)
                continue;
            snprintf(words, sizeof words, "%g", at);
            dcnv4i_sheet_line(c->sheet, p->left, down(p, at), p->left + PANEL - SCALE - 16, down(p, at), 1, LIGHT);
            dcnv4i_sheet_text(c->sheet, p->left - 6, down(p, at) + 3, 7, DCNV4I_RIGHT, GRAY, words);
        }
}

/* Every second value is lower than the others, so that there is room. */
static void draw_values(const chart *c, const panel *p) {
    char words[32];
    for (int i = 0; i < p->axis.count; ++i)
        dcnv4i_sheet_text(c->sheet, across(p, p->axis.values[i]), p->top + HIGH + 12 + i % 2 * 11, 6.5, DCNV4I_MIDDLE,
                          GRAY, dcnv4i_scan_value_words(&p->axis, p->axis.values[i], words, sizeof words));
}

static void draw_dot(const chart *c, const panel *p, const dcnv4i_scan_record *r, uint32_t color) {
    char words[32];
    const double x = across(p, r->value), y = down(p, r->ns);
    const double size = r->mark == DCNV4I_SCAN_CLIFF ? 8 : 4;
    dcnv4i_sheet_rectangle(c->sheet, x - size / 2, y - size / 2, size, size,
                           r->mark == DCNV4I_SCAN_CLIFF ? (uint32_t)CLIFF : color);
    if (r->mark != DCNV4I_SCAN_CLIFF)
        return;
    snprintf(words, sizeof words, "%.1f", r->of_neighbours);
    dcnv4i_sheet_text(c->sheet, x, y - 8, 7, DCNV4I_MIDDLE, CLIFF, words);
}

static void draw_panel(chart *c, const panel *p) {
    char title[160];
    const dcnv4i_scan_record *const items = c->records->items;
    snprintf(title, sizeof title, "%s %s: %s", dcnv4i_scan_operator_word(&items[p->first].item), p->axis.name,
             p->axis.help);
    dcnv4i_sheet_text(c->sheet, p->left, p->top - 8, 7.5, DCNV4I_LEFT, INK, title);
    draw_scale(c, p);
    draw_values(c, p);
    for (int64_t i = p->first + 1; i < p->end; ++i)
        if (curve_of(c, &items[i]) == curve_of(c, &items[i - 1]))
            dcnv4i_sheet_line(c->sheet, across(p, items[i - 1].value), down(p, items[i - 1].ns),
                              across(p, items[i].value), down(p, items[i].ns), 1.6, palette[curve_of(c, &items[i])]);
    for (int64_t i = p->first; i < p->end; ++i)
        draw_dot(c, p, &items[i], palette[curve_of(c, &items[i])]);
}

static void draw_head(const chart *c, int width) {
    char words[256], name[160];
    double x = MARGIN;
    snprintf(words, sizeof words, "dcnv4 %s on %s", dcnv4_version(), dcnv4i_processor_name(name, sizeof name));
    dcnv4i_sheet_text(c->sheet, MARGIN, 36, 12, DCNV4I_LEFT, INK, words);
    dcnv4i_sheet_text(c->sheet, width - MARGIN, 36, 8, DCNV4I_RIGHT, GRAY,
                      "processor nanoseconds per point and channel");
    for (int i = 0; i < c->curve_count; ++i) {
        snprintf(words, sizeof words, "%s %s", c->curves[i].device, dcnv4i_pass_word(c->curves[i].pass));
        dcnv4i_sheet_rectangle(c->sheet, x, 54, 12, 12, palette[i]);
        dcnv4i_sheet_text(c->sheet, x + 18, 64, 9, DCNV4I_LEFT, INK, words);
        x += 18 + dcnv4i_text_width(9, words) + 24;
    }
    dcnv4i_sheet_rectangle(c->sheet, x, 56, 8, 8, CLIFF);
    dcnv4i_sheet_text(c->sheet, x + 14, 64, 9, DCNV4I_LEFT, INK, "cliff: times the faster one next to it");
}

dcnv4i_exit dcnv4i_scan_chart_write(const char *path, const dcnv4i_scan_records *records) {
    FILE *file;
    dcnv4i_sheet sheet;
    chart c = {.sheet = &sheet, .records = records};
    const int panels = panel_count(records), rows = (panels + COLUMNS - 1) / COLUMNS;
    const int width = 2 * MARGIN + COLUMNS * PANEL, height = HEAD + rows * (TITLE + HIGH + VALUES) + MARGIN;
    int number = 0;
    dcnv4i_exit verdict = dcnv4i_output_open(path, &file);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_sheet_open(path, file, width, height, &sheet);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int64_t i = 0; i < records->count; i = end_of_axis(records, i)) {
        const panel p = lay_out(&c, number++, i);
        draw_panel(&c, &p);
    }
    draw_head(&c, width);
    return dcnv4i_sheet_close(path, file, &sheet);
}
