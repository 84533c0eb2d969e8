#include "module_driver.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDENTITY = DCNV4I_TARGET_NAME + 32 };

typedef struct module_device {
    const dcnv4i_module_api *api;
    dcnv4i_driver driver;
    int ordinal; /* −1: there is no device, kernels are only compiled */
    void *context;
    bool retained; /* the context is the primary one, held by us */
    pid_t owner;   /* the process that opened it */
    atomic_bool lost;
    char target[DCNV4I_TARGET_NAME];
    dcnv4i_limits limits;
    dcnv4_device_info info;
    dcnv4i_identity identity;
    char own[IDENTITY], portable[IDENTITY], other[DCNV4I_MOST_RELATIVES][IDENTITY];
    const char *others[DCNV4I_MOST_RELATIVES + 1];
} module_device;

/* ---- Errors ------------------------------------------------------------------------------------------------------------- */

/* After these the context, and in CUDA the process, cannot go on with the device. */
static bool is_loss(int error) {
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

dcnv4_status dcnv4i_module_fail(const dcnv4i_module_api *api, const char *doing, int error) {
    const char *const name = api->error_name(error);
    if (api->forget_error)
        api->forget_error();
    if (is_loss(error))
        return dcnv4i_fail(DCNV4_DEVICE_LOST,
                           "%s broke while %s: %s (error %d); destroy this context, and start a new process if a new "
                           "one fails too",
                           api->what, doing, name, error);
    switch (error) {
    case DCNV4I_ERROR_OUT_OF_MEMORY:
    case DCNV4I_ERROR_OUT_OF_RESOURCES:
        return dcnv4i_fail(DCNV4_OUT_OF_DEVICE_MEMORY, "%s has not the memory or resources for %s: %s (error %d)",
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

static dcnv4_status fail(module_device *d, const char *doing, int error) {
    if (is_loss(error))
        atomic_store(&d->lost, true);
    return dcnv4i_module_fail(d->api, doing, error);
}

/* After a failure that changes nothing for the caller. */
static void ignore(const module_device *d, int error) {
    if (error != 0 && d->api->forget_error)
        d->api->forget_error();
}

static bool is_owner(const module_device *d) {
    return d->owner == getpid();
}

static dcnv4_status usable(void *device) {
    const module_device *d = device;
    if (!is_owner(d))
        return dcnv4i_fail(DCNV4_FORKED,
                           "the context on %s was made by process %ld and carried over a fork() to %ld; make a new "
                           "one",
                           d->info.name, (long)d->owner, (long)getpid());
    if (atomic_load(&d->lost))
        return dcnv4i_fail(DCNV4_DEVICE_LOST, "%s was lost earlier; its context cannot be used any more", d->info.name);
    return DCNV4_SUCCESS;
}

/* ---- The device, current for as long as a function here needs it ----------------------------------------------------------- */

static dcnv4_status enter(module_device *d, int *before) {
    if (d->ordinal < 0)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s only compiles: there is no device behind it to run on",
                           d->info.name);
    const int error = d->api->enter(d->ordinal, d->context, before);
    return error == 0 ? DCNV4_SUCCESS : fail(d, "making the device current", error);
}

/* After a failure the first one counts. */
static dcnv4_status leave(module_device *d, int before, dcnv4_status status) {
    const int error = d->api->leave(before);
    if (status == DCNV4_SUCCESS && error != 0)
        return fail(d, "making the caller's device current", error);
    ignore(d, error);
    return status;
}

/* ---- Opening and closing -------------------------------------------------------------------------------------------------- */

static void close_device(void *device) {
    module_device *d = device;
    if (d->retained && is_owner(d))
        d->api->release(d->ordinal);
    free(d);
}

static void name_identity(const module_device *d, const char *target, char *identity) {
    snprintf(identity, IDENTITY, "%s\ntarget %s", d->api->backend, target);
}

/* A binary depends on its target alone: it is the same whichever driver loads it, and whoever compiled it. */
static void identify(module_device *d, bool ahead) {
    dcnv4i_relatives found = {.count = 0};
    if (d->api->relatives)
        d->api->relatives(d->target, &found);
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

static const dcnv4i_driver module_driver;

static module_device *make(const dcnv4i_module_api *api, int ordinal, const char *target) {
    module_device *d = calloc(1, sizeof *d);
    if (!d) {
        dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *d);
        return NULL;
    }
    d->api = api;
    d->driver = module_driver;
    d->driver.words = api->words;
    d->ordinal = ordinal;
    d->owner = getpid();
    d->limits = dcnv4i_target_limits(api->backend);
    snprintf(d->target, sizeof d->target, "%s", target);
    atomic_init(&d->lost, false);
    identify(d, ordinal < 0);
    return d;
}

dcnv4_device_info dcnv4i_module_describe(const dcnv4i_module_api *api, int ordinal, const dcnv4i_module_facts *facts) {
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

dcnv4_status dcnv4i_module_open(const dcnv4i_module_api *api, int ordinal, void *callers_context,
                                const dcnv4i_module_facts *facts, void **device) {
    module_device *d = make(api, ordinal, facts->target);
    if (!d)
        return DCNV4_OUT_OF_MEMORY;
    d->info = dcnv4i_module_describe(api, ordinal, facts);
    d->limits.units = facts->units;
    d->limits.work_group = smaller(d->limits.work_group, facts->work_group);
    d->limits.local_memory = smaller(d->limits.local_memory, facts->local_memory);
    d->context = callers_context;
    if (!callers_context && api->retain) {
        const int error = api->retain(ordinal, &d->context);
        d->retained = error == 0;
        if (error != 0) {
            close_device(d);
            return dcnv4i_module_fail(api, "making the device's primary context", error);
        }
    }
    *device = d;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_module_open_target(const dcnv4i_module_api *api, const dcnv4i_target *target, void **device) {
    module_device *d = make(api, -1, target->name);
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

const dcnv4i_driver *dcnv4i_module_driver(const void *device) {
    return &((const module_device *)device)->driver;
}

const dcnv4i_identity *dcnv4i_module_identity(const void *device) {
    return &((const module_device *)device)->identity;
}

const dcnv4i_limits *dcnv4i_module_limits(const void *device) {
    return &((const module_device *)device)->limits;
}

const dcnv4_device_info *dcnv4i_module_info(const void *device) {
    return &((const module_device *)device)->info;
}

/* ---- Modules ---------------------------------------------------------------------------------------------------------------- */

/* Gives a module or memory back; there is nobody to tell of a failure. */
static void give_back(void *device, int (*how)(void *), void *what) {
    module_device *d = device;
    int before;
    if (d->ordinal < 0 || !is_owner(d))
        return;
    const int error = d->api->enter(d->ordinal, d->context, &before);
    ignore(d, error);
    if (error == 0) {
        ignore(d, how(what));
        ignore(d, d->api->leave(before));
    }
}

static void unload(void *device, void *module) {
    give_back(device, ((module_device *)device)->api->module_unload, module);
}

/* Without a device any binary that was kept for this target will do; it is only looked at. */
static int no_module;

static dcnv4_status load(void *device, const void *binary, size_t size, void **module) {
    module_device *d = device;
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

static dcnv4_status compile(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable) {
    module_device *d = device;
    dcnv4i_binary made = {NULL, 0};
    dcnv4_status status = d->api->compile(d->target, d->ordinal < 0, source, &made, portable);
    if (status == DCNV4_SUCCESS)
        status = load(d, made.bytes, made.size, module);
    if (status == DCNV4_SUCCESS && binary)
        *binary = made;
    else
        free(made.bytes);
    return status;
}

static dcnv4_status kernel_create(void *device, void *module, const char *name, void **kernel) {
    module_device *d = device;
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
    (void)device, (void)kernel; /* it goes with its module */
}

/* ---- Launches --------------------------------------------------------------------------------------------------------------- */

static int launch_one(const module_device *d, const dcnv4i_launch *launch, void *stream) {
    void *arguments[DCNV4I_MAX_ARGUMENTS];
    for (int i = 0; i < launch->argument_count; ++i) {
        const dcnv4i_argument *a = &launch->arguments[i];
        arguments[i] = a->is_handle ? (void *)&a->handle : (void *)&a->number;
    }
    return d->api->launch(launch->kernel, (unsigned)launch->groups, (unsigned)launch->work_group, stream, arguments);
}

static dcnv4_status start(void *device, const dcnv4i_launch *launches, int count, void *stream) {
    module_device *d = device;
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

static dcnv4_status wait(module_device *d, dcnv4_status status) {
    const int error = status == DCNV4_SUCCESS ? d->api->stream_synchronize(NULL) : 0;
    return error == 0 ? status : fail(d, "waiting for its default stream", error);
}

static dcnv4_status synchronize(void *device) {
    module_device *d = device;
    int before;
    const dcnv4_status status = enter(d, &before);
    return status == DCNV4_SUCCESS ? leave(d, before, wait(d, status)) : status;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------------------- */

static void buffer_destroy(void *device, void *handle) {
    give_back(device, ((module_device *)device)->api->give_back, handle);
}

static dcnv4_status buffer_create(void *device, size_t length, void **handle) {
    module_device *d = device;
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
    module_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = d->api->to_device((char *)handle + offset, source, length);
    if (error != 0)
        status = fail(d, "copying to the device", error);
    return leave(d, before, wait(d, status));
}

static dcnv4_status download(void *device, void *handle, size_t offset, void *target, size_t length) {
    module_device *d = device;
    int before;
    dcnv4_status status = enter(d, &before);
    if (status != DCNV4_SUCCESS)
        return status;
    const int error = d->api->to_host(target, (const char *)handle + offset, length);
    if (error != 0)
        status = fail(d, "copying from the device", error);
    return leave(d, before, status);
}

static const dcnv4i_driver module_driver = {
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
