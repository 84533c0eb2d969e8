/* How the layer of each operator becomes a picture. */
#ifndef DCNV4I_PLOTTERS_H
#define DCNV4I_PLOTTERS_H

#include "../operators/layer.h"
#include "canvas.h"

/* Draws what the settings ask for of a layer in float64. picture: the image to draw over, without pixels if none is given.
 * The caller frees *canvas, also after a failure. */
typedef dcnv4i_exit dcnv4i_plotter(const dcnv4i_settings *settings, const dcnv4i_layer *layer, dcnv4i_canvas *picture,
                                   dcnv4i_canvas *canvas);

dcnv4i_plotter dcnv4i_plot_deform_conv, dcnv4i_plot_ms_deform_attn;

enum { DCNV4I_PLOT_PIXELS = 64 };

/* The Y,X pairs of --at: *count of them. */
dcnv4i_exit dcnv4i_plot_pixels(const dcnv4i_list *at, int64_t pixels[DCNV4I_PLOT_PIXELS][2], int *count);

/* Makes a picture of height×width pixels that shows how large the channels of each row are, from dark to light. */
dcnv4i_exit dcnv4i_plot_magnitude(const double *rows, int64_t channels, int64_t height, int64_t width,
                                  dcnv4i_canvas *picture);

#endif
