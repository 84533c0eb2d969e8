/* A device of CUDA or HIP, or a target without a device, for which kernels are only compiled: opening and describing
 * it. */
#ifndef DCNV4I_CUDA_HIP_DEVICE_H
#define DCNV4I_CUDA_HIP_DEVICE_H

#include "cuda_hip_api.h"

#include <stdatomic.h>

enum { DCNV4I_CUDA_HIP_IDENTITY = DCNV4I_TARGET_NAME + 32 };

typedef struct dcnv4i_cuda_hip_device {
    const dcnv4i_cuda_hip_api *api;
    dcnv4i_driver driver;
    int ordinal; /* −1: there is no device, kernels are only compiled */
    void *context;
    bool retained; /* the context is the primary one, retained by us */
    unsigned made; /* the fork count of the process that opened it */
    atomic_bool lost;
    char target[DCNV4I_TARGET_NAME];
    dcnv4i_limits limits;
    dcnv4_device_info info;
    dcnv4i_identity identity;
    char own[DCNV4I_CUDA_HIP_IDENTITY], portable[DCNV4I_CUDA_HIP_IDENTITY],
        other[DCNV4I_MAX_COMPATIBLE][DCNV4I_CUDA_HIP_IDENTITY];
    const char *others[DCNV4I_MAX_COMPATIBLE + 1];
    char machine[DCNV4I_CUDA_HIP_IDENTITY + 160];
} dcnv4i_cuda_hip_device;

/* Opens a device, on its primary context, or on the caller's if there is one. */
dcnv4_status dcnv4i_cuda_hip_open(const dcnv4i_cuda_hip_api *api, int ordinal, void *callers_context,
                                  const dcnv4i_cuda_hip_facts *facts, dcnv4i_cuda_hip_device **device);

/* Opens a target, for which kernels are only compiled. */
dcnv4_status dcnv4i_cuda_hip_open_target(const dcnv4i_cuda_hip_api *api, const dcnv4i_target *target,
                                         dcnv4i_cuda_hip_device **device);

/* Whether this process is the one that opened it: a child of fork() makes no driver calls. */
bool dcnv4i_cuda_hip_is_owner(const dcnv4i_cuda_hip_device *d);

void dcnv4i_cuda_hip_close(dcnv4i_cuda_hip_device *d);

/* The info of a device, the same whether it is open or was only found. */
dcnv4_device_info dcnv4i_cuda_hip_describe(const dcnv4i_cuda_hip_api *api, int ordinal,
                                           const dcnv4i_cuda_hip_facts *facts);

/* Whether the context, and in CUDA the process, cannot go on with the device after this error. */
bool dcnv4i_cuda_hip_is_loss(int error);

/* Turns an error number into a status and a message. */
dcnv4_status dcnv4i_cuda_hip_fail(const dcnv4i_cuda_hip_api *api, const char *doing, int error);

#endif
