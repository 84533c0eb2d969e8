#include "image_file.h"

#include "../system/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned char to_byte(float part) {
    return (unsigned char)(255 * (part < 0 ? 0 : part > 1 ? 1 : part) + 0.5f);
}

static void put_pixel(dcnv4i_color color, unsigned char bytes[3]) {
    bytes[0] = to_byte(color.red), bytes[1] = to_byte(color.green), bytes[2] = to_byte(color.blue);
}

#ifdef DCNV4_HAVE_PNG

#include <png.h>

enum { PIXELS_MOST = 1 << 26 }; /* a small file can claim to be a picture that fills the memory */

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

dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas) {
    const size_t count = (size_t)canvas->width * (size_t)canvas->height;
    png_bytep bytes = malloc(3 * count + 1);
    if (!bytes)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu pixels", path, count);
    for (size_t i = 0; i < count; ++i)
        put_pixel(canvas->pixels[i], bytes + 3 * i);
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

#else /* pictures are written without compression, and not read */

dcnv4i_exit dcnv4i_image_read(const char *path, dcnv4i_canvas *canvas) {
    (void)canvas;
    return dcnv4i_verdict(DCNV4I_MISSING, "%s cannot be read: this dcnv4 was built without libpng (Debian: libpng-dev)",
                          path);
}

enum { BLOCK_MOST = 65535 }; /* bytes of a block of deflate that is not compressed */

static unsigned char *put_number(unsigned char *at, uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (unsigned char)(number >> shift);
    return at;
}

static uint32_t add_crc(uint32_t crc, const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return crc;
}

static void write_chunk(FILE *file, const char *kind, const unsigned char *bytes, size_t count) {
    unsigned char number[4];
    const unsigned char *const word = (const unsigned char *)kind;
    put_number(number, (uint32_t)count);
    fwrite(number, 1, 4, file);
    fwrite(kind, 1, 4, file);
    fwrite(bytes, 1, count, file);
    put_number(number, ~add_crc(add_crc(UINT32_MAX, word, 4), bytes, count));
    fwrite(number, 1, 4, file);
}

/* zlib's form: a header, blocks, and the checksum Adler-32. */
static void write_data(FILE *file, const unsigned char *bytes, size_t count) {
    static unsigned char block[BLOCK_MOST + 11];
    uint32_t low = 1, high = 0;
    for (size_t done = 0; done < count;) {
        const size_t length = count - done < BLOCK_MOST ? count - done : BLOCK_MOST;
        const bool last = done + length == count;
        unsigned char *at = block;
        if (done == 0)
            *at++ = 0x78, *at++ = 0x01;
        *at++ = last;
        *at++ = (unsigned char)length, *at++ = (unsigned char)(length >> 8);
        *at++ = (unsigned char)~length, *at++ = (unsigned char)(~length >> 8);
        for (size_t i = 0; i < length; ++i) {
            *at++ = bytes[done + i];
            low = (low + bytes[done + i]) % 65521, high = (high + low) % 65521;
        }
        if (last)
            at = put_number(at, high << 16 | low);
        write_chunk(file, "IDAT", block, (size_t)(at - block));
        done += length;
    }
}

dcnv4i_exit dcnv4i_image_write(const char *path, FILE *file, const dcnv4i_canvas *canvas) {
    const size_t width = (size_t)canvas->width, height = (size_t)canvas->height, row = 3 * width + 1;
    unsigned char *const bytes = calloc(height, row); /* each row begins with 0: it is not filtered */
    if (!bytes)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu pixels", path, width * height);
    for (size_t y = 0; y < height; ++y)
        for (size_t x = 0; x < width; ++x)
            put_pixel(canvas->pixels[y * width + x], bytes + y * row + 1 + 3 * x);
    unsigned char header[13] = {0};
    unsigned char *const at = put_number(put_number(header, (uint32_t)width), (uint32_t)height);
    at[0] = 8, at[1] = 2; /* 8 bits of red, green and blue */
    errno = 0;
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    write_chunk(file, "IHDR", header, sizeof header);
    write_data(file, bytes, height * row);
    write_chunk(file, "IEND", header, 0);
    free(bytes);
    if (ferror(file))
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", path, strerror(errno ? errno : EIO));
    return DCNV4I_DONE;
}

#endif
