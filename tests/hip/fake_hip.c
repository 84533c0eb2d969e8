/* Stands in for libamdhip64.so.6, and under its other name for libhiprtc.so.6: devices of the architecture gfx90a whose kernels
 * run on the host. $FAKE_HIP selects a variant: no_device, abort, little_memory (local), old_driver, refuses_all
 * (binaries). The last error stays until it is read, as since HIP 6. */
#include "../../backends/hip/hip_api.h"
#include "../fakes/fake_compilation.h"
#include "../fakes/fake_device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE(result, name, arguments) FAKE_EXPORT result name arguments;
DCNV4I_HIP_ENTRIES(DECLARE)
DCNV4I_HIP_PROPERTIES_ENTRIES(DECLARE)
#ifndef FAKE_WITHOUT_COMPILER
DCNV4I_HIPRTC_ENTRIES(DECLARE)
#endif
/* Functions that only callers of the library use. */
DECLARE(hipError_t, hipDeviceSynchronize, (void))
DECLARE(hipError_t, hipStreamCreate, (hipStream_t *))
DECLARE(hipError_t, hipStreamDestroy, (hipStream_t))
DECLARE(hipError_t, hipStreamBeginCapture, (hipStream_t, int))
DECLARE(hipError_t, hipStreamEndCapture, (hipStream_t, void **))
DECLARE(hipError_t, hipGraphLaunch, (void *, hipStream_t))
DECLARE(hipError_t, hipGraphDestroy, (void *))
#undef DECLARE

enum { MOST_DEVICES = 4 };

#define ARCHITECTURE "gfx90a"
#define ARCHITECTURE_IN_FULL ARCHITECTURE ":sramecc+:xnack-"

static _Thread_local hipError_t last_error;
static _Thread_local int current;

static hipError_t answer(hipError_t error) {
    if (error)
        last_error = error;
    return error;
}

#define ANSWER(error)                    \
    do {                                 \
        const hipError_t failed = error; \
        if (failed)                      \
            return answer(failed);       \
    } while (0)
#define CALL() ANSWER(fake_called())
#define DEVICE_CALL() ANSWER(fake_called_on_device())

/* ---- Devices: each has one context, which is not counted as alive ------------------------------------------------------- */

static fake_object *contexts[MOST_DEVICES];

static fake_object *context(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!contexts[current]) {
        contexts[current] = fake_context_make(current);
        fake_count(&fake_driver_control()->live, -1);
    }
    fake_object *const found = contexts[current];
    pthread_mutex_unlock(&lock);
    return found;
}

hipError_t hipInit(unsigned flags) {
    (void)flags;
    if (fake_asked("FAKE_HIP", "abort"))
        abort();
    CALL();
    return answer(fake_asked("FAKE_HIP", "no_device") ? FAKE_NO_DEVICE : FAKE_OK);
}

hipError_t hipRuntimeGetVersion(int *version) {
    CALL();
    *version = fake_asked("FAKE_HIP", "old_driver") ? 50100000 : 60100000;
    return FAKE_OK;
}

const char *hipGetErrorName(hipError_t error) {
    return error ? "hipErrorOfAFake" : "hipSuccess";
}

hipError_t hipGetLastError(void) {
    const hipError_t error = last_error;
    last_error = FAKE_OK;
    return error;
}

hipError_t hipGetDeviceCount(int *count) {
    CALL();
    *count = fake_asked("FAKE_HIP", "no_device") ? 0 : fake_device_count();
    return answer(*count > 0 ? FAKE_OK : FAKE_NO_DEVICE);
}

hipError_t hipGetDevice(int *device) {
    CALL();
    *device = current;
    return FAKE_OK;
}

hipError_t hipSetDevice(int device) {
    CALL();
    if (device < 0 || device >= fake_device_count())
        return answer(FAKE_INVALID_DEVICE);
    current = device;
    return FAKE_OK;
}

hipError_t hipDeviceGetName(char *name, int room, hipDevice_t device) {
    CALL();
    snprintf(name, (size_t)room, "fake AMD %d", device);
    return FAKE_OK;
}

hipError_t hipDeviceTotalMem(size_t *size, hipDevice_t device) {
    CALL();
    (void)device;
    *size = FAKE_DEVICE_MEMORY;
    return FAKE_OK;
}

hipError_t hipDeviceGetAttribute(int *value, hipDeviceAttribute_t attribute, int device) {
    CALL();
    if (device < 0 || device >= fake_device_count())
        return answer(FAKE_INVALID_DEVICE);
    switch (attribute) {
    case DCNV4I_hipDeviceAttributeMaxThreadsPerBlock: *value = 1024; break;
    case DCNV4I_hipDeviceAttributeMultiprocessorCount: *value = 4; break;
    case DCNV4I_hipDeviceAttributeMaxSharedMemoryPerBlock:
        *value = fake_asked("FAKE_HIP", "little_memory") ? 4096 : 65536;
        break;
    case DCNV4I_hipDeviceAttributeWarpSize: *value = 64; break;
    default: return answer(FAKE_INVALID_VALUE);
    }
    return FAKE_OK;
}

/* The library reads the architecture's name alone, whose offset changed in HIP 6. */
static hipError_t properties(char *to, size_t size, size_t place) {
    CALL();
    memset(to, 0, size);
    strcpy(to + place, ARCHITECTURE_IN_FULL);
    return FAKE_OK;
}

hipError_t hipGetDevicePropertiesR0600(dcnv4i_hip_properties *to, int device) {
    (void)device;
    return properties(to, 1472, 1160);
}

hipError_t hipGetDeviceProperties(dcnv4i_hip_properties *to, int device) {
    (void)device;
    return properties(to, 792, 396);
}

hipError_t hipDeviceSynchronize(void) {
    DEVICE_CALL();
    return answer(fake_context_synchronize(context()));
}

/* ---- Streams and graphs ---------------------------------------------------------------------------------------------------- */

hipError_t hipStreamCreate(hipStream_t *stream) {
    DEVICE_CALL();
    *stream = fake_stream_make(context(), true);
    return FAKE_OK;
}

hipError_t hipStreamDestroy(hipStream_t stream) {
    if (fake_use(stream, FAKE_STREAM))
        fake_stream_free(stream);
    return FAKE_OK;
}

hipError_t hipStreamSynchronize(hipStream_t stream) {
    DEVICE_CALL();
    return answer(fake_stream_synchronize(context(), stream));
}

hipError_t hipStreamBeginCapture(hipStream_t stream, int mode) {
    DEVICE_CALL();
    (void)mode;
    return answer(fake_use(stream, FAKE_STREAM) ? fake_capture_begin(stream) : FAKE_INVALID_HANDLE);
}

hipError_t hipStreamEndCapture(hipStream_t stream, void **graph) {
    DEVICE_CALL();
    return answer(fake_use(stream, FAKE_STREAM) ? fake_capture_end(stream, (fake_object **)graph)
                                                : FAKE_INVALID_HANDLE);
}

hipError_t hipGraphLaunch(void *graph, hipStream_t stream) {
    DEVICE_CALL();
    return answer(fake_use(graph, FAKE_GRAPH) ? fake_graph_launch(context(), graph, stream) : FAKE_INVALID_HANDLE);
}

hipError_t hipGraphDestroy(void *graph) {
    if (fake_use(graph, FAKE_GRAPH))
        fake_graph_free(graph);
    return FAKE_OK;
}

/* ---- Modules ---------------------------------------------------------------------------------------------------------------- */

hipError_t hipModuleLoadData(hipModule_t *module, const void *image) {
    DEVICE_CALL();
    const hipError_t forbidden = fake_forbidden_in_capture();
    fake_object *loaded = NULL;
    const hipError_t refused = fake_asked("FAKE_HIP", "refuses_all") ? FAKE_INVALID_IMAGE : forbidden;
    const hipError_t error = refused ? refused : fake_module_load(context(), image, ARCHITECTURE, &loaded);
    *module = loaded;
    return answer(error);
}

hipError_t hipModuleUnload(hipModule_t module) {
    if (fake_use(module, FAKE_MODULE))
        fake_module_unload(module);
    return FAKE_OK;
}

hipError_t hipModuleGetFunction(hipFunction_t *function, hipModule_t module, const char *name) {
    DEVICE_CALL();
    fake_object *found = NULL;
    const hipError_t error = fake_use(module, FAKE_MODULE) ? fake_kernel_find(module, name, &found)
                                                           : FAKE_INVALID_HANDLE;
    *function = found;
    return answer(error);
}

hipError_t hipModuleLaunchKernel(hipFunction_t function, unsigned x, unsigned y, unsigned z, unsigned items_x,
                                 unsigned items_y, unsigned items_z, unsigned local_memory, hipStream_t stream,
                                 void **arguments, void **extra) {
    DEVICE_CALL();
    fake_work work;
    const unsigned groups[3] = {x, y, z}, items[3] = {items_x, items_y, items_z};
    const hipError_t error = extra ? FAKE_INVALID_VALUE
                                   : fake_work_launch(function, groups, items, local_memory, arguments, &work);
    return answer(error ? error : fake_launch(context(), stream, &work));
}

/* ---- Memory ----------------------------------------------------------------------------------------------------------------- */

hipError_t hipMalloc(void **address, size_t size) {
    DEVICE_CALL();
    const hipError_t forbidden = fake_forbidden_in_capture();
    return answer(forbidden ? forbidden : fake_memory_allocate(current, size, address));
}

hipError_t hipFree(void *address) {
    const hipError_t error = fake_context_synchronize(context()); /* as the real one does; a lost device frees, too */
    return answer(error == FAKE_CAPTURE_UNSUPPORTED ? error : fake_memory_free(current, address));
}

hipError_t hipMemcpy(void *to, const void *from, size_t length, hipMemcpyKind kind) {
    DEVICE_CALL();
    if (kind != DCNV4I_hipMemcpyHostToDevice && kind != DCNV4I_hipMemcpyDeviceToHost)
        return answer(FAKE_INVALID_VALUE);
    const hipError_t error = fake_copy(context(), to, from, length, kind == DCNV4I_hipMemcpyHostToDevice);
    return answer(error ? error : fake_stream_synchronize(context(), NULL));
}

#ifndef FAKE_WITHOUT_COMPILER
/* ---- hipRTC ----------------------------------------------------------------------------------------------------------------- */

hiprtcResult hiprtcVersion(int *major, int *minor) {
    CALL();
    *major = 6, *minor = 1;
    return FAKE_OK;
}

hiprtcResult hiprtcCreateProgram(hiprtcProgram *program, const char *source, const char *name, int headers,
                                 dcnv4i_hiprtc_texts header, dcnv4i_hiprtc_texts names) {
    (void)name, (void)header, (void)names;
    if (headers != 0)
        fake_misuse("a program has headers");
    return fake_program_create(program, source);
}

hiprtcResult hiprtcCompileProgram(hiprtcProgram program, int count, dcnv4i_hiprtc_texts options) {
    const char *architecture = fake_option(count, options, "--offload-arch=");
    char name[32] = "";
    if (architecture)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(architecture, ":"), architecture);
    return fake_program_compile(program, architecture ? name : NULL);
}

hiprtcResult hiprtcDestroyProgram(hiprtcProgram *program) {
    return fake_program_destroy(program);
}

hiprtcResult hiprtcGetCodeSize(hiprtcProgram program, size_t *size) {
    return fake_program_size(program, FAKE_BINARY, size);
}

hiprtcResult hiprtcGetCode(hiprtcProgram program, char *to) {
    return fake_program_copy(program, FAKE_BINARY, to);
}

hiprtcResult hiprtcGetProgramLogSize(hiprtcProgram program, size_t *size) {
    return fake_program_size(program, FAKE_LOG, size);
}

hiprtcResult hiprtcGetProgramLog(hiprtcProgram program, char *to) {
    return fake_program_copy(program, FAKE_LOG, to);
}

const char *hiprtcGetErrorString(hiprtcResult error) {
    return error ? "HIPRTC_ERROR_OF_A_FAKE" : "HIPRTC_SUCCESS";
}

#endif
