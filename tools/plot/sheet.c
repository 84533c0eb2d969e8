#include "sheet.h"

#include "image_file.h"

#include <string.h>

enum { FINE = 2 };

static int ends_with(const char *path, const char *ending) {
    const size_t length = strlen(path), wanted = strlen(ending);
    return length > wanted && strcmp(path + length - wanted, ending) == 0;
}

dcnv4i_exit dcnv4i_sheet_check(const char *option, const char *path) {
    if (ends_with(path, ".svg"))
        return DCNV4I_DONE;
    if (ends_with(path, ".png"))
        return dcnv4i_image_available();
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; a name that ends in .png or .svg is needed", option, path);
}

dcnv4i_exit dcnv4i_sheet_open(const char *path, FILE *file, int width, int height, dcnv4i_sheet *sheet) {
    *sheet = (dcnv4i_sheet){.svg = NULL};
    if (!ends_with(path, ".svg"))
        return dcnv4i_canvas_create(FINE * width, FINE * height, dcnv4i_color_of(0xffffff), &sheet->canvas)
                   ? DCNV4I_DONE
                   : dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %d times %d pixels", path, FINE * width,
                                    FINE * height);
    sheet->svg = file;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"Helvetica, Arial, sans-serif\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
            width, height, width, height, width, height);
    return DCNV4I_DONE;
}

void dcnv4i_sheet_rectangle(dcnv4i_sheet *sheet, double x, double y, double width, double height, uint32_t rgb) {
    if (sheet->svg)
        fprintf(sheet->svg, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#%06x\"/>\n", x, y,
                width, height, (unsigned)rgb);
    else
        dcnv4i_draw_rectangle(&sheet->canvas, FINE * x, FINE * y, FINE * width, FINE * height, dcnv4i_color_of(rgb), 1);
}

void dcnv4i_sheet_line(dcnv4i_sheet *sheet, double x0, double y0, double x1, double y1, double thickness,
                       uint32_t rgb) {
    if (sheet->svg)
        fprintf(sheet->svg,
                "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke=\"#%06x\" stroke-width=\"%.2f\"/>\n", x0,
                y0, x1, y1, (unsigned)rgb, thickness);
    else
        dcnv4i_draw_line(&sheet->canvas, FINE * x0, FINE * y0, FINE * x1, FINE * y1, FINE * thickness,
                         dcnv4i_color_of(rgb), 1);
}

static void svg_text(FILE *file, const char *text) {
    for (; *text; ++text)
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else
            fputc(*text, file);
}

void dcnv4i_sheet_text(dcnv4i_sheet *sheet, double x, double y, double size, dcnv4i_align align, uint32_t rgb,
                       const char *text) {
    static const char *const anchors[] = {"start", "middle", "end"};
    const double capital = 0.72; /* of the font size, in most fonts */
    if (sheet->svg) {
        fprintf(sheet->svg, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.2f\" text-anchor=\"%s\" fill=\"#%06x\">", x, y,
                size / capital, anchors[align], (unsigned)rgb);
        svg_text(sheet->svg, text);
        fputs("</text>\n", sheet->svg);
        return;
    }
    const double width = dcnv4i_text_width(FINE * size, text);
    dcnv4i_draw_text(&sheet->canvas,
                     FINE * x - (align == DCNV4I_LEFT     ? 0
                                 : align == DCNV4I_MIDDLE ? width / 2
                                                          : width),
                     FINE * y, FINE * size, text, dcnv4i_color_of(rgb));
}

dcnv4i_exit dcnv4i_sheet_close(const char *path, FILE *file, dcnv4i_sheet *sheet) {
    if (sheet->svg) {
        fputs("</svg>\n", sheet->svg);
        return DCNV4I_DONE;
    }
    const dcnv4i_exit verdict = dcnv4i_image_write(path, file, &sheet->canvas);
    dcnv4i_canvas_free(&sheet->canvas);
    return verdict;
}
