/* A page to draw a chart on, which becomes a PNG or an SVG file. */
#ifndef DCNV4I_SHEET_H
#define DCNV4I_SHEET_H

#include "../output/verdict.h"
#include "canvas.h"

#include <stdio.h>

typedef struct dcnv4i_sheet {
    FILE *svg;            /* or */
    dcnv4i_canvas canvas; /* at twice the page's resolution */
} dcnv4i_sheet;

typedef enum dcnv4i_align { DCNV4I_LEFT, DCNV4I_MIDDLE, DCNV4I_RIGHT } dcnv4i_align;

/* DCNV4I_DONE if pictures with the ending of this path can be made: ".png" where there is libpng, or ".svg". */
dcnv4i_exit dcnv4i_sheet_check(const char *option, const char *path);

/* Opens a white page, to be written to file. */
dcnv4i_exit dcnv4i_sheet_open(const char *path, FILE *file, int width, int height, dcnv4i_sheet *sheet);

void dcnv4i_sheet_rectangle(dcnv4i_sheet *sheet, double x, double y, double width, double height, uint32_t rgb);
void dcnv4i_sheet_line(dcnv4i_sheet *sheet, double x0, double y0, double x1, double y1, double thickness, uint32_t rgb);

/* Text whose capitals are `size` high, with its baseline at y. */
void dcnv4i_sheet_text(dcnv4i_sheet *sheet, double x, double y, double size, dcnv4i_align align, uint32_t rgb,
                       const char *text);

/* Writes the sheet and frees it, also after a failure. */
dcnv4i_exit dcnv4i_sheet_close(const char *path, FILE *file, dcnv4i_sheet *sheet);

#endif
