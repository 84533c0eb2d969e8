#include "bench_chart.h"

#include "../output/output_file.h"
#include "../plot/sheet.h"
#include "bench_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 28,
    LABELS = 210, /* at least */
    BARS = 560,
    NOTES = 190,
    BAR = 13,
    BAR_GAP = 3,
    GROUP_GAP = 12,
    HEAD = 104,
    FOOT = 44
};
enum { INK = 0x1f2933, GRAY = 0x7b8794, LIGHT = 0xe4e7eb, FLOOR = 0xd64545 };

static const uint32_t palette[] = {0x2f7ed8, 0xf2a33a, 0x3ba272, 0x9b6dd6, 0xe06c9f, 0x35b5c9, 0x8a9a3b, 0xa0643c};

/* What the length of a bar means. */
typedef enum scale {
    MULTIPLES,     /* the time as a multiple of the floor */
    LOG_MULTIPLES, /* the same, logarithmic from 1 on */
    MILLISECONDS   /* the time itself, where not every record has a floor */
} scale;

typedef struct chart {
    dcnv4i_sheet *sheet;
    const dcnv4i_records *records;
    scale scale;
    double most;
    int labels; /* the width of their column */
    const char *devices[DCNV4I_LIST_MOST];
    int device_count;
} chart;

dcnv4i_exit dcnv4i_chart_check(const char *path) {
    return dcnv4i_sheet_check("--plot", path);
}

/* ---- Layout --------------------------------------------------------------------------------------------------------- */

static bool same_group(const dcnv4i_record *a, const dcnv4i_record *b) {
    char one[96], other[96];
    return a->pass == b->pass &&
           strcmp(dcnv4i_task_words(&a->task, one, sizeof one), dcnv4i_task_words(&b->task, other, sizeof other)) == 0;
}

static bool begins_group(const dcnv4i_records *records, int64_t i) {
    return i == 0 || !same_group(&records->items[i - 1], &records->items[i]);
}

static double length_of(const chart *c, double ms, double floor_ms) {
    return c->scale == MILLISECONDS ? ms : ms / floor_ms;
}

/* The x of the end of a bar of this length. */
static double across(const chart *c, double length) {
    const double part = c->scale == LOG_MULTIPLES ? log(fmax(length, 1)) / log(c->most) : length / c->most;
    return MARGIN + c->labels + BARS * fmin(part, 1);
}

static int device_number(chart *c, const char *device) {
    int number = 0;
    while (number < c->device_count && strcmp(c->devices[number], device) != 0)
        ++number;
    if (number == c->device_count && number < DCNV4I_LIST_MOST)
        c->devices[c->device_count++] = device;
    return number;
}

static void choose_scale(chart *c) {
    double most = 0;
    c->scale = MULTIPLES;
    for (int64_t i = 0; i < c->records->count; ++i)
        if (isnan(c->records->items[i].floor_ms))
            c->scale = MILLISECONDS;
    for (int64_t i = 0; i < c->records->count; ++i)
        most = fmax(most, length_of(c, c->records->items[i].ms.median, c->records->items[i].floor_ms));
    if (c->scale == MULTIPLES && most > 20)
        c->scale = LOG_MULTIPLES;
    c->most = fmax(most * 1.04, c->scale == MILLISECONDS ? 1e-6 : 2);
}

/* "64×56×56 · 4×32  forward" */
static void label_of(const dcnv4i_record *r, char *label, size_t size) {
    char words[96];
    snprintf(label, size, "%s  %s", dcnv4i_task_words(&r->task, words, sizeof words), dcnv4i_pass_word(r->pass));
}

static int label_column(const dcnv4i_records *records) {
    double widest = LABELS;
    for (int64_t i = 0; i < records->count; ++i) {
        char label[128];
        label_of(&records->items[i], label, sizeof label);
        widest = fmax(widest, ceil(dcnv4i_text_width(8, label)) + 16);
    }
    return (int)widest;
}

/* ---- Drawing -------------------------------------------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, so that some eight of them fit. */
static double tick_step(double most) {
    const double power = pow(10, floor(log10(most / 8)));
    return most / 8 <= power       ? power
           : most / 8 <= 2 * power ? 2 * power
           : most / 8 <= 5 * power ? 5 * power
                                   : 10 * power;
}

static void draw_tick(const chart *c, double at, double top, double bottom) {
    char words[32];
    snprintf(words, sizeof words, "%.4g", at);
    dcnv4i_sheet_line(c->sheet, across(c, at), top, across(c, at), bottom, 1, LIGHT);
    dcnv4i_sheet_text(c->sheet, across(c, at), bottom + 16, 8, DCNV4I_MIDDLE, GRAY, words);
}

static void draw_axis(const chart *c, double top, double bottom) {
    static const double factors[] = {1, 2, 5};
    if (c->scale == LOG_MULTIPLES)
        for (double power = 1; power <= c->most; power *= 10)
            for (int i = 0; i < 3 && power * factors[i] <= c->most; ++i)
                draw_tick(c, power * factors[i], top, bottom);
    else
        for (double at = 0; at <= c->most; at += tick_step(c->most))
            draw_tick(c, at, top, bottom);
    dcnv4i_sheet_text(c->sheet, MARGIN + c->labels + BARS, bottom + 34, 8, DCNV4I_RIGHT, GRAY,
                      c->scale == MILLISECONDS ? "milliseconds" : "times the floor");
}

static void draw_bar(chart *c, const dcnv4i_record *r, double y) {
    char words[96];
    const double zero = across(c, 0), end = across(c, length_of(c, r->ms.median, r->floor_ms));
    dcnv4i_sheet_rectangle(c->sheet, zero, y, fmax(end - zero, 1), BAR,
                           palette[device_number(c, r->device) % (int)(sizeof palette / sizeof *palette)]);
    dcnv4i_sheet_line(c->sheet, across(c, length_of(c, r->ms.min, r->floor_ms)), y + BAR / 2.0,
                      across(c, length_of(c, r->ms.max, r->floor_ms)), y + BAR / 2.0, 1.4, INK);
    if (c->scale == MILLISECONDS && !isnan(r->floor_ms))
        dcnv4i_sheet_line(c->sheet, across(c, r->floor_ms), y - 1, across(c, r->floor_ms), y + BAR + 1, 2, FLOOR);
    if (isnan(r->floor_ms))
        snprintf(words, sizeof words, "%.3g ms", r->ms.median);
    else
        snprintf(words, sizeof words, "%.3g ms, floor %.3g ms", r->ms.median, r->floor_ms);
    dcnv4i_sheet_text(c->sheet, MARGIN + c->labels + BARS + 10, y + BAR - 2.5, 8, DCNV4I_LEFT, INK, words);
}

static void draw_head(const chart *c, int width) {
    char words[256], name[160];
    snprintf(words, sizeof words, "dcnv4 %s on %s, %s", dcnv4_version(), dcnv4i_processor_name(name, sizeof name),
             dcnv4i_dtype_word(c->records->items[0].task.dtype));
    dcnv4i_sheet_text(c->sheet, MARGIN, 42, 12, DCNV4I_LEFT, INK, words);
    dcnv4i_sheet_text(c->sheet, width - MARGIN, 42, 8, DCNV4I_RIGHT, GRAY, "bar: median; line: least to most");
    double x = MARGIN;
    for (int i = 0; i < c->device_count; ++i) {
        dcnv4i_sheet_rectangle(c->sheet, x, 64, 12, 12, palette[i % (int)(sizeof palette / sizeof *palette)]);
        dcnv4i_sheet_text(c->sheet, x + 18, 74, 9, DCNV4I_LEFT, INK, c->devices[i]);
        x += 18 + dcnv4i_text_width(9, c->devices[i]) + 24;
    }
    dcnv4i_sheet_line(c->sheet, x, 70, x + 14, 70, 2, FLOOR);
    dcnv4i_sheet_text(c->sheet, x + 20, 74, 9, DCNV4I_LEFT, INK, "floor: nothing can be faster");
}

static void draw(chart *c, int width, int height) {
    const double bottom = height - FOOT;
    double y = HEAD;
    draw_axis(c, HEAD - 8, bottom);
    for (int64_t i = 0; i < c->records->count; ++i) {
        const dcnv4i_record *r = &c->records->items[i];
        if (begins_group(c->records, i)) {
            char label[128];
            y += i ? GROUP_GAP : 0;
            label_of(r, label, sizeof label);
            dcnv4i_sheet_text(c->sheet, MARGIN + c->labels - 12, y + BAR - 2.5, 8, DCNV4I_RIGHT, INK, label);
        }
        draw_bar(c, r, y);
        y += BAR + BAR_GAP;
    }
    if (c->scale != MILLISECONDS)
        dcnv4i_sheet_line(c->sheet, across(c, 1), HEAD - 8, across(c, 1), bottom, 2, FLOOR);
    draw_head(c, width);
}

dcnv4i_exit dcnv4i_chart_write(const char *path, const dcnv4i_records *records) {
    FILE *file;
    dcnv4i_sheet sheet;
    chart c = {.sheet = &sheet, .records = records};
    c.labels = label_column(records);
    const int width = 2 * MARGIN + c.labels + BARS + NOTES;
    int height = HEAD + FOOT;
    choose_scale(&c);
    for (int64_t i = 0; i < records->count; ++i) {
        device_number(&c, records->items[i].device);
        height += BAR + BAR_GAP + (begins_group(records, i) ? GROUP_GAP : 0);
    }
    dcnv4i_exit verdict = dcnv4i_output_open(path, &file);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_sheet_open(path, file, width, height, &sheet);
    if (verdict != DCNV4I_DONE)
        return verdict;
    draw(&c, width, height);
    return dcnv4i_sheet_close(path, file, &sheet);
}
