/* Looking at OpenCL from a child process: a damaged driver can end the process that loads it. */
#ifndef DCNV4I_OPENCL_PROBE_H
#define DCNV4I_OPENCL_PROBE_H

#include "opencl_devices.h"

/* What the child saw; the same for the life of the process. */
typedef struct dcnv4i_opencl_view {
    int count;        /* devices; 0 with a reason */
    char reason[256]; /* why there is none */
    bool gpu;         /* one of them is a GPU */
    bool deadly;      /* it did not come back: whoever loads the driver may not either */
    dcnv4_device_info info[DCNV4I_OPENCL_MOST_DEVICES];
} dcnv4i_opencl_view;

const dcnv4i_opencl_view *dcnv4i_opencl_look(void);

#endif
