/* Pictures in PNG files, by libpng where the command was built with it. */
#ifndef DCNV4I_IMAGE_FILE_H
#define DCNV4I_IMAGE_FILE_H

#include "../output/verdict.h"
#include "canvas.h"

#include <stdio.h>

/* DCNV4I_DONE, or a verdict that says what is missing. */
dcnv4i_exit dcnv4i_image_available(void);

/* Reads a PNG of any kind as RGB; transparent pixels are blended with white. */
dcnv4i_exit dcnv4i_image_read(const char *path, dcnv4i_canvas *canvas);

/* Writes a picture to an open file. */
dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas);

#endif
