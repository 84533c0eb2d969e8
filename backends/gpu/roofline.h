/* Runs what bounds a pass instead of the pass. */
#ifndef DCNV4I_GPU_FLOOR_H
#define DCNV4I_GPU_FLOOR_H

#include "gpu.h"

/* As dcnv4_floor_run; the kernels, which depend on the dtype alone, are made ready by the first call. */
dcnv4_status dcnv4i_floor_start(dcnv4i_gpu *gpu, const dcnv4i_problem *problem, dcnv4_pass pass, dcnv4_floor floor,
                                const dcnv4_buffers *buffers, void *stream);

#endif
