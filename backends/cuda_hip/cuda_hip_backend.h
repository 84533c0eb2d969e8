/* core/backend.h for CUDA and HIP: the parts that name and find devices. */
#ifndef DCNV4I_CUDA_HIP_BACKEND_H
#define DCNV4I_CUDA_HIP_BACKEND_H

#include "../gpu/gpu.h"
#include "cuda_hip_device.h"

/* For the API's probe. */
void dcnv4i_cuda_hip_look(const dcnv4i_cuda_hip_api *api, dcnv4i_view *view);

int64_t dcnv4i_cuda_hip_device_count(const dcnv4i_cuda_hip_api *api);
bool dcnv4i_cuda_hip_automatic(const dcnv4i_cuda_hip_api *api);
void dcnv4i_cuda_hip_device_info(const dcnv4i_cuda_hip_api *api, int64_t index, dcnv4_device_info *info);

/* Opens a device by its number, the first one for "", or a target by its name, for which kernels are only compiled. */
dcnv4_status dcnv4i_cuda_hip_device_open(const dcnv4i_cuda_hip_api *api, const char *selector, void **gpu);

/* Opens the device that is current in this thread. */
dcnv4_status dcnv4i_cuda_hip_device_adopt(const dcnv4i_cuda_hip_api *api, void **gpu);

void dcnv4i_cuda_hip_device_describe(const void *gpu, dcnv4_device_info *info);

/* The backend's table, with the functions above on the dcnv4i_cuda_hip_api `api` of the file. */
#define DCNV4I_CUDA_HIP_BACKEND(backend)                                        \
    static int64_t list_count(void) {                                           \
        return dcnv4i_cuda_hip_device_count(&api);                              \
    }                                                                           \
    static void list_info(int64_t index, dcnv4_device_info *info) {             \
        dcnv4i_cuda_hip_device_info(&api, index, info);                         \
    }                                                                           \
    static bool automatic(void) {                                               \
        return dcnv4i_cuda_hip_automatic(&api);                                 \
    }                                                                           \
    static dcnv4_status device_open(const char *selector, void **gpu) {         \
        return dcnv4i_cuda_hip_device_open(&api, selector, gpu);                \
    }                                                                           \
    static dcnv4_status device_adopt(void *context, void *handle, void **gpu) { \
        (void)context, (void)handle;                                            \
        return dcnv4i_cuda_hip_device_adopt(&api, gpu);                         \
    }                                                                           \
    const dcnv4i_backend dcnv4i_backend_##backend = {                           \
        .name = #backend,                                                       \
        .pointer_handles = true,                                                \
        .device_count = list_count,                                             \
        .device_info = list_info,                                               \
        .automatic = automatic,                                                 \
        .device_open = device_open,                                             \
        .device_adopt = device_adopt,                                           \
        .device_describe = dcnv4i_cuda_hip_device_describe,                     \
        DCNV4I_GPU_FUNCTIONS,                                                   \
    };

#endif
