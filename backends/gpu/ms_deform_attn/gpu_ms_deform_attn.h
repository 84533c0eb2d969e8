/* Multi-scale deformable attention on devices with run-time compilation. */
#ifndef DCNV4I_GPU_MS_DEFORM_ATTN_H
#define DCNV4I_GPU_MS_DEFORM_ATTN_H

#include "../program.h"

extern const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn;

#endif
