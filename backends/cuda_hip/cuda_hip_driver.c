#include "cuda_hip_driver.h"
#include "../../core/fork.h"

#include <stdlib.h>

static dcnv4_status fail(dcnv4i_cuda_hip_device *d, const char *doing, int error) {
    if (dcnv4i_cuda_hip_is_loss(error))
        atomic_store(&d->lost, true);
    return dcnv4i_cuda_hip_fail(d->api, doing, error);
}

/* Clears the error of a failure that does not matter to the caller. */
static void ignore(const dcnv4i_cuda_hip_device *d, int error) {
    if (error != 0 && d->api->forget_error)
        d->api->forget_error();
}

static dcnv4_status usable(void *device) {
    const dcnv4i_cuda_hip_device *d = device;
    if (!dcnv4i_cuda_hip_is_owner(d))
        return dcnv4i_fork_refuse(d->info.name);
    if (atomic_load(&d->lost))
        return dcnv4i_fail(DCNV4_DEVICE_LOST, "%s was lost earlier; its context cannot be used any more", d->info.name);
    return DCNV4_SUCCESS;
}

/* ---- The device, current for as long as a function here needs it ------------------------------------------------- */

static dcnv4_status enter(dcnv4i_cuda_hip_device *d, int *before) {
    if (d->ordinal < 0)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s only compiles: there is no device behind it to run on",
                           d->info.name);
    const int error = d->api->enter(d->ordinal, d->context, before);
    return error == 0 ? DCNV4_SUCCESS : fail(d, "making the device current", error);
}

/* Makes the caller's device current again. An earlier failure takes precedence over one of this. */
static dcnv4_status leave(dcnv4i_cuda_hip_device *d, int before, dcnv4_status status) {
    const int error = d->api->leave(before);
    if (status == DCNV4_SUCCESS && error != 0)
        return fail(d, "making the caller's device current", error);
    ignore(d, error);
    return status;
}

/* ---- Modules ----------------------------------------------------------------------------------------------------- */

/* Frees a module or memory; a failure cannot be reported to anyone. */
static void free_object(void *device, int (*how)(void *), void *what) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    if (d->ordinal < 0 || !dcnv4i_cuda_hip_is_owner(d))
        return;
    const int error = d->api->enter(d->ordinal, d->context, &before);
    ignore(d, error);
    if (error == 0) {
        ignore(d, how(what));
        ignore(d, d->api->leave(before));
    }
}

static void unload(void *device, void *module) {
    free_object(device, ((dcnv4i_cuda_hip_device *)device)->api->module_unload, module);
}

/* The handle of all modules and kernels of a target without a device: any binary stored for it will do, none is
 * loaded. */
static int no_module;

static dcnv4_status load(void *device, const void *binary, size_t size, void **module) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    (void)size;
    if (d->ordinal < 0) {
        *module = &no_module;
        return DCNV4_SUCCESS;
    }
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    void *loaded = NULL;
    const int error = d->api->module_load(&loaded, binary);
    if (error == DCNV4I_ERROR_INVALID_IMAGE || error == DCNV4I_ERROR_NO_BINARY || error == DCNV4I_ERROR_INVALID_PTX ||
        error == DCNV4I_ERROR_UNSUPPORTED_PTX) {
        ignore(d, error);
        status = dcnv4i_fail(
            DCNV4_BUILD_FAILED,
            "%s does not take a kernel compiled for %s: %s (error %d); its driver may be older than the "
            "compiler: update it, or use the compiler of its version",
            d->info.name, d->target, d->api->error_name(error), error);
    } else if (error != 0) {
        status = fail(d, "loading a kernel", error);
    }
    status = leave(d, before, status);
    if (status == DCNV4_SUCCESS)
        *module = loaded;
    else if (error == 0)
        unload(d, loaded);
    return status;
}

/* Gives a binary to the caller if it is wanted and all succeeded; otherwise frees it. */
static void hand_over(dcnv4_status status, const dcnv4i_binary *made, dcnv4i_binary *asked) {
    if (status == DCNV4_SUCCESS && asked)
        *asked = *made;
    else
        free(made->bytes);
}

/* A driver that is older than the compiler may refuse its binary, and still compile the portable form. */
static dcnv4_status compile(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable) {
    dcnv4i_cuda_hip_device *d = device;
    dcnv4i_binary own = {NULL, 0}, other = {NULL, 0};
    dcnv4_status status = d->api->compile(d->target, d->ordinal < 0, source, &own, &other);
    if (status == DCNV4_SUCCESS) {
        status = load(d, own.bytes, own.size, module);
        if (status == DCNV4_BUILD_FAILED && other.bytes && load(d, other.bytes, other.size, module) == DCNV4_SUCCESS) {
            free(own.bytes);
            own = other, other = (dcnv4i_binary){NULL, 0};
            status = DCNV4_SUCCESS;
        }
    }
    hand_over(status, &own, binary);
    hand_over(status, &other, portable);
    return status;
}

static dcnv4_status kernel_create(void *device, void *module, const char *name, void **kernel) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    if (d->ordinal < 0) {
        *kernel = &no_module;
        return DCNV4_SUCCESS;
    }
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = d->api->function_get(kernel, module, name);
    if (error != 0)
        status = fail(d, "finding a kernel in its module", error);
    return leave(d, before, status);
}

static void kernel_destroy(void *device, void *kernel) {
    (void)device, (void)kernel; /* freed with its module */
}

/* ---- Launches ---------------------------------------------------------------------------------------------------- */

static int launch_one(const dcnv4i_cuda_hip_device *d, const dcnv4i_launch *launch, void *stream) {
    void *arguments[DCNV4I_MAX_ARGUMENTS];
    for (int i = 0; i < launch->argument_count; ++i) {
        const dcnv4i_argument *a = &launch->arguments[i];
        arguments[i] = a->is_handle ? (void *)&a->handle : (void *)&a->number;
    }
    return d->api->launch(launch->kernel, (unsigned)launch->groups, (unsigned)launch->work_group, stream, arguments);
}

static dcnv4_status start(void *device, const dcnv4i_launch *launches, int count, void *stream) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    for (int i = 0; i < count && status == DCNV4_SUCCESS; ++i) {
        const int error = launch_one(d, &launches[i], stream);
        if (error != 0)
            status = fail(d, "launching a kernel", error);
    }
    return leave(d, before, status);
}

static dcnv4_status await_all(dcnv4i_cuda_hip_device *d, dcnv4_status status) {
    const int error = status == DCNV4_SUCCESS ? d->api->stream_synchronize(NULL) : 0;
    return error == 0 ? status : fail(d, "waiting for its default stream", error);
}

static dcnv4_status synchronize(void *device) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    const dcnv4_status status = enter(d, &before);
    return status == DCNV4_SUCCESS ? leave(d, before, await_all(d, status)) : status;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void buffer_destroy(void *device, void *handle) {
    free_object(device, ((dcnv4i_cuda_hip_device *)device)->api->deallocate, handle);
}

static dcnv4_status buffer_create(void *device, size_t length, void **handle) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    void *made = NULL;
    const int error = d->api->allocate(&made, length);
    if (error == DCNV4I_ERROR_OUT_OF_MEMORY) {
        fail(d, "a buffer", error);
        status = dcnv4i_fail(DCNV4_OUT_OF_DEVICE_MEMORY, "%s has no room for a buffer of %zu bytes: %s (error %d)",
                             d->info.name, length, d->api->error_name(error), error);
    } else if (error != 0) {
        status = fail(d, "making a buffer", error);
    }
    status = leave(d, before, status);
    if (status == DCNV4_SUCCESS)
        *handle = made;
    else if (error == 0)
        buffer_destroy(d, made);
    return status;
}

/* A copy from memory that is not pinned may still be under way when the function returns. */
static dcnv4_status upload(void *device, void *handle, size_t offset, const void *source, size_t length) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = d->api->to_device((char *)handle + offset, source, length);
    if (error != 0)
        status = fail(d, "copying to the device", error);
    return leave(d, before, await_all(d, status));
}

static dcnv4_status download(void *device, void *handle, size_t offset, void *target, size_t length) {
    dcnv4i_cuda_hip_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = d->api->to_host(target, (const char *)handle + offset, length);
    if (error != 0)
        status = fail(d, "copying from the device", error);
    return leave(d, before, status);
}

static void close_device(void *device) {
    dcnv4i_cuda_hip_close(device);
}

const dcnv4i_driver dcnv4i_cuda_hip_driver = {
    .pointer_handles = true,
    .usable = usable,
    .compile = compile,
    .load = load,
    .unload = unload,
    .kernel_create = kernel_create,
    .kernel_destroy = kernel_destroy,
    .start = start,
    .synchronize = synchronize,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .close = close_device,
};
