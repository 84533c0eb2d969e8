/* Stands in for libcuda.so.1: devices of compute capability 9.0 whose kernels
 * run on the host. $FAKE_CUDA selects a variant: no_device, abort, newer (capability 10.0), little_memory (local),
 * old_driver, refuses_binaries (it takes PTX), refuses_all. */
#include "../../backends/cuda/cuda_api.h"
#include "../fakes/fake_compilation.h"
#include "../fakes/fake_device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE(result, name, arguments) FAKE_EXPORT result name arguments;
DCNV4I_CUDA_ENTRIES(DECLARE)
/* Functions that only callers of the library use. */
DECLARE(CUresult, cuCtxSynchronize, (void))
DECLARE(CUresult, cuCtxCreate_v2, (CUcontext *, unsigned, CUdevice))
DECLARE(CUresult, cuCtxDestroy_v2, (CUcontext))
DECLARE(CUresult, cuStreamCreate, (CUstream *, unsigned))
DECLARE(CUresult, cuStreamDestroy_v2, (CUstream))
DECLARE(CUresult, cuStreamBeginCapture_v2, (CUstream, int))
DECLARE(CUresult, cuStreamEndCapture, (CUstream, void **))
DECLARE(CUresult, cuGraphLaunch, (void *, CUstream))
DECLARE(CUresult, cuGraphDestroy, (void *))
#undef DECLARE

enum { MOST_DEVICES = 4, DEPTH = 16, NOT_INITIALIZED = 3 };

#define ANSWER(error)                  \
    do {                               \
        const CUresult failed = error; \
        if (failed)                    \
            return failed;             \
    } while (0)
#define CALL() ANSWER(fake_called())
#define DEVICE_CALL() ANSWER(fake_called_on_device())

static bool is_initialized;

static bool is_newer(void) {
    return fake_asked("FAKE_CUDA", "newer");
}

/* ---- Devices ------------------------------------------------------------------------------------------------------------ */

CUresult cuInit(unsigned flags) {
    if (fake_asked("FAKE_CUDA", "abort"))
        abort();
    CALL();
    is_initialized = flags == 0;
    return fake_asked("FAKE_CUDA", "no_device") ? FAKE_NO_DEVICE : FAKE_OK;
}

CUresult cuDriverGetVersion(int *version) {
    CALL();
    *version = fake_asked("FAKE_CUDA", "old_driver") ? 10020 : 12040;
    return FAKE_OK;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = error ? "CUDA_ERROR_OF_A_FAKE" : "CUDA_SUCCESS";
    return FAKE_OK;
}

CUresult cuDeviceGetCount(int *count) {
    CALL();
    *count = fake_device_count();
    return is_initialized ? FAKE_OK : NOT_INITIALIZED;
}

CUresult cuDeviceGet(CUdevice *device, int number) {
    CALL();
    *device = number;
    return number >= 0 && number < fake_device_count() ? FAKE_OK : FAKE_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int room, CUdevice device) {
    CALL();
    snprintf(name, (size_t)room, "fake NVIDIA %d", device);
    return FAKE_OK;
}

CUresult cuDeviceTotalMem_v2(size_t *size, CUdevice device) {
    CALL();
    (void)device;
    *size = FAKE_DEVICE_MEMORY;
    return FAKE_OK;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    CALL();
    if (device < 0 || device >= fake_device_count())
        return FAKE_INVALID_DEVICE;
    switch (attribute) {
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
        *value = fake_asked("FAKE_CUDA", "little_memory") ? 4096 : 49152;
        break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = is_newer() ? 10 : 9; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    default: return FAKE_INVALID_VALUE;
    }
    return FAKE_OK;
}

/* ---- Contexts: each thread has a stack of them ---------------------------------------------------------------------------- */

static fake_object *primary[MOST_DEVICES];
static pthread_mutex_t primary_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local fake_object *stack[DEPTH];
static _Thread_local int depth;

static fake_object *current(void) {
    return depth > 0 ? fake_use(stack[depth - 1], FAKE_CONTEXT) : NULL;
}

#define CURRENT(name)                    \
    fake_object *const name = current(); \
    if (!name)                           \
    return FAKE_INVALID_CONTEXT

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    CALL();
    if (device < 0 || device >= fake_device_count())
        return FAKE_INVALID_DEVICE;
    pthread_mutex_lock(&primary_lock);
    if (!fake_hold(primary[device]))
        primary[device] = fake_context_make(device);
    *context = primary[device];
    pthread_mutex_unlock(&primary_lock);
    return FAKE_OK;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    pthread_mutex_lock(&primary_lock);
    fake_give_back(fake_use(primary[device], FAKE_CONTEXT));
    pthread_mutex_unlock(&primary_lock);
    return FAKE_OK;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
    (void)flags;
    CALL();
    *context = fake_context_make(device);
    return cuCtxPushCurrent_v2(*context);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    if (depth > 0 && stack[depth - 1] == context)
        --depth;
    fake_give_back(fake_use(context, FAKE_CONTEXT));
    return FAKE_OK;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    CALL();
    *context = depth > 0 ? stack[depth - 1] : NULL;
    return FAKE_OK;
}

CUresult cuCtxGetDevice(CUdevice *device) {
    CALL();
    CURRENT(context);
    *device = fake_context_device(context);
    return FAKE_OK;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    CALL();
    if (depth == DEPTH || !fake_use(context, FAKE_CONTEXT))
        return FAKE_INVALID_CONTEXT;
    stack[depth++] = context;
    return FAKE_OK;
}

/* A release: it is not counted, and works on a lost device, too. */
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (depth == 0)
        return FAKE_INVALID_CONTEXT;
    --depth;
    if (context)
        *context = stack[depth];
    return FAKE_OK;
}

CUresult cuCtxSynchronize(void) {
    DEVICE_CALL();
    CURRENT(context);
    return fake_context_synchronize(context);
}

/* ---- Streams and graphs ---------------------------------------------------------------------------------------------------- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    DEVICE_CALL();
    CURRENT(context);
    *stream = fake_stream_make(context, flags == 0);
    return FAKE_OK;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    if (fake_use(stream, FAKE_STREAM))
        fake_stream_free(stream);
    return FAKE_OK;
}

CUresult cuStreamSynchronize(CUstream stream) {
    DEVICE_CALL();
    CURRENT(context);
    return fake_stream_synchronize(context, stream);
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    DEVICE_CALL();
    (void)mode;
    return fake_use(stream, FAKE_STREAM) ? fake_capture_begin(stream) : FAKE_INVALID_HANDLE;
}

CUresult cuStreamEndCapture(CUstream stream, void **graph) {
    DEVICE_CALL();
    return fake_use(stream, FAKE_STREAM) ? fake_capture_end(stream, (fake_object **)graph) : FAKE_INVALID_HANDLE;
}

CUresult cuGraphLaunch(void *graph, CUstream stream) {
    DEVICE_CALL();
    CURRENT(context);
    return fake_use(graph, FAKE_GRAPH) ? fake_graph_launch(context, graph, stream) : FAKE_INVALID_HANDLE;
}

CUresult cuGraphDestroy(void *graph) {
    if (fake_use(graph, FAKE_GRAPH))
        fake_graph_free(graph);
    return FAKE_OK;
}

/* ---- Modules ---------------------------------------------------------------------------------------------------------------- */

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    DEVICE_CALL();
    CURRENT(context);
    const CUresult forbidden = fake_forbidden_in_capture();
    if (forbidden)
        return forbidden;
    fake_object *loaded = NULL;
    const bool all = fake_asked("FAKE_CUDA", "refuses_all"),
               binaries = all || fake_asked("FAKE_CUDA", "refuses_binaries");
    const char *const architecture = is_newer() ? "sm_100" : "sm_90";
    CUresult error = binaries ? FAKE_NO_BINARY : fake_module_load(context, image, architecture, &loaded);
    if (error == FAKE_NO_BINARY && !binaries && !is_newer())
        error = fake_module_load(context, image, "sm_90a", &loaded);
    if (error == FAKE_NO_BINARY && !all) /* it may be PTX, which the driver compiles for any device */
        error = fake_module_load(context, image, "any", &loaded);
    *module = loaded;
    return error;
}

CUresult cuModuleUnload(CUmodule module) {
    if (fake_use(module, FAKE_MODULE))
        fake_module_unload(module);
    return FAKE_OK;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    DEVICE_CALL();
    fake_object *found = NULL;
    const CUresult error = fake_use(module, FAKE_MODULE) ? fake_kernel_find(module, name, &found) : FAKE_INVALID_HANDLE;
    *function = found;
    return error;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    DEVICE_CALL();
    if (!fake_use(function, FAKE_KERNEL))
        return FAKE_INVALID_HANDLE;
    *value = attribute == DCNV4I_CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? fake_kernel_work_group(function) : 0;
    return FAKE_OK;
}

CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned items_x, unsigned items_y,
                        unsigned items_z, unsigned local_memory, CUstream stream, void **arguments, void **extra) {
    DEVICE_CALL();
    CURRENT(context);
    fake_work work;
    const unsigned groups[3] = {x, y, z}, items[3] = {items_x, items_y, items_z};
    const CUresult error = extra ? FAKE_INVALID_VALUE
                                 : fake_work_launch(function, groups, items, local_memory, arguments, &work);
    return error ? error : fake_launch(context, stream, &work);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------------------- */

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    DEVICE_CALL();
    CURRENT(context);
    const CUresult forbidden = fake_forbidden_in_capture();
    void *made = NULL;
    if (forbidden || size == 0)
        return forbidden ? forbidden : FAKE_INVALID_VALUE;
    const CUresult error = fake_memory_allocate(fake_context_device(context), size, &made);
    *address = (CUdeviceptr)made;
    return error;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    CURRENT(context);
    const CUresult error = fake_context_synchronize(context); /* as the real one does; a lost device frees, too */
    return error == FAKE_CAPTURE_UNSUPPORTED ? error : fake_memory_free(fake_context_device(context), (void *)address);
}

static CUresult copy_now(void *to, const void *from, size_t length, bool to_device) {
    DEVICE_CALL();
    CURRENT(context);
    const CUresult error = fake_copy(context, to, from, length, to_device);
    return error ? error : fake_stream_synchronize(context, NULL);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t length) {
    return copy_now((void *)to, from, length, true);
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t length) {
    return copy_now(to, (const void *)from, length, false);
}
