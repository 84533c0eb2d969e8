#include "image_file.h"

#ifdef DCNV4_HAVE_PNG

#include "../system/system.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS_MOST = 1 << 26 }; /* a small file can claim to be a picture that fills the memory */

dcnv4i_exit dcnv4i_image_available(void) {
    return DCNV4I_DONE;
}

static dcnv4i_exit decode(const char *path, png_image *image, dcnv4i_canvas *canvas) {
    if ((uint64_t)image->width * image->height > PIXELS_MOST)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is a picture of %u times %u pixels; at most %d are drawn over", path,
                              (unsigned)image->width, (unsigned)image->height, PIXELS_MOST);
    image->format = PNG_FORMAT_RGB;
    const size_t count = (size_t)image->width * image->height;
    png_bytep bytes = malloc(3 * count + 1);
    const png_color white = {255, 255, 255};
    dcnv4i_exit verdict = DCNV4I_DONE;
    if (!bytes || !dcnv4i_canvas_create((int)image->width, (int)image->height, (dcnv4i_color){1, 1, 1}, canvas))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu pixels", path, count);
    else if (!png_image_finish_read(image, &white, bytes, 0, NULL))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s is a damaged PNG file: %s", path, image->message);
    for (size_t i = 0; i < count && verdict == DCNV4I_DONE; ++i)
        canvas->pixels[i] = (dcnv4i_color){(float)bytes[3 * i] / 255, (float)bytes[3 * i + 1] / 255,
                                           (float)bytes[3 * i + 2] / 255};
    if (verdict != DCNV4I_DONE)
        dcnv4i_canvas_free(canvas);
    free(bytes);
    return verdict;
}

dcnv4i_exit dcnv4i_image_read(const char *path, dcnv4i_canvas *canvas) {
    *canvas = (dcnv4i_canvas){.pixels = NULL};
    dcnv4i_entry entry;
    FILE *const file = dcnv4i_regular_open(path, &entry);
    if (!file && entry.kind)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; a PNG file is needed", path, entry.kind);
    if (!file)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s", path, strerror(errno));
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    dcnv4i_exit verdict = DCNV4I_DONE;
    if (png_image_begin_read_from_stdio(&image, file))
        verdict = decode(path, &image, canvas);
    else
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s is not a PNG file: %s", path, image.message);
    png_image_free(&image);
    fclose(file);
    return verdict;
}

static png_byte to_byte(float part) {
    return (png_byte)(255 * (part < 0 ? 0 : part > 1 ? 1 : part) + 0.5f);
}

dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas) {
    const size_t count = (size_t)canvas->width * (size_t)canvas->height;
    png_bytep bytes = malloc(3 * count + 1);
    if (!bytes)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu pixels", path, count);
    for (size_t i = 0; i < count; ++i) {
        bytes[3 * i] = to_byte(canvas->pixels[i].red);
        bytes[3 * i + 1] = to_byte(canvas->pixels[i].green);
        bytes[3 * i + 2] = to_byte(canvas->pixels[i].blue);
    }
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.format = PNG_FORMAT_RGB;
    image.width = (png_uint_32)canvas->width, image.height = (png_uint_32)canvas->height;
    dcnv4i_exit verdict = DCNV4I_DONE;
    errno = 0;
    if (!png_image_write_to_stdio(&image, file, 0, bytes, 0, NULL))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", path,
                                 errno ? strerror(errno) : image.message);
    png_image_free(&image);
    free(bytes);
    return verdict;
}

#else

dcnv4i_exit dcnv4i_image_available(void) {
    return dcnv4i_verdict(DCNV4I_MISSING,
                          "this dcnv4 was built without libpng, which pictures need (Debian: libpng-dev)");
}

dcnv4i_exit dcnv4i_image_read(const char *path, dcnv4i_canvas *canvas) {
    (void)path, (void)canvas;
    return dcnv4i_image_available();
}

dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas) {
    (void)path, (void)file, (void)canvas;
    return dcnv4i_image_available();
}

#endif
