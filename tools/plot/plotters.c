#include "plotters.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Reads "Y,X" at *text and moves past it. */
static bool read_pixel(const char **text, int64_t pixel[2]) {
    for (int i = 0; i < 2; ++i) {
        const char *first = *text;
        for (pixel[i] = 0; **text >= '0' && **text <= '9' && pixel[i] < INT32_MAX; ++*text)
            pixel[i] = pixel[i] * 10 + (**text - '0');
        if (*text == first || (i == 0 && *(*text)++ != ','))
            return false;
    }
    return **text == '\0' || **text == ' ' || **text == ';';
}

dcnv4i_exit dcnv4i_plot_pixels(const dcnv4i_list *at, int64_t pixels[DCNV4I_PLOT_PIXELS][2], int *count) {
    *count = 0;
    for (int64_t i = 0; i < at->count; ++i)
        for (const char *text = at->items[i]; *(text += strspn(text, " ;"));) {
            if (*count == DCNV4I_PLOT_PIXELS)
                return dcnv4i_verdict(DCNV4I_REFUSED, "--at names more than %d pixels", DCNV4I_PLOT_PIXELS);
            if (!read_pixel(&text, pixels[(*count)++]))
                return dcnv4i_verdict(DCNV4I_REFUSED,
                                      "--at is \"%s\"; pairs Y,X of whole numbers with spaces between them are "
                                      "needed",
                                      at->items[i]);
        }
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_plot_magnitude(const double *rows, int64_t channels, int64_t height, int64_t width,
                                  dcnv4i_canvas *picture) {
    const int64_t most = 1 << 24;
    if (width > most / height)
        return dcnv4i_verdict(DCNV4I_REFUSED, "value has %" PRId64 "×%" PRId64 " pixels; at most %" PRId64 " are drawn",
                              height, width, most);
    if (!dcnv4i_canvas_create((int)width, (int)height, dcnv4i_color_of(0), picture))
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 "×%" PRId64 " pixels", height, width);
    double largest = 0;
    for (int draw = 0; draw < 2; ++draw)
        for (int64_t pixel = 0; pixel < width * height; ++pixel) {
            double square = 0;
            for (int64_t c = 0; c < channels; ++c)
                square += rows[pixel * channels + c] * rows[pixel * channels + c];
            const double size = isfinite(square) ? sqrt(square) : 0;
            largest = fmax(largest, size);
            const float part = (float)(largest > 0 ? size / largest : 0);
            picture->pixels[pixel] = (dcnv4i_color){part * part, part, (0.25f + 0.75f * part)};
        }
    return DCNV4I_DONE;
}
