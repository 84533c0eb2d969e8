/* Shared by all backends that compile kernels at run time: the functions of core/backend.h, over a driver. `gpu` is a
 * dcnv4i_gpu, `program` a dcnv4i_gpu_program. */
#ifndef DCNV4I_GPU_H
#define DCNV4I_GPU_H

#include "../../core/backend.h"
#include "program.h"

/* Takes ownership of a driver's open device, and closes it on failure. *identity must live as long as the device. */
dcnv4_status dcnv4i_gpu_open(const dcnv4i_driver *driver, void *device, const dcnv4i_limits *limits,
                             const dcnv4i_identity *identity, void **gpu);

void dcnv4i_gpu_close(void *gpu);
dcnv4_status dcnv4i_gpu_synchronize(void *gpu);
dcnv4_status dcnv4i_gpu_program_create(void *gpu, const dcnv4i_problem *problem, void **program);
void dcnv4i_gpu_program_destroy(void *program);
size_t dcnv4i_gpu_workspace_size(const void *program, dcnv4_pass pass);
int64_t dcnv4i_gpu_kernel_count(const void *program);
void dcnv4i_gpu_kernel_info(const void *program, int64_t index, dcnv4_kernel_info *info);
int64_t dcnv4i_gpu_tactic_count(const void *program, int part);
void dcnv4i_gpu_tactic_info(const void *program, int part, int64_t index, dcnv4_tactic_info *info);
dcnv4_status dcnv4i_gpu_tactic_create(const void *program, const dcnv4i_problem *problem, int part, int64_t index,
                                      void **tactic);
dcnv4_status dcnv4i_gpu_tactic_save(const void *program, int part, int64_t index);
dcnv4_status dcnv4i_gpu_run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream);
dcnv4_status dcnv4i_gpu_roofline_run(const void *program, dcnv4_pass pass, dcnv4_roofline roofline,
                                     const dcnv4i_buffers *buffers, void *stream);
dcnv4_status dcnv4i_gpu_buffer_create(void *gpu, size_t length, void **handle);
void dcnv4i_gpu_buffer_destroy(void *gpu, void *handle);
dcnv4_status dcnv4i_gpu_upload(void *gpu, const dcnv4_buffer *buffer, const void *source, size_t length);
dcnv4_status dcnv4i_gpu_download(void *gpu, const dcnv4_buffer *buffer, void *target, size_t length);

/* All of these, in a backend's table. */
#define DCNV4I_GPU_FUNCTIONS                                                                               \
    .device_close = dcnv4i_gpu_close, .device_synchronize = dcnv4i_gpu_synchronize,                        \
    .program_create = dcnv4i_gpu_program_create, .program_destroy = dcnv4i_gpu_program_destroy,            \
    .workspace_size = dcnv4i_gpu_workspace_size, .kernel_count = dcnv4i_gpu_kernel_count,                  \
    .tactic_count = dcnv4i_gpu_tactic_count, .tactic_info = dcnv4i_gpu_tactic_info,                        \
    .tactic_create = dcnv4i_gpu_tactic_create, .tactic_save = dcnv4i_gpu_tactic_save,                      \
    .kernel_info = dcnv4i_gpu_kernel_info, .run = dcnv4i_gpu_run, .roofline_run = dcnv4i_gpu_roofline_run, \
    .buffer_create = dcnv4i_gpu_buffer_create, .buffer_destroy = dcnv4i_gpu_buffer_destroy,                \
    .upload = dcnv4i_gpu_upload, .download = dcnv4i_gpu_download

#endif
