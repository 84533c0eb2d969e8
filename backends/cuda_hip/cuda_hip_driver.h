/* driver.h over cuda_hip_api.h, on a dcnv4i_cuda_hip_device. Each device fills the API's vocabulary into its copy. */
#ifndef DCNV4I_CUDA_HIP_DRIVER_H
#define DCNV4I_CUDA_HIP_DRIVER_H

#include "cuda_hip_device.h"

extern const dcnv4i_driver dcnv4i_cuda_hip_driver;

#endif
