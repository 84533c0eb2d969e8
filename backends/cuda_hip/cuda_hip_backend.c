#include "cuda_hip_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Loads the driver and counts its devices; fails if there is none. */
static dcnv4_status count_devices(const dcnv4i_cuda_hip_api *api, int *count) {
    const dcnv4_status status = api->load();
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = api->device_count(count);
    if (error == DCNV4I_ERROR_NO_DEVICE || (error == 0 && *count < 1)) {
        if (api->forget_error)
            api->forget_error();
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s is installed, with 0 devices that it can use", api->what);
    }
    return error == 0 ? DCNV4_SUCCESS : dcnv4i_cuda_hip_fail(api, "counting devices", error);
}

static dcnv4_status describe(const dcnv4i_cuda_hip_api *api, int ordinal, dcnv4i_cuda_hip_facts *facts) {
    *facts = (dcnv4i_cuda_hip_facts){.memory = 0};
    const int error = api->describe(ordinal, facts);
    if (error != 0)
        return dcnv4i_cuda_hip_fail(api, "asking a device what it is", error);
    if (!*facts->target || facts->work_group < 1 || facts->local_memory < 1 || facts->units < 1)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                           "%s:%d reports the target \"%s\" with %d work-items, %d bytes of local memory and %d units, "
                           "which is no device that is known here",
                           api->backend, ordinal, facts->target, facts->work_group, facts->local_memory, facts->units);
    return DCNV4_SUCCESS;
}

static void name_compiler(const dcnv4i_cuda_hip_api *api, dcnv4_device_info *info) {
    const char *const name = api->compiler();
    const size_t used = strlen(info->features);
    snprintf(info->features + used, sizeof info->features - used,
             *name ? ", %s" : ", no compiler, only kernels on disk", name);
}

void dcnv4i_cuda_hip_look(const dcnv4i_cuda_hip_api *api, dcnv4i_view *view) {
    int count;
    if (count_devices(api, &count) != DCNV4_SUCCESS) {
        dcnv4i_view_none(view, dcnv4_last_message());
        return;
    }
    for (int i = 0; i < count && i < DCNV4I_MAX_DEVICES; ++i) {
        dcnv4i_cuda_hip_facts facts;
        if (describe(api, i, &facts) == DCNV4_SUCCESS) {
            view->info[i] = dcnv4i_cuda_hip_describe(api, i, &facts);
            name_compiler(api, &view->info[i]);
            view->gpu = true;
        } else {
            snprintf(view->info[i].name, sizeof view->info[i].name, "%s:%d", api->backend, i);
            snprintf(view->info[i].backend, sizeof view->info[i].backend, "%s", api->backend);
            snprintf(view->info[i].reason, sizeof view->info[i].reason, "%.255s", dcnv4_last_message());
        }
        view->count = i + 1;
    }
}

int64_t dcnv4i_cuda_hip_device_count(const dcnv4i_cuda_hip_api *api) {
    const dcnv4i_view *view = dcnv4i_probe_look(api->probe);
    return view->count > 0 ? view->count : 1;
}

bool dcnv4i_cuda_hip_automatic(const dcnv4i_cuda_hip_api *api) {
    return dcnv4i_probe_look(api->probe)->info[0].available;
}

void dcnv4i_cuda_hip_device_info(const dcnv4i_cuda_hip_api *api, int64_t index, dcnv4_device_info *info) {
    const dcnv4i_view *view = dcnv4i_probe_look(api->probe);
    if (view->count > 0) {
        *info = view->info[index];
        return;
    }
    snprintf(info->name, sizeof info->name, "%s", api->backend);
    snprintf(info->backend, sizeof info->backend, "%s", api->backend);
    snprintf(info->reason, sizeof info->reason, "%s", view->reason);
}

/* Hands an open device over to gpu/. */
static dcnv4_status finish(dcnv4_status status, dcnv4i_cuda_hip_device *device, void **gpu) {
    return status == DCNV4_SUCCESS ? dcnv4i_gpu_open(&device->driver, device, &device->limits, &device->identity, gpu)
                                   : status;
}

static dcnv4_status open_number(const dcnv4i_cuda_hip_api *api, int ordinal, void *context, void **gpu) {
    dcnv4i_cuda_hip_facts facts;
    dcnv4i_cuda_hip_device *device = NULL;
    dcnv4_status status = describe(api, ordinal, &facts);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_cuda_hip_open(api, ordinal, context, &facts, &device);
    return finish(status, device, gpu);
}

static dcnv4_status unknown(const dcnv4i_cuda_hip_api *api, const char *selector) {
    char known[400] = "";
    for (const dcnv4i_target *t = NULL; (t = dcnv4i_target_next(api->backend, t));)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", t->name);
    return dcnv4i_fail(
        DCNV4_INVALID_ARGUMENT,
        "there is no device \"%s:%.64s\"; devices have numbers, as %s:0, and kernels are compiled for %s", api->backend,
        selector, api->backend, known);
}

dcnv4_status dcnv4i_cuda_hip_device_open(const dcnv4i_cuda_hip_api *api, const char *selector, void **gpu) {
    const dcnv4i_target *target = dcnv4i_target_find(api->backend, selector);
    if (target) {
        dcnv4i_cuda_hip_device *device = NULL;
        const dcnv4_status status = dcnv4i_cuda_hip_open_target(api, target, &device);
        return finish(status, device, gpu);
    }
    if (*selector && strspn(selector, "0123456789") != strlen(selector))
        return unknown(api, selector);
    const dcnv4i_view *view = dcnv4i_probe_look(api->probe);
    if (view->probe_crashed)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s", view->reason);
    int count;
    const dcnv4_status status = count_devices(api, &count);
    if (status != DCNV4_SUCCESS)
        return status;
    const unsigned long long number = *selector ? strtoull(selector, NULL, 10) : 0;
    if (number >= (unsigned long long)count)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "there is no device \"%s:%.64s\", there are %d, from %s:0 on",
                           api->backend, selector, count, api->backend);
    return open_number(api, (int)number, NULL, gpu);
}

dcnv4_status dcnv4i_cuda_hip_device_adopt(const dcnv4i_cuda_hip_api *api, void **gpu) {
    int count, ordinal;
    void *context = NULL;
    const dcnv4_status status = count_devices(api, &count);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = api->current(&ordinal, &context);
    if (error != 0)
        return dcnv4i_cuda_hip_fail(api, "asking which device is current", error);
    if (api->retain && !context)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "this thread has no current %s context to adopt; make one current, or open a device by its "
                           "name, as %s:0",
                           api->what, api->backend);
    return open_number(api, ordinal, context, gpu);
}

void dcnv4i_cuda_hip_device_describe(const void *gpu, dcnv4_device_info *info) {
    *info = ((const dcnv4i_cuda_hip_device *)((const dcnv4i_gpu *)gpu)->device)->info;
}
