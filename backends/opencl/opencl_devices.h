/* The OpenCL devices of this machine: those of every platform and type, numbered in the loader's order. */
#ifndef DCNV4I_OPENCL_DEVICES_H
#define DCNV4I_OPENCL_DEVICES_H

#include "opencl_api.h"
#include "../gpu/runtime/driver.h"
#include "../gpu/runtime/probe.h"

enum { DCNV4I_OPENCL_IDENTITY = 1024 };

/* What is known of a device without using it. */
typedef struct dcnv4i_opencl_facts {
    dcnv4_device_info info;
    dcnv4i_limits limits;
    bool gpu;                              /* of type GPU */
    bool compiler;                         /* its driver has a compiler */
    char identity[DCNV4I_OPENCL_IDENTITY]; /* the versions that compiled kernels depend on */
} dcnv4i_opencl_facts;

/* Finds all devices, at most DCNV4I_MAX_DEVICES. DCNV4_DEVICE_UNAVAILABLE if there is none. */
dcnv4_status dcnv4i_opencl_list(const dcnv4i_opencl_api *api, cl_device_id *devices, int *count);

/* Asks a device about itself. index is its number, or −1 for a caller's own device. */
void dcnv4i_opencl_ask(const dcnv4i_opencl_api *api, cl_device_id device, int index, dcnv4i_opencl_facts *facts);

/* Says, after a semicolon, which of the installed .icd files names a driver that does not load, and why; "" if all
 * load. Loads them. */
void dcnv4i_opencl_vendors_complain(char *text, size_t room);

#endif
