/* Pictures of DCNv4: the sampling points of output pixels. */
#include "../operators/conv_task.h"
#include "conv_view.h"
#include "plotters.h"

#include <inttypes.h>

static dcnv4i_exit read_pixels(const dcnv4i_settings *settings, dcnv4i_plot *plot) {
    const dcnv4i_exit verdict = dcnv4i_plot_pixels(&settings->at, plot->pixels, &plot->pixel_count);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int i = 0; i < plot->pixel_count; ++i) {
        const int64_t *const pixel = plot->pixels[i];
        if (pixel[0] >= plot->sizes->output_height || pixel[1] >= plot->sizes->output_width)
            return dcnv4i_verdict(
                DCNV4I_REFUSED, "--at %" PRId64 ",%" PRId64 " is outside the output of %" PRId64 "×%" PRId64 " pixels",
                pixel[0], pixel[1], plot->sizes->output_height, plot->sizes->output_width);
    }
    return plot->pixel_count > 0 ? DCNV4I_DONE
                                 : dcnv4i_verdict(DCNV4I_REFUSED, "--at names no pixel; at least one Y,X is needed");
}

dcnv4i_exit dcnv4i_plot_deform_conv(const dcnv4i_settings *settings, const dcnv4i_layer *layer, dcnv4i_canvas *picture,
                                    dcnv4i_canvas *canvas) {
    const dcnv4_problem p = dcnv4i_conv_of(&layer->task);
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4i_plot plot = {.problem = &p, .sizes = &sizes, .offset_mask = layer->tensors[DCNV4I_CONV_OFFSET_MASK]};
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(&p, &sizes), settings->value);
    if (verdict == DCNV4I_DONE && (p.batch == 0 || p.height == 0 || p.width == 0))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s has no pixel (%" PRId64 " images of %" PRId64 "×%" PRId64 ")",
                                 settings->value, p.batch, p.height, p.width);
    if (verdict == DCNV4I_DONE)
        verdict = read_pixels(settings, &plot);
    if (verdict == DCNV4I_DONE && !picture->pixels)
        verdict = dcnv4i_plot_magnitude(layer->tensors[DCNV4I_CONV_VALUE], sizes.channels, p.height, p.width, picture);
    return verdict == DCNV4I_DONE ? dcnv4i_plot_draw(&plot, picture, canvas) : verdict;
}
