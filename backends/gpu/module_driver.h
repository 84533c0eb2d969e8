/* driver.h over module_api.h: CUDA and HIP devices, and targets without a device, for which kernels are only compiled. */
#ifndef DCNV4I_MODULE_DRIVER_H
#define DCNV4I_MODULE_DRIVER_H

#include "module_api.h"

/* Opens a device, on its primary context, or on the caller's if there is one. */
dcnv4_status dcnv4i_module_open(const dcnv4i_module_api *api, int ordinal, void *callers_context,
                                const dcnv4i_module_facts *facts, void **device);

/* Opens what only compiles. */
dcnv4_status dcnv4i_module_open_target(const dcnv4i_module_api *api, const dcnv4i_target *target, void **device);

/* What gpu/ needs of an open device; they live as long as it does. */
const dcnv4i_driver *dcnv4i_module_driver(const void *device);
const dcnv4i_identity *dcnv4i_module_identity(const void *device);
const dcnv4i_limits *dcnv4i_module_limits(const void *device);
const dcnv4_device_info *dcnv4i_module_info(const void *device);

/* What info says of a device; the same text for one that was only looked at. */
dcnv4_device_info dcnv4i_module_describe(const dcnv4i_module_api *api, int ordinal, const dcnv4i_module_facts *facts);

/* Turns an error number into a status and a message. */
dcnv4_status dcnv4i_module_fail(const dcnv4i_module_api *api, const char *doing, int error);

#endif
