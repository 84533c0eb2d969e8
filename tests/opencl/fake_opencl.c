/* Stands in for libOpenCL.so.1: one platform, one GPU, kernels that do nothing. It counts calls, fails the one that it is
 * told to, and knows which objects are alive. $FAKE_OPENCL selects a variant: no_platform, no_device, pocl and rusticl
 * (also without a device), wide and narrow (a processor instead, with vectors of 8 floats; llvmpipe, with those of 1),
 * abort, exit, trap, interrupted, prints or hang. */
#include "../fakes/fake_calls.h"
#include "../../backends/opencl/opencl_api.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DECLARE(result, name, arguments) FAKE_EXPORT result name arguments;
DCNV4I_OPENCL_ENTRIES(DECLARE)
#undef DECLARE

enum { CONTEXT = 0x5ca1ab1e, QUEUE, BUFFER, PROGRAM, KERNEL, EVENT };

static int is(const char *what) {
    return fake_asked("FAKE_OPENCL", what);
}

static void *make(int kind, size_t size, cl_int *error) {
    return fake_make(kind, size, error);
}

static cl_int give_back(const void *handle, int kind) {
    fake_give_back(fake_use(handle, kind));
    return 0;
}

static cl_int answer(const void *bytes, size_t length, size_t room, void *to, size_t *needed) {
    const cl_int error = fake_called();
    if (error)
        return error;
    if (needed)
        *needed = length;
    if (to && room < length)
        return DCNV4I_CL_INVALID_VALUE;
    if (to)
        memcpy(to, bytes, length);
    return 0;
}

static int platform, device;
static atomic_int flushed; /* whether nothing was enqueued since the last clFlush */

cl_int clGetPlatformIDs(cl_uint room, cl_platform_id *platforms, cl_uint *found) {
    if (is("abort"))
        abort();
    if (is("exit"))
        exit(0);
    if (is("trap"))
        __builtin_trap();
    if (is("interrupted"))
        raise(SIGINT);
    if (is("prints")) {
        printf("what a driver prints\n");
        fprintf(stderr, "what a driver complains of\n");
        fflush(stdout);
    }
    while (is("hang"))
        pause();
    const cl_int error = fake_called();
    if (error)
        return error;
    *found = is("no_platform") ? 0 : 1;
    if (room > 0 && *found)
        platforms[0] = (cl_platform_id)&platform;
    return 0;
}

cl_int clGetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t room, void *to, size_t *needed) {
    static const char pocl[] = "Portable Computing Language", rusticl[] = "rusticl";
    (void)id, (void)what;
    if (is("rusticl"))
        return answer(rusticl, sizeof rusticl, room, to, needed);
    return is("pocl") ? answer(pocl, sizeof pocl, room, to, needed) : answer("fake", 5, room, to, needed);
}

cl_int clGetDeviceIDs(cl_platform_id id, cl_device_type type, cl_uint room, cl_device_id *devices, cl_uint *found) {
    (void)id, (void)type, (void)room;
    const cl_int error = fake_called();
    if (error)
        return error;
    if (is("no_device") || is("pocl") || is("rusticl"))
        return DCNV4I_CL_DEVICE_NOT_FOUND;
    *found = 1;
    devices[0] = (cl_device_id)&device;
    return 0;
}

cl_int clGetDeviceInfo(cl_device_id id, cl_device_info what, size_t room, void *to, size_t *needed) {
    const cl_ulong type = is("wide") || is("narrow") ? DCNV4I_CL_DEVICE_TYPE_CPU : DCNV4I_CL_DEVICE_TYPE_GPU;
    const cl_ulong memory = 1 << 20;
    const cl_uint one = 1, units = 4, width = is("wide") ? 8 : 1;
    const size_t work_group = 256;
    const char *const name = is("narrow") ? "llvmpipe (fake)" : "fake";
    if (id != (cl_device_id)&device)
        fake_misuse("a device is asked about that is none");
    switch (what) {
    case DCNV4I_CL_DEVICE_TYPE: return answer(&type, sizeof type, room, to, needed);
    case DCNV4I_CL_DEVICE_GLOBAL_MEM_SIZE:
    case DCNV4I_CL_DEVICE_LOCAL_MEM_SIZE: return answer(&memory, sizeof memory, room, to, needed);
    case DCNV4I_CL_DEVICE_MAX_WORK_GROUP_SIZE: return answer(&work_group, sizeof work_group, room, to, needed);
    case DCNV4I_CL_DEVICE_MAX_COMPUTE_UNITS: return answer(&units, sizeof units, room, to, needed);
    case DCNV4I_CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT: return answer(&width, sizeof width, room, to, needed);
    case DCNV4I_CL_DEVICE_COMPILER_AVAILABLE: return answer(&one, sizeof one, room, to, needed);
    case DCNV4I_CL_DEVICE_NAME: return answer(name, strlen(name) + 1, room, to, needed);
    default: return answer("fake", 5, room, to, needed);
    }
}

cl_context clCreateContext(const cl_context_properties *properties, cl_uint devices, const cl_device_id *ids,
                           void (*notify)(const char *, const void *, size_t, void *), void *data, cl_int *error) {
    (void)properties, (void)devices, (void)ids, (void)notify, (void)data;
    return make(CONTEXT, 0, error);
}

cl_int clRetainContext(cl_context context) {
    const cl_int error = fake_called();
    if (!error)
        fake_hold(fake_use(context, CONTEXT));
    return error;
}

cl_int clReleaseContext(cl_context context) {
    return give_back(context, CONTEXT);
}

cl_int clGetContextInfo(cl_context context, cl_context_info what, size_t room, void *to, size_t *needed) {
    cl_device_id id = (cl_device_id)&device;
    (void)what;
    fake_use(context, CONTEXT);
    return answer(&id, sizeof id, room, to, needed);
}

cl_command_queue clCreateCommandQueue(cl_context context, cl_device_id id, cl_command_queue_properties what,
                                      cl_int *error) {
    (void)id, (void)what;
    fake_use(context, CONTEXT);
    return make(QUEUE, 0, error);
}

cl_int clReleaseCommandQueue(cl_command_queue queue) {
    return give_back(queue, QUEUE);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *error) {
    (void)flags, (void)host;
    fake_use(context, CONTEXT);
    return make(BUFFER, size, error);
}

cl_int clReleaseMemObject(cl_mem buffer) {
    return give_back(buffer, BUFFER);
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint texts, const char **text, const size_t *lengths,
                                     cl_int *error) {
    (void)lengths;
    fake_use(context, CONTEXT);
    if (texts != 1 || !strstr(text[0], "dcn_"))
        fake_misuse("a program is made of a text that is none of ours");
    return make(PROGRAM, 0, error);
}

static const unsigned char binary[1000] = "what a fake compiler makes";

cl_program clCreateProgramWithBinary(cl_context context, cl_uint devices, const cl_device_id *ids, const size_t *sizes,
                                     const unsigned char **bytes, cl_int *statuses, cl_int *error) {
    (void)ids, (void)statuses;
    fake_use(context, CONTEXT);
    if (devices != 1 || sizes[0] != sizeof binary || memcmp(bytes[0], binary, sizeof binary) != 0)
        fake_misuse("a cache entry is believed that is not what was written");
    return make(PROGRAM, 0, error);
}

cl_int clBuildProgram(cl_program program, cl_uint devices, const cl_device_id *ids, const char *options,
                      void (*notify)(cl_program, void *), void *data) {
    (void)devices, (void)ids, (void)options, (void)notify, (void)data;
    fake_use(program, PROGRAM);
    return fake_called();
}

cl_int clGetProgramInfo(cl_program program, cl_program_info what, size_t room, void *to, size_t *needed) {
    const cl_uint one = 1;
    const cl_device_id id = (cl_device_id)&device;
    const size_t size = sizeof binary;
    fake_use(program, PROGRAM);
    if (what == DCNV4I_CL_PROGRAM_NUM_DEVICES)
        return answer(&one, sizeof one, room, to, needed);
    if (what == DCNV4I_CL_PROGRAM_DEVICES)
        return answer(&id, sizeof id, room, to, needed);
    if (what == DCNV4I_CL_PROGRAM_BINARY_SIZES)
        return answer(&size, sizeof size, room, to, needed);
    const cl_int error = fake_called();
    if (!error)
        memcpy(*(unsigned char **)to, binary, sizeof binary);
    return error;
}

cl_int clGetProgramBuildInfo(cl_program program, cl_device_id id, cl_program_build_info what, size_t room, void *to,
                             size_t *needed) {
    static const char log[] = "a note\nline 7: error: no such thing\nmore\n";
    (void)id, (void)what;
    fake_use(program, PROGRAM);
    return answer(log, sizeof log, room, to, needed);
}

cl_int clReleaseProgram(cl_program program) {
    return give_back(program, PROGRAM);
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *error) {
    fake_use(program, PROGRAM);
    if (strncmp(name, "dcn_", 4) != 0 && strncmp(name, "attn_", 5) != 0)
        fake_misuse("a kernel is asked for that is none of ours");
    return make(KERNEL, 0, error);
}

cl_int clReleaseKernel(cl_kernel kernel) {
    return give_back(kernel, KERNEL);
}

cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value) {
    (void)index, (void)value;
    fake_use(kernel, KERNEL);
    if (size != 8)
        fake_misuse("an argument has not 8 bytes");
    return fake_called();
}

/* Common to all commands: checks the events to wait for, and makes the command's event. */
static cl_int enqueue(cl_command_queue queue, cl_uint waits, const cl_event *list, cl_event *event) {
    cl_int error = 0;
    fake_use(queue, QUEUE);
    flushed = 0;
    for (cl_uint i = 0; i < waits; ++i)
        fake_use(list[i], EVENT);
    if (event)
        *event = make(EVENT, 0, &error);
    else
        error = fake_called();
    return error;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                              const size_t *global, const size_t *local, cl_uint waits, const cl_event *list,
                              cl_event *event) {
    fake_use(kernel, KERNEL);
    if (dimensions != 1 || offset || global[0] == 0 || local[0] == 0 || local[0] > 256 || global[0] % local[0] != 0)
        fake_misuse("a launch has an impossible geometry");
    fake_count(&fake_driver_control()->launches, 1);
    return enqueue(queue, waits, list, event);
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                           void *to, cl_uint waits, const cl_event *list, cl_event *event) {
    const fake_object *from = fake_use(buffer, BUFFER);
    const cl_int error = enqueue(queue, waits, list, event);
    if (!from || !blocking || offset + size > from->size)
        fake_misuse("a read is past the end or does not wait");
    else if (!error)
        memcpy(to, from->bytes + offset, size);
    return error;
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                            const void *from, cl_uint waits, const cl_event *list, cl_event *event) {
    const fake_object *to = fake_use(buffer, BUFFER);
    const cl_int error = enqueue(queue, waits, list, event);
    if (!to || !blocking || offset + size > to->size)
        fake_misuse("a write is past the end or does not wait");
    else if (!error)
        memcpy(to->bytes + offset, from, size);
    return error;
}

cl_int clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint waits, const cl_event *list, cl_event *event) {
    return enqueue(queue, waits, list, event);
}

cl_int clReleaseEvent(cl_event event) {
    return give_back(event, EVENT);
}

cl_int clFlush(cl_command_queue queue) {
    fake_use(queue, QUEUE);
    flushed = 1;
    return fake_called();
}

cl_int clFinish(cl_command_queue queue) {
    fake_use(queue, QUEUE);
    if (flushed)
        fake_misuse("clFinish follows clFlush, where rusticl's waits for nothing");
    return fake_called();
}
