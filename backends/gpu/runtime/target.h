/* Targets: kinds of devices by their compilers' names, and what all devices of a kind share. One table serves the
 * devices of this machine and those that kernels are only compiled for. */
#ifndef DCNV4I_TARGET_H
#define DCNV4I_TARGET_H

#include "driver.h"

/* Limits of a multiprocessor (CUDA), or of a compute unit or a pair of them (HIP). Each has four register files. */
typedef struct dcnv4i_target {
    const char *backend; /* "cuda" or "hip" */
    const char *name;    /* "sm_90", "sm_90a", "gfx942", "gfx11-generic" */
    const char *like;  /* the target for which compilers make the same code of the kernels, or nearly; NULL for none */
    int32_t number;    /* cuda: ten times the compute capability */
    int32_t since;     /* the first version of NVRTC or hipRTC that knows it, 100 · major + minor; 0: NVRTC lists it */
    int32_t wave;      /* lanes of a wave (CUDA: warp) */
    int32_t waves;     /* maximum resident waves per register file */
    int32_t registers; /* per lane, in a register file */
    int32_t granule;   /* registers are allocated in multiples of it */
    int32_t groups;    /* maximum resident work-groups */
    int32_t local;     /* KiB of local memory */
    int32_t local_taken; /* bytes of it reserved per work-group on top of its own */
} dcnv4i_target;

/* NULL if there is none of that name. */
const dcnv4i_target *dcnv4i_target_find(const char *backend, const char *name);

/* The target after this one of the same backend, in the table's order; the first after NULL; NULL after the last. */
const dcnv4i_target *dcnv4i_target_next(const char *backend, const dcnv4i_target *before);

/* Limits that hold on all devices of a backend, so that a kernel compiled without a device is the one that the device
 * needs. units is 1. */
dcnv4i_limits dcnv4i_target_limits(const char *backend);

/* The share of a multiprocessor's lanes, at most 1, that are in use when it is full of such work-groups. */
double dcnv4i_target_occupancy(const dcnv4i_target *target, int64_t work_group, int64_t registers,
                               int64_t local_memory);

#endif
