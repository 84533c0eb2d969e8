#include "gpu_caller.h"

#include <string.h>

static gpu_caller caller;

static struct {
    int32_t (*init)(unsigned);
    int32_t (*retain)(void **context, int device);
    int32_t (*release)(int device);
    int32_t (*push)(void *context);
    int32_t (*pop)(void **context);
    int32_t (*get_current)(void **context);
    int32_t (*stream_create)(void **stream, unsigned flags);
} cuda;

static struct {
    int32_t (*set_device)(int device);
    int32_t (*get_device)(int *device);
} hip;

static int held; /* the device whose primary context make_current holds */

static int32_t cuda_make_current(int device) {
    void *context = NULL;
    held = device;
    int32_t error = cuda.init(0);
    if (!error)
        error = cuda.retain(&context, device);
    return error ? error : cuda.push(context);
}

static void cuda_leave(void) {
    cuda.pop(NULL);
    cuda.release(held);
}

static void *cuda_current(void) {
    void *context = NULL;
    assert_int_equal(cuda.get_current(&context), 0);
    return context;
}

static int32_t cuda_stream_create(void **stream) {
    return cuda.stream_create(stream, 1); /* non-blocking: it does not wait for the default stream */
}

static void hip_leave(void) {
    hip.set_device(0);
}

static void *hip_current(void) {
    int device = -1;
    assert_int_equal(hip.get_device(&device), 0);
    return &caller + device;
}

typedef struct named {
    const char *name;
    void *entry;
} named;

static void find_all(const char *library, const named *all, size_t count) {
    for (size_t i = 0; i < count; ++i)
        fault_entry(library, all[i].name, all[i].entry);
}

static void find_cuda(void) {
    static const char library[] = "libcuda.so.1";
    const named all[] = {
        {"cuInit", &cuda.init},
        {"cuDevicePrimaryCtxRetain", &cuda.retain},
        {"cuDevicePrimaryCtxRelease_v2", &cuda.release},
        {"cuCtxPushCurrent_v2", &cuda.push},
        {"cuCtxPopCurrent_v2", &cuda.pop},
        {"cuCtxGetCurrent", &cuda.get_current},
        {"cuStreamCreate", &cuda.stream_create},
        {"cuStreamDestroy_v2", &caller.stream_destroy},
        {"cuStreamSynchronize", &caller.stream_synchronize},
        {"cuStreamBeginCapture_v2", &caller.capture_begin},
        {"cuStreamEndCapture", &caller.capture_end},
        {"cuGraphLaunch", &caller.graph_launch},
        {"cuGraphDestroy", &caller.graph_destroy},
    };
    find_all(library, all, sizeof all / sizeof *all);
    caller.control = fault_control(library);
    caller.device = "cuda:0", caller.other = "cuda:1", caller.adopt = dcnv4_context_adopt_cuda;
    caller.make_current = cuda_make_current, caller.leave = cuda_leave, caller.current = cuda_current;
    caller.stream_create = cuda_stream_create;
}

static void find_hip(void) {
    static const char library[] = "libamdhip64.so.6";
    const named all[] = {
        {"hipSetDevice", &hip.set_device},
        {"hipGetDevice", &hip.get_device},
        {"hipStreamCreate", &caller.stream_create},
        {"hipStreamDestroy", &caller.stream_destroy},
        {"hipStreamSynchronize", &caller.stream_synchronize},
        {"hipStreamBeginCapture", &caller.capture_begin},
        {"hipStreamEndCapture", &caller.capture_end},
        {"hipGraphLaunch", &caller.graph_launch},
        {"hipGraphDestroy", &caller.graph_destroy},
        {"hipGetLastError", &caller.last_error},
    };
    find_all(library, all, sizeof all / sizeof *all);
    caller.control = fault_control(library);
    caller.device = "hip:0", caller.other = "hip:1", caller.adopt = dcnv4_context_adopt_hip;
    caller.make_current = hip.set_device, caller.leave = hip_leave, caller.current = hip_current;
}

const gpu_caller *gpu_caller_of(const char *backend) {
    if (!caller.backend) {
        caller.backend = backend;
        if (strcmp(backend, "cuda") == 0)
            find_cuda();
        else
            find_hip();
    }
    return &caller;
}
