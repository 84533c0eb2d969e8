/* What a compiled kernel takes of a multiprocessor, read from NVIDIA's cubins and AMD's code objects, which are ELF files. */
#ifndef DCNV4I_RESOURCES_H
#define DCNV4I_RESOURCES_H

#include "driver.h"

typedef struct dcnv4i_resources {
    bool known;
    int32_t work_group;   /* work-items that it was compiled for */
    int32_t registers;    /* of a work-item */
    int64_t local_memory; /* bytes of a work-group */
    int64_t spill;        /* bytes of a work-item that lie in memory, where registers were too few */
} dcnv4i_resources;

/* Of the kernel with this name. Any bytes are allowed; what they do not tell is not known. */
dcnv4i_resources dcnv4i_resources_of(const dcnv4i_binary *binary, const char *kernel);

#endif
