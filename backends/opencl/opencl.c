/* The backend's table. */
#include "opencl_driver.h"
#include "../gpu/gpu.h"
#include "../gpu/runtime/probe.h"
#include "../gpu/remembered_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds the stored outcome of the device's comparison with the reference. A device whose results differed counts as
 * missing. */
static void say_checked(dcnv4i_opencl_facts *facts) {
    static const char *const outcomes[] = {
        [DCNV4I_NOT_CHECKED] = "not yet checked",
        [DCNV4I_CHECKED_RIGHT] = "checked against the reference",
        [DCNV4I_CHECK_OFF] = "not checked, DCNV4_SELF_CHECK is off",
    };
    char message[DCNV4I_CHECK_MESSAGE];
    const dcnv4i_checked outcome = dcnv4i_check_look_up(facts->identity, &facts->limits, message);
    dcnv4_device_info *const info = &facts->info;
    const size_t used = strlen(info->features);
    if (outcome == DCNV4I_CHECKED_WRONG) {
        info->available = 0;
        snprintf(info->reason, sizeof info->reason, "gives wrong results: %s", message);
    } else
        snprintf(info->features + used, sizeof info->features - used, ", %s", outcomes[outcome]);
}

static void look(dcnv4i_view *view) {
    const dcnv4i_opencl_api *api;
    cl_device_id devices[DCNV4I_MAX_DEVICES];
    int count = 0;
    if (dcnv4i_opencl_load(&api) != DCNV4_SUCCESS || dcnv4i_opencl_list(api, devices, &count) != DCNV4_SUCCESS) {
        dcnv4i_view_none(view, dcnv4_last_message());
        return;
    }
    for (view->count = 0; view->count < count; ++view->count) {
        dcnv4i_opencl_facts facts;
        dcnv4i_opencl_ask(api, devices[view->count], view->count, &facts);
        say_checked(&facts);
        view->info[view->count] = facts.info;
        view->gpu |= facts.gpu && facts.info.available;
    }
}

static dcnv4i_probe probe = {.what = "OpenCL", .in_use = dcnv4i_opencl_is_loaded, .look = look, DCNV4I_PROBE_INIT};

static int64_t device_count(void) {
    const dcnv4i_view *view = dcnv4i_probe_look(&probe);
    return view->count > 0 ? view->count : 1;
}

static void device_info(int64_t index, dcnv4_device_info *info) {
    const dcnv4i_view *view = dcnv4i_probe_look(&probe);
    if (view->count > 0) {
        *info = view->info[index];
        return;
    }
    strcpy(info->name, "opencl");
    strcpy(info->backend, "opencl");
    strcpy(info->reason, view->reason);
}

static bool automatic(void) {
    return dcnv4i_probe_look(&probe)->gpu;
}

/* "N", or "N:cpu" or "N:gpu", which force the kernels to that kind of geometry. false if selector is none of these. */
static bool parse(const char *selector, int *index, bool *forced, bool *cpu) {
    char *end;
    if (*selector < '0' || *selector > '9')
        return false;
    const long number = strtol(selector, &end, 10);
    *index = number < DCNV4I_MAX_DEVICES ? (int)number : DCNV4I_MAX_DEVICES;
    *cpu = strcmp(end, ":cpu") == 0;
    *forced = *cpu || strcmp(end, ":gpu") == 0;
    return *forced || *end == '\0';
}

/* The first GPU that is not known to compute wrongly, or the first device. */
static int choose(const dcnv4i_opencl_api *api, const cl_device_id *devices, int count) {
    dcnv4i_opencl_facts facts;
    for (int i = 0; i < count; ++i) {
        dcnv4i_opencl_ask(api, devices[i], i, &facts);
        say_checked(&facts);
        if (facts.gpu && facts.info.available)
            return i;
    }
    return 0;
}

static dcnv4_status open_with(const dcnv4i_opencl_api *api, cl_device_id id, cl_context context,
                              const dcnv4i_opencl_facts *facts, void **device) {
    void *opened;
    const dcnv4_status status = dcnv4i_opencl_open(api, id, context, facts, &opened);
    if (status != DCNV4_SUCCESS)
        return status;
    return dcnv4i_gpu_open(&dcnv4i_opencl_driver, opened, &facts->limits, dcnv4i_opencl_identity(opened), device);
}

static dcnv4_status device_open(const char *selector, void **device) {
    const dcnv4i_opencl_api *api;
    cl_device_id devices[DCNV4I_MAX_DEVICES];
    dcnv4i_opencl_facts facts;
    int index = -1, count;
    bool forced = false, cpu = false;
    if (*selector && !parse(selector, &index, &forced, &cpu))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "there is no device \"opencl:%.64s\"; devices have numbers, as opencl:0", selector);
    if (dcnv4i_probe_look(&probe)->probe_crashed)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s", dcnv4i_probe_look(&probe)->reason);
    dcnv4_status status = dcnv4i_opencl_load(&api);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_opencl_list(api, devices, &count);
    if (status != DCNV4_SUCCESS)
        return status;
    if (index >= count)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                           "there is no device \"opencl:%.64s\", there are %d, from opencl:0 on", selector, count);
    if (index < 0)
        index = choose(api, devices, count);
    dcnv4i_opencl_ask(api, devices[index], index, &facts);
    if (forced)
        facts.limits.cpu = cpu;
    return open_with(api, devices[index], NULL, &facts, device);
}

/* Checks that the caller's context has this device. */
static dcnv4_status check_device(const dcnv4i_opencl_api *api, cl_context context, cl_device_id id) {
    cl_device_id devices[DCNV4I_MAX_DEVICES];
    size_t size = 0;
    const cl_int error = api->clGetContextInfo(context, DCNV4I_CL_CONTEXT_DEVICES, sizeof devices, devices, &size);
    if (error != DCNV4I_CL_SUCCESS)
        return dcnv4i_opencl_fail("clGetContextInfo", error);
    for (size_t i = 0; i < size / sizeof *devices; ++i)
        if (devices[i] == id)
            return DCNV4_SUCCESS;
    return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "the cl_device_id is none of the %zu of the cl_context",
                       size / sizeof *devices);
}

static dcnv4_status device_adopt(void *context, void *device_handle, void **device) {
    const dcnv4i_opencl_api *api;
    dcnv4i_opencl_facts facts;
    dcnv4_status status = dcnv4i_opencl_load(&api);
    if (status == DCNV4_SUCCESS)
        status = check_device(api, context, device_handle);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_opencl_ask(api, device_handle, -1, &facts);
    return open_with(api, device_handle, context, &facts, device);
}

static void device_describe(const void *device, dcnv4_device_info *info) {
    *info = *dcnv4i_opencl_info(((const dcnv4i_gpu *)device)->device);
}

const dcnv4i_backend dcnv4i_backend_opencl = {
    .name = "opencl",
    .on_host = false,
    .pointer_handles = false,
    .device_count = device_count,
    .device_info = device_info,
    .automatic = automatic,
    .device_open = device_open,
    .device_adopt = device_adopt,
    .device_describe = device_describe,
    .check_recall = dcnv4i_gpu_check_recall,
    .check_remember = dcnv4i_gpu_check_remember,
    DCNV4I_GPU_FUNCTIONS,
};
