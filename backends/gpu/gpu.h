/* What all backends for devices that compile share: the functions of core/backend.h, over a driver. */
#ifndef DCNV4I_GPU_H
#define DCNV4I_GPU_H

#include "../../core/backend.h"
#include "program.h"

/* A device of a context. The functions below take it as `device`. */
typedef struct dcnv4i_gpu {
    const dcnv4i_driver *driver;
    void *device; /* the driver's */
    dcnv4i_limits limits;
    dcnv4i_programs programs;
} dcnv4i_gpu;

/* Takes over an open device of a driver's, also after a failure, when it has been closed. identity names the device, its
 * driver and compiler with their versions. */
dcnv4_status dcnv4i_gpu_open(const dcnv4i_driver *driver, void *device, const dcnv4i_limits *limits,
                             const char *identity, void **gpu);

void dcnv4i_gpu_close(void *gpu);
dcnv4_status dcnv4i_gpu_synchronize(void *gpu);
dcnv4_status dcnv4i_gpu_program_create(void *gpu, const dcnv4i_problem *problem, void **program);
void dcnv4i_gpu_program_destroy(void *program);
size_t dcnv4i_gpu_workspace_size(const void *program, dcnv4_pass pass);
dcnv4_status dcnv4i_gpu_run(const void *program, dcnv4_pass pass, const dcnv4_buffers *buffers, void *stream);
dcnv4_status dcnv4i_gpu_floor_run(const void *program, dcnv4_pass pass, dcnv4_floor floor, const dcnv4_buffers *buffers,
                                  void *stream);
dcnv4_status dcnv4i_gpu_buffer_create(void *gpu, size_t length, void **handle);
void dcnv4i_gpu_buffer_destroy(void *gpu, void *handle);
dcnv4_status dcnv4i_gpu_upload(void *gpu, const dcnv4_buffer *buffer, const void *source, size_t length);
dcnv4_status dcnv4i_gpu_download(void *gpu, const dcnv4_buffer *buffer, void *target, size_t length);

#endif
