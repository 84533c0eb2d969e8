/* The image that points sample, as it is stored. */
#ifndef DCNV4I_CPU_IMAGE_H
#define DCNV4I_CPU_IMAGE_H

#include "../rows.h"

typedef struct dcnv4i_image {
    int64_t width, height;
    int64_t depth;  /* D: channels that are sampled at the same points */
    int64_t stride; /* elements from one pixel to the next */
    int64_t item;   /* bytes of an element */
    dcnv4i_copy_rows *read;
} dcnv4i_image;

#endif
