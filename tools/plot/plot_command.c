/* dcnv4 plot. */
#include "../cli/commands.h"
#include "../output/output_file.h"
#include "../tensors/layer.h"
#include "image_file.h"
#include "plot_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- --at ----------------------------------------------------------------------------------------------------------- */

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

static dcnv4i_exit read_pixels(const dcnv4i_list *at, const dcnv4i_layer *layer, dcnv4i_plot *plot) {
    for (int64_t i = 0; i < at->count; ++i)
        for (const char *text = at->items[i]; *(text += strspn(text, " ;"));) {
            if (plot->pixel_count == DCNV4I_PLOT_PIXELS)
                return dcnv4i_verdict(DCNV4I_REFUSED, "--at names more than %d pixels", DCNV4I_PLOT_PIXELS);
            int64_t *pixel = plot->pixels[plot->pixel_count++];
            if (!read_pixel(&text, pixel))
                return dcnv4i_verdict(DCNV4I_REFUSED,
                                      "--at is \"%s\"; pairs Y,X of whole numbers with spaces between them are "
                                      "needed",
                                      at->items[i]);
            if (pixel[0] >= layer->sizes.output_height || pixel[1] >= layer->sizes.output_width)
                return dcnv4i_verdict(DCNV4I_REFUSED,
                                      "--at %" PRId64 ",%" PRId64 " is outside the output of %" PRId64 "×%" PRId64
                                      " pixels",
                                      pixel[0], pixel[1], layer->sizes.output_height, layer->sizes.output_width);
        }
    if (plot->pixel_count == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--at names no pixel; at least one Y,X is needed");
    return DCNV4I_DONE;
}

/* ---- The background picture ----------------------------------------------------------------------------------------- */

/* The magnitude of value at each pixel of the first image, from dark to light. */
static dcnv4i_exit picture_value(const dcnv4i_layer *layer, dcnv4i_canvas *picture) {
    const int64_t width = layer->problem.width, height = layer->problem.height, channels = layer->sizes.channels;
    const int64_t most = 1 << 24;
    if (width > most / height)
        return dcnv4i_verdict(DCNV4I_REFUSED, "value has %" PRId64 "×%" PRId64 " pixels; at most %" PRId64 " are drawn",
                              height, width, most);
    if (!dcnv4i_canvas_create((int)width, (int)height, dcnv4i_color_of(0), picture))
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %" PRId64 "×%" PRId64 " pixels", height, width);
    const double *value = layer->value;
    double largest = 0;
    for (int draw = 0; draw < 2; ++draw)
        for (int64_t pixel = 0; pixel < width * height; ++pixel) {
            double square = 0;
            for (int64_t c = 0; c < channels; ++c)
                square += value[pixel * channels + c] * value[pixel * channels + c];
            const double size = isfinite(square) ? sqrt(square) : 0;
            largest = fmax(largest, size);
            const float part = (float)(largest > 0 ? size / largest : 0);
            picture->pixels[pixel] = (dcnv4i_color){part * part, part, (0.25f + 0.75f * part)};
        }
    return DCNV4I_DONE;
}

static dcnv4i_exit draw(const dcnv4i_settings *settings, const dcnv4i_layer *layer, dcnv4i_plot *plot) {
    dcnv4i_canvas picture = {.pixels = NULL}, canvas = {.pixels = NULL};
    FILE *file = NULL;
    dcnv4i_exit verdict = read_pixels(&settings->at, layer, plot);
    if (verdict == DCNV4I_DONE)
        verdict = settings->image ? dcnv4i_image_read(settings->image, &picture) : picture_value(layer, &picture);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_plot_draw(plot, &picture, &canvas);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_output_open(settings->output, &file);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_image_write(settings->output, file, &canvas);
    verdict = verdict == DCNV4I_DONE ? dcnv4i_outputs_commit() : verdict;
    dcnv4i_outputs_discard();
    dcnv4i_canvas_free(&picture);
    dcnv4i_canvas_free(&canvas);
    return verdict;
}

static dcnv4i_exit check_output(const dcnv4i_settings *settings) {
    const char *const inputs[] = {settings->value, settings->offset_mask, settings->image};
    dcnv4i_exit verdict = dcnv4i_output_check("--output", settings->output);
    for (int i = 0; i < 3 && verdict == DCNV4I_DONE; ++i)
        if (inputs[i] && dcnv4i_same_file(inputs[i], settings->output))
            verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--output %s is an input, %s; inputs are not written over",
                                     settings->output, inputs[i]);
    return verdict;
}

dcnv4i_exit dcnv4i_plot_command(const dcnv4i_settings *settings) {
    dcnv4i_settings wide = *settings;
    wide.dtype = DCNV4_FLOAT64; /* nothing is computed that would depend on the dtype */
    dcnv4i_layer layer;
    dcnv4i_exit verdict = dcnv4i_image_available();
    if (verdict == DCNV4I_DONE)
        verdict = check_output(settings);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_layer_open(&wide, &layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    if (layer.problem.batch == 0 || layer.problem.height == 0 || layer.problem.width == 0)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s has no pixel (%" PRId64 " images of %" PRId64 "×%" PRId64 ")",
                                 settings->value, layer.problem.batch, layer.problem.height, layer.problem.width);
    dcnv4i_plot plot = {.problem = &layer.problem, .sizes = &layer.sizes, .offset_mask = layer.offset_mask};
    if (verdict == DCNV4I_DONE)
        verdict = draw(settings, &layer, &plot);
    dcnv4i_layer_free(&layer);
    return verdict;
}
