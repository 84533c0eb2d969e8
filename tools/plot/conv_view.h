/* The picture of where output pixels sample value. */
#ifndef DCNV4I_CONV_VIEW_H
#define DCNV4I_CONV_VIEW_H

#include "plotters.h"

typedef struct dcnv4i_plot {
    const dcnv4_problem *problem;
    const dcnv4_sizes *sizes;
    const double *offset_mask;             /* [N, Ho, Wo, P] */
    int64_t pixels[DCNV4I_PLOT_PIXELS][2]; /* y, x of the pixels to draw, in the first image */
    int pixel_count;
} dcnv4i_plot;

/* Draws plot->pixels over the enlarged picture, which shows the same view as value, with a legend below. */
dcnv4i_exit dcnv4i_plot_draw(const dcnv4i_plot *plot, const dcnv4i_canvas *picture, dcnv4i_canvas *canvas);

#endif
