/* gpu/runtime/driver.h for OpenCL. */
#ifndef DCNV4I_OPENCL_DRIVER_H
#define DCNV4I_OPENCL_DRIVER_H

#include "opencl_devices.h"

extern const dcnv4i_driver dcnv4i_opencl_driver;

/* Opens a device with a queue of its own. context is the caller's, retained while the device is open, or NULL for a new
 * one. */
dcnv4_status dcnv4i_opencl_open(const dcnv4i_opencl_api *api, cl_device_id id, cl_context context,
                                const dcnv4i_opencl_facts *facts, void **device);

const dcnv4_device_info *dcnv4i_opencl_info(const void *device);
const dcnv4i_identity *dcnv4i_opencl_identity(const void *device);

#endif
