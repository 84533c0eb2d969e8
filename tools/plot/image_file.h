/* Pictures in PNG files. Without libpng they are written without compression, and none is read. */
#ifndef DCNV4I_IMAGE_FILE_H
#define DCNV4I_IMAGE_FILE_H

#include "../output/verdict.h"
#include "canvas.h"

#include <stdio.h>

/* Reads a PNG of any kind as RGB; transparent pixels are blended with white. */
dcnv4i_exit dcnv4i_image_read(const char *path, dcnv4i_canvas *canvas);

/* Writes a picture to an open file. */
dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas);

#endif
