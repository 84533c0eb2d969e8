/* The resources that a compiled kernel uses, read from NVIDIA's cubins and AMD's code objects, which are ELF files. */
#ifndef DCNV4I_RESOURCES_H
#define DCNV4I_RESOURCES_H

#include "driver.h"

typedef struct dcnv4i_resources {
    bool known;
    int32_t work_group;   /* maximum work-items that it was compiled for */
    int32_t registers;    /* per work-item */
    int64_t local_memory; /* bytes per work-group */
    int64_t spill;        /* bytes per work-item that spill to memory */
} dcnv4i_resources;

/* Of the kernel with this name. Accepts any bytes; `known` is false if they do not tell. */
dcnv4i_resources dcnv4i_resources_of(const dcnv4i_binary *binary, const char *kernel);

#endif
