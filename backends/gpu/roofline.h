/* Roofline kernels, to be timed beside a pass: they access or load as much and compute nothing. */
#ifndef DCNV4I_ROOFLINE_H
#define DCNV4I_ROOFLINE_H

#include "program.h"

/* Starts one on a program's buffers; the first call for a dtype on a device compiles. */
dcnv4_status dcnv4i_roofline_start(const dcnv4i_gpu_program *program, dcnv4_pass pass, dcnv4_roofline roofline,
                                   const dcnv4i_buffers *buffers, void *stream);

#endif
