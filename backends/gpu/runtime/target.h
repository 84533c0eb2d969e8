/* Kinds of devices by the names that compilers have for them, and what is the same for all of a kind: one table, for
 * devices that are here and for those that kernels are only compiled for. */
#ifndef DCNV4I_TARGET_H
#define DCNV4I_TARGET_H

#include "driver.h"

/* What runs at once on a multiprocessor (CUDA), compute unit or pair of them (HIP). It has four register files. */
typedef struct dcnv4i_target {
    const char *backend; /* "cuda" or "hip" */
    const char *name;    /* "sm_90", "gfx942" */
    int32_t number;      /* cuda: ten times the compute capability */
    int32_t since;       /* hip: the first version of hipRTC that knows it, 100 · major + minor */
    int32_t wave;        /* lanes */
    int32_t waves;       /* most, on each register file */
    int32_t registers;   /* of each lane, in a register file */
    int32_t granule;     /* registers are handed out in multiples of it */
    int32_t groups;      /* most work-groups */
    int32_t local;       /* KiB of local memory */
    int32_t local_taken; /* bytes of it that each work-group costs beside its own */
} dcnv4i_target;

/* NULL if there is none of that name. */
const dcnv4i_target *dcnv4i_target_find(const char *backend, const char *name);

/* The target after this one of the same backend, in the table's order; the first after NULL; NULL after the last. */
const dcnv4i_target *dcnv4i_target_next(const char *backend, const dcnv4i_target *before);

/* What kernels of a backend may use on any of its devices: the same for all, so that a kernel compiled without a device is
 * the one that the device asks for. units is 1. */
dcnv4i_limits dcnv4i_target_limits(const char *backend);

/* The share of the lanes that a multiprocessor can keep, which is at most 1, when it is full of such work-groups. */
double dcnv4i_target_occupancy(const dcnv4i_target *target, int64_t work_group, int64_t registers,
                               int64_t local_memory);

#endif
