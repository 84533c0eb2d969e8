#include "opencl_driver.h"
#include "../gpu/runtime/compiler.h"
#include "../gpu/runtime/kernel_text.h"
#include "../../core/fork.h"
#include "../../core/platform.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct opencl_device {
    const dcnv4i_opencl_api *api;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    unsigned made; /* the fork count of the process that opened it */
    atomic_bool lost;
    dcnv4i_mutex arguments; /* held from a kernel's first argument to its launch */
    const char *options;    /* of the compiler */
    bool compiler;
    dcnv4_device_info info;
    char own_identity[DCNV4I_OPENCL_IDENTITY];
    dcnv4i_identity identity;
} opencl_device;

/* Whether driver calls are still allowed: a child of fork() makes none. */
static bool is_owner(const opencl_device *d) {
    return d->made == dcnv4i_fork_count();
}

static dcnv4_status fail(opencl_device *d, const char *function, cl_int error) {
    const dcnv4_status status = dcnv4i_opencl_fail(function, error);
    if (status == DCNV4_DEVICE_LOST)
        atomic_store(&d->lost, true);
    return status;
}

/* Waits for all that is on the device's own queue. The marker is for rusticl (Mesa 22.3.6), whose clFinish does not wait
 * for what was flushed before it. */
static cl_int finish(const opencl_device *d) {
    const cl_int error = d->api->clEnqueueMarkerWithWaitList(d->queue, 0, NULL, NULL);
    return error == DCNV4I_CL_SUCCESS ? d->api->clFinish(d->queue) : error;
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

static void close_device(void *device) {
    opencl_device *d = device;
    if (is_owner(d)) {
        if (d->queue) {
            finish(d);
            d->api->clReleaseCommandQueue(d->queue);
        }
        if (d->context)
            d->api->clReleaseContext(d->context);
    }
    dcnv4i_mutex_destroy(&d->arguments);
    free(d);
}

static dcnv4_status open_context(opencl_device *d, cl_context callers) {
    cl_int error = DCNV4I_CL_SUCCESS;
    if (callers) {
        error = d->api->clRetainContext(callers);
        if (error != DCNV4I_CL_SUCCESS)
            return fail(d, "clRetainContext", error);
        d->context = callers;
    } else {
        d->context = d->api->clCreateContext(NULL, 1, &d->id, NULL, NULL, &error);
        if (!d->context)
            return fail(d, "clCreateContext", error);
    }
    d->queue = d->api->clCreateCommandQueue(d->context, d->id, 0, &error);
    return d->queue ? DCNV4_SUCCESS : fail(d, "clCreateCommandQueue", error);
}

dcnv4_status dcnv4i_opencl_open(const dcnv4i_opencl_api *api, cl_device_id id, cl_context context,
                                const dcnv4i_opencl_facts *facts, void **device) {
    opencl_device *d = dcnv4i_fork_watch() == DCNV4_SUCCESS ? calloc(1, sizeof *d) : NULL;
    if (!d || !dcnv4i_mutex_init(&d->arguments)) {
        free(d);
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *d);
    }
    d->api = api;
    d->id = id;
    d->made = dcnv4i_fork_count();
    /* Without -w, PoCL's compiler prints the number of its warnings to the caller's stderr. */
    d->options = facts->limits.atomics == DCNV4I_ATOMICS_EXTENSION ? "-w -cl-std=CL3.0" : "-w -cl-std=CL1.2";
    d->compiler = facts->compiler;
    d->info = facts->info;
    memcpy(d->own_identity, facts->identity, sizeof d->own_identity);
    d->identity = (dcnv4i_identity){.own = d->own_identity, .machine = d->own_identity};
    atomic_init(&d->lost, false);
    const dcnv4_status status = open_context(d, context);
    if (status == DCNV4_SUCCESS)
        *device = d;
    else
        close_device(d);
    return status;
}

const dcnv4_device_info *dcnv4i_opencl_info(const void *device) {
    return &((const opencl_device *)device)->info;
}

const dcnv4i_identity *dcnv4i_opencl_identity(const void *device) {
    return &((const opencl_device *)device)->identity;
}

static dcnv4_status usable(void *device) {
    opencl_device *d = device;
    if (!is_owner(d))
        return dcnv4i_fork_refuse(d->info.name);
    if (atomic_load(&d->lost))
        return dcnv4i_fail(DCNV4_DEVICE_LOST, "%s was lost earlier; its context cannot be used any more", d->info.name);
    return DCNV4_SUCCESS;
}

/* ---- Modules ----------------------------------------------------------------------------------------------------- */

static dcnv4_status build_failed(opencl_device *d, cl_program program) {
    char log[4096];
    size_t length = 0;
    if (d->api->clGetProgramBuildInfo(program, d->id, DCNV4I_CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, &length) !=
            DCNV4I_CL_SUCCESS ||
        length >= sizeof log)
        length = 0;
    log[length] = '\0';
    return dcnv4i_build_failed("the driver's compiler", d->info.name, log);
}

static dcnv4_status build(opencl_device *d, cl_program program, const char *options) {
    const cl_int error = d->api->clBuildProgram(program, 1, &d->id, options, NULL, NULL);
    if (error == DCNV4I_CL_SUCCESS)
        return DCNV4_SUCCESS;
    return error == DCNV4I_CL_BUILD_PROGRAM_FAILURE ? build_failed(d, program) : fail(d, "clBuildProgram", error);
}

/* Gets the program's binary for this device. The program may also be built for other devices of a caller's context,
 * whose binaries are skipped by passing NULL. */
static void take_binary(const opencl_device *d, cl_program program, dcnv4i_binary *binary) {
    cl_uint count = 0;
    cl_device_id devices[16];
    size_t sizes[16];
    unsigned char *binaries[16] = {NULL};
    if (d->api->clGetProgramInfo(program, DCNV4I_CL_PROGRAM_NUM_DEVICES, sizeof count, &count, NULL) !=
            DCNV4I_CL_SUCCESS ||
        count == 0 || count > 16 ||
        d->api->clGetProgramInfo(program, DCNV4I_CL_PROGRAM_DEVICES, count * sizeof *devices, devices, NULL) !=
            DCNV4I_CL_SUCCESS ||
        d->api->clGetProgramInfo(program, DCNV4I_CL_PROGRAM_BINARY_SIZES, count * sizeof *sizes, sizes, NULL) !=
            DCNV4I_CL_SUCCESS)
        return;
    cl_uint own = 0;
    while (own < count && devices[own] != d->id)
        ++own;
    if (own == count || sizes[own] == 0 || !(binaries[own] = malloc(sizes[own])))
        return;
    if (d->api->clGetProgramInfo(program, DCNV4I_CL_PROGRAM_BINARIES, count * sizeof *binaries, binaries, NULL) ==
        DCNV4I_CL_SUCCESS) {
        binary->bytes = binaries[own];
        binary->size = sizes[own];
    } else
        free(binaries[own]);
}

static dcnv4_status compile(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable) {
    opencl_device *d = device;
    (void)portable;
    cl_int error = DCNV4I_CL_SUCCESS;
    if (!d->compiler)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                           "the driver of %s has no compiler, and no kernel for this layer is in the "
                           "cache folder",
                           d->info.name);
    cl_program program = d->api->clCreateProgramWithSource(d->context, 1, &source, NULL, &error);
    if (!program)
        return fail(d, "clCreateProgramWithSource", error);
    const dcnv4_status status = build(d, program, d->options);
    if (status != DCNV4_SUCCESS) {
        d->api->clReleaseProgram(program);
        return status;
    }
    if (binary)
        take_binary(d, program, binary);
    *module = program;
    return DCNV4_SUCCESS;
}

static dcnv4_status load(void *device, const void *binary, size_t size, void **module) {
    opencl_device *d = device;
    const unsigned char *bytes = binary;
    cl_int error = DCNV4I_CL_SUCCESS, of_binary = DCNV4I_CL_SUCCESS;
    cl_program program = d->api->clCreateProgramWithBinary(d->context, 1, &d->id, &size, &bytes, &of_binary, &error);
    if (!program)
        return fail(d, "clCreateProgramWithBinary", error);
    const dcnv4_status status = build(d, program, d->options);
    if (status == DCNV4_SUCCESS)
        *module = program;
    else
        d->api->clReleaseProgram(program);
    return status;
}

static void unload(void *device, void *module) {
    const opencl_device *d = device;
    if (is_owner(d))
        d->api->clReleaseProgram(module);
}

static dcnv4_status kernel_create(void *device, void *module, const char *name, void **kernel) {
    opencl_device *d = device;
    cl_int error = DCNV4I_CL_SUCCESS;
    cl_kernel made = d->api->clCreateKernel(module, name, &error);
    if (!made)
        return fail(d, "clCreateKernel", error);
    *kernel = made;
    return DCNV4_SUCCESS;
}

static void kernel_destroy(void *device, void *kernel) {
    const opencl_device *d = device;
    if (is_owner(d))
        d->api->clReleaseKernel(kernel);
}

/* ---- Launches ---------------------------------------------------------------------------------------------------- */

static dcnv4_status set_arguments(opencl_device *d, const dcnv4i_launch *launch) {
    for (int i = 0; i < launch->argument_count; ++i) {
        const dcnv4i_argument *a = &launch->arguments[i];
        /* A cl_mem or a long; an empty tensor has no buffer, which is passed as a NULL cl_mem. */
        const cl_int error = a->is_handle
                                 ? d->api->clSetKernelArg(launch->kernel, (cl_uint)i, sizeof(cl_mem), &a->handle)
                                 : d->api->clSetKernelArg(launch->kernel, (cl_uint)i, sizeof a->number, &a->number);
        if (error != DCNV4I_CL_SUCCESS)
            return fail(d, "clSetKernelArg", error);
    }
    return DCNV4_SUCCESS;
}

/* Enqueues one launch after the events in waits; event, unless NULL, receives its event. Plans and threads share
 * kernels, hence the lock. */
static dcnv4_status start_one(opencl_device *d, const dcnv4i_launch *launch, cl_command_queue queue, cl_uint wait_count,
                              const cl_event *waits, cl_event *event) {
    const size_t local = (size_t)launch->work_group, global = (size_t)launch->groups * local;
    dcnv4i_mutex_lock(&d->arguments);
    dcnv4_status status = set_arguments(d, launch);
    if (status == DCNV4_SUCCESS) {
        const cl_int error = d->api->clEnqueueNDRangeKernel(queue, launch->kernel, 1, NULL, &global, &local, wait_count,
                                                            waits, event);
        if (error != DCNV4I_CL_SUCCESS)
            status = fail(d, "clEnqueueNDRangeKernel", error);
    }
    dcnv4i_mutex_unlock(&d->arguments);
    return status;
}

/* On the device's own queue, which runs everything in order. */
static dcnv4_status start_on_own(opencl_device *d, const dcnv4i_launch *launches, int count) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < count && status == DCNV4_SUCCESS; ++i)
        status = start_one(d, &launches[i], d->queue, 0, NULL, NULL);
    if (status != DCNV4_SUCCESS || count == 0)
        return status;
    const cl_int error = d->api->clFlush(d->queue);
    return error == DCNV4I_CL_SUCCESS ? DCNV4_SUCCESS : fail(d, "clFlush", error);
}

/* On the caller's queue, which may run commands in any order: each launch waits for the one before it. */
static dcnv4_status start_on_callers(opencl_device *d, const dcnv4i_launch *launches, int count,
                                     const dcnv4_opencl_stream *stream) {
    const cl_event *const waits = (const cl_event *)stream->wait_list;
    const cl_uint wait_count = (cl_uint)stream->wait_count;
    cl_event before = NULL, event = NULL;
    dcnv4_status status = DCNV4_SUCCESS;
    if (count == 0 && stream->event) {
        const cl_int error = d->api->clEnqueueMarkerWithWaitList(stream->queue, wait_count, wait_count ? waits : NULL,
                                                                 &before);
        if (error != DCNV4I_CL_SUCCESS)
            return fail(d, "clEnqueueMarkerWithWaitList", error);
    }
    for (int i = 0; i < count && status == DCNV4_SUCCESS; ++i) {
        cl_event *const own = i + 1 < count || stream->event ? &event : NULL;
        status = before ? start_one(d, &launches[i], stream->queue, 1, &before, own)
                        : start_one(d, &launches[i], stream->queue, wait_count, wait_count ? waits : NULL, own);
        if (status == DCNV4_SUCCESS) {
            if (before)
                d->api->clReleaseEvent(before);
            before = event;
            event = NULL;
        }
    }
    if (status == DCNV4_SUCCESS && stream->event)
        *stream->event = before;
    else if (before)
        d->api->clReleaseEvent(before);
    return status;
}

static dcnv4_status start(void *device, const dcnv4i_launch *launches, int count, void *given) {
    opencl_device *d = device;
    dcnv4_opencl_stream stream = DCNV4_OPENCL_STREAM_INIT;
    if (!given)
        return start_on_own(d, launches, count);
    const size_t size = *(const size_t *)given;
    if (size != sizeof stream)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "dcnv4_opencl_stream.size is %zu, it must be %zu; start from its _INIT macro", size,
                           sizeof stream);
    memcpy(&stream, given, sizeof stream);
    if (!stream.queue)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_opencl_stream.queue is NULL");
    if (stream.wait_count > UINT32_MAX || (stream.wait_count > 0 && !stream.wait_list))
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_opencl_stream has wait_count %zu and %s wait_list",
                           stream.wait_count, stream.wait_list ? "a" : "no");
    return start_on_callers(d, launches, count, &stream);
}

static dcnv4_status synchronize(void *device) {
    opencl_device *d = device;
    const cl_int error = finish(d);
    return error == DCNV4I_CL_SUCCESS ? DCNV4_SUCCESS : fail(d, "clFinish", error);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static dcnv4_status buffer_create(void *device, size_t length, void **handle) {
    opencl_device *d = device;
    cl_int error = DCNV4I_CL_SUCCESS;
    cl_mem made = d->api->clCreateBuffer(d->context, DCNV4I_CL_MEM_READ_WRITE, length, NULL, &error);
    if (!made) {
        const dcnv4_status status = fail(d, "clCreateBuffer", error);
        return status == DCNV4_OUT_OF_DEVICE_MEMORY
                   ? dcnv4i_fail(status, "%s has no room for a buffer of %zu bytes (error %d)", d->info.name, length,
                                 (int)error)
                   : status;
    }
    *handle = made;
    return DCNV4_SUCCESS;
}

static void buffer_destroy(void *device, void *handle) {
    const opencl_device *d = device;
    if (is_owner(d))
        d->api->clReleaseMemObject(handle);
}

static dcnv4_status upload(void *device, void *handle, size_t offset, const void *source, size_t length) {
    opencl_device *d = device;
    const cl_int error = d->api->clEnqueueWriteBuffer(d->queue, handle, 1, offset, length, source, 0, NULL, NULL);
    return error == DCNV4I_CL_SUCCESS ? DCNV4_SUCCESS : fail(d, "clEnqueueWriteBuffer", error);
}

static dcnv4_status download(void *device, void *handle, size_t offset, void *target, size_t length) {
    opencl_device *d = device;
    const cl_int error = d->api->clEnqueueReadBuffer(d->queue, handle, 1, offset, length, target, 0, NULL, NULL);
    return error == DCNV4I_CL_SUCCESS ? DCNV4_SUCCESS : fail(d, "clEnqueueReadBuffer", error);
}

const dcnv4i_driver dcnv4i_opencl_driver = {
    .vocabulary = dcnv4i_vocabulary_opencl,
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
