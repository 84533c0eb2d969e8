#include "cuda_hip_driver.h"
#include "../../core/fork.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

bool dcnv4i_cuda_hip_is_loss(int error) {
    static const int losses[] = {
        DCNV4I_ERROR_DEINITIALIZED,
        DCNV4I_ERROR_ECC,
        DCNV4I_ERROR_NVLINK,
        DCNV4I_ERROR_ILLEGAL_ADDRESS,
        DCNV4I_ERROR_LAUNCH_TIMEOUT,
        DCNV4I_ERROR_CONTEXT_DESTROYED,
        DCNV4I_ERROR_ASSERT,
        DCNV4I_ERROR_HARDWARE_STACK,
        DCNV4I_ERROR_ILLEGAL_INSTRUCTION,
        DCNV4I_ERROR_MISALIGNED_ADDRESS,
        DCNV4I_ERROR_INVALID_ADDRESS_SPACE,
        DCNV4I_ERROR_INVALID_PC,
        DCNV4I_ERROR_LAUNCH_FAILED,
    };
    for (size_t i = 0; i < sizeof losses / sizeof *losses; ++i)
        if (error == losses[i])
            return true;
    return false;
}

dcnv4_status dcnv4i_cuda_hip_fail(const dcnv4i_cuda_hip_api *api, const char *doing, int error) {
    const char *const name = api->error_name(error);
    if (api->forget_error)
        api->forget_error();
    if (dcnv4i_cuda_hip_is_loss(error))
        return dcnv4i_fail(DCNV4_DEVICE_LOST,
                           "%s broke while %s: %s (error %d); destroy this context, and start a new process if a new "
                           "one fails too",
                           api->what, doing, name, error);
    switch (error) {
    case DCNV4I_ERROR_OUT_OF_MEMORY:
    case DCNV4I_ERROR_OUT_OF_RESOURCES:
        return dcnv4i_fail(DCNV4_OUT_OF_DEVICE_MEMORY, "%s lacks the memory or resources for %s: %s (error %d)",
                           api->what, doing, name, error);
    case DCNV4I_ERROR_INVALID_CONTEXT:
    case DCNV4I_ERROR_INVALID_HANDLE:
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "%s refused %s: %s (error %d); the stream, buffer or current context is none of this "
                           "device's",
                           api->what, doing, name, error);
    case DCNV4I_ERROR_NO_DEVICE:
    case DCNV4I_ERROR_INVALID_DEVICE:
    case DCNV4I_ERROR_UNAVAILABLE:
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s has no device for %s: %s (error %d)", api->what, doing, name,
                           error);
    case DCNV4I_ERROR_MISMATCH:
    case DCNV4I_ERROR_NOT_COMPATIBLE:
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                           "%s cannot be used: %s (error %d); the kernel's driver and its libraries have different "
                           "versions: install one driver, and restart",
                           api->what, name, error);
    default: return dcnv4i_fail(DCNV4_DRIVER_ERROR, "%s failed at %s: %s (error %d)", api->what, doing, name, error);
    }
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

bool dcnv4i_cuda_hip_is_owner(const dcnv4i_cuda_hip_device *d) {
    return d->made == dcnv4i_fork_count();
}

void dcnv4i_cuda_hip_close(dcnv4i_cuda_hip_device *d) {
    if (d->retained && dcnv4i_cuda_hip_is_owner(d))
        d->api->release(d->ordinal);
    free(d);
}

static void name_identity(const dcnv4i_cuda_hip_device *d, const char *target, char *identity) {
    snprintf(identity, DCNV4I_CUDA_HIP_IDENTITY, "%s\ntarget %s", d->api->backend, target);
}

/* A binary's identity is only its target, whichever driver loads it and whatever compiled it. */
static void identify(dcnv4i_cuda_hip_device *d, bool ahead) {
    dcnv4i_compatible_targets found = {.count = 0};
    if (d->api->compatible_targets)
        d->api->compatible_targets(d->target, &found);
    name_identity(d, d->target, d->own);
    d->identity = (dcnv4i_identity){
        .own = d->own, .others = d->others, .target = dcnv4i_target_find(d->api->backend, d->target)};
    if (ahead && *found.portable) {
        name_identity(d, found.portable, d->portable);
        d->identity.portable = d->portable;
    }
    for (int i = 0; i < found.count && !ahead; ++i) {
        name_identity(d, found.others[i], d->other[i]);
        d->others[i] = d->other[i];
    }
}

static dcnv4i_cuda_hip_device *make(const dcnv4i_cuda_hip_api *api, int ordinal, const char *target) {
    dcnv4i_cuda_hip_device *d = dcnv4i_fork_watch() == DCNV4_SUCCESS ? calloc(1, sizeof *d) : NULL;
    if (!d) {
        dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *d);
        return NULL;
    }
    d->api = api;
    d->driver = dcnv4i_cuda_hip_driver;
    d->driver.vocabulary = api->vocabulary;
    d->ordinal = ordinal;
    d->made = dcnv4i_fork_count();
    d->limits = dcnv4i_target_limits(api->backend);
    snprintf(d->target, sizeof d->target, "%s", target);
    atomic_init(&d->lost, false);
    identify(d, ordinal < 0);
    return d;
}

dcnv4_device_info dcnv4i_cuda_hip_describe(const dcnv4i_cuda_hip_api *api, int ordinal,
                                           const dcnv4i_cuda_hip_facts *facts) {
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    snprintf(info.name, sizeof info.name, "%s:%d", api->backend, ordinal);
    snprintf(info.backend, sizeof info.backend, "%s", api->backend);
    snprintf(info.description, sizeof info.description, "%.62s, %.62s", facts->name, facts->software);
    snprintf(info.features, sizeof info.features, "%s, 16-byte vectors, local memory, float atomics", facts->target);
    info.available = 1;
    info.units = facts->units;
    info.memory = (int64_t)facts->memory;
    return info;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

dcnv4_status dcnv4i_cuda_hip_open(const dcnv4i_cuda_hip_api *api, int ordinal, void *callers_context,
                                  const dcnv4i_cuda_hip_facts *facts, dcnv4i_cuda_hip_device **device) {
    dcnv4i_cuda_hip_device *d = make(api, ordinal, facts->target);
    if (!d)
        return DCNV4_OUT_OF_MEMORY;
    d->info = dcnv4i_cuda_hip_describe(api, ordinal, facts);
    d->limits.units = facts->units;
    d->limits.work_group = smaller(d->limits.work_group, facts->work_group);
    d->limits.local_memory = smaller(d->limits.local_memory, facts->local_memory);
    snprintf(d->machine, sizeof d->machine, "%s\nname %s\nsoftware %s", d->own, facts->name, facts->software);
    d->identity.machine = d->machine;
    d->context = callers_context;
    if (!callers_context && api->retain) {
        const int error = api->retain(ordinal, &d->context);
        d->retained = error == 0;
        if (error != 0) {
            dcnv4i_cuda_hip_close(d);
            return dcnv4i_cuda_hip_fail(api, "making the device's primary context", error);
        }
    }
    *device = d;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_cuda_hip_open_target(const dcnv4i_cuda_hip_api *api, const dcnv4i_target *target,
                                         dcnv4i_cuda_hip_device **device) {
    dcnv4i_cuda_hip_device *d = make(api, -1, target->name);
    if (!d)
        return DCNV4_OUT_OF_MEMORY;
    d->info = (dcnv4_device_info)DCNV4_DEVICE_INFO_INIT;
    snprintf(d->info.name, sizeof d->info.name, "%s:%s", api->backend, target->name);
    snprintf(d->info.backend, sizeof d->info.backend, "%s", api->backend);
    snprintf(d->info.description, sizeof d->info.description, "kernels for %s, without a device", target->name);
    d->info.available = 1;
    *device = d;
    return DCNV4_SUCCESS;
}
