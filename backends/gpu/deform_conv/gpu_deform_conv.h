/* DCNv4 on devices with run-time compilation. */
#ifndef DCNV4I_GPU_DEFORM_CONV_H
#define DCNV4I_GPU_DEFORM_CONV_H

#include "../program.h"

extern const dcnv4i_gpu_operator dcnv4i_gpu_deform_conv;

#endif
