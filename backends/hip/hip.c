/* The backend's table, and HIP's runtime behind the functions of cuda_hip/cuda_hip_api.h. */
#include "hip_api.h"
#include "../gpu/runtime/kernel_text.h"
#include "../cuda_hip/cuda_hip_backend.h"

#include <stdio.h>
#include <string.h>

/* ---- The runtime ------------------------------------------------------------------------------------------------- */

static const char *error_name(int error) {
    const char *name = dcnv4i_hip.hipGetErrorName(error);
    return name ? name : "an error without a name";
}

/* HIP keeps a failure as the thread's last error; a framework that checks it after its own launch would take ours for
 * its own. */
static void forget_error(void) {
    dcnv4i_hip.hipGetLastError();
}

static int device_count(int *count) {
    return dcnv4i_hip.hipGetDeviceCount(count);
}

/* Finds the architecture, "gfx90a:sramecc+:xnack-", in the properties. Their layout changed with HIP 6, so they are
 * searched for a string with this beginning. The name is followed by features; kernels for the bare name work with
 * any. */
static void find_target(const char *properties, size_t size, char *target, size_t room) {
    static const char beginning[] = "\0gfx";
    for (size_t at = 0; at + room + sizeof beginning < size; ++at) {
        const char *const name = properties + at + 1;
        if (memcmp(properties + at, beginning, 4) != 0)
            continue;
        const size_t length = 3 + strspn(name + 3, "0123456789abcdef");
        if (length > 5 && length < room && (name[length] == '\0' || name[length] == ':')) {
            snprintf(target, room, "%.*s", (int)length, name);
            return;
        }
    }
}

static int describe(int ordinal, dcnv4i_cuda_hip_facts *facts) {
    char properties[4096] = {0}; /* the struct has some 1,500 bytes in HIP 6 */
    int version = 0, wave = 0;
    const struct {
        int attribute, *answer;
    } questions[] = {
        {DCNV4I_hipDeviceAttributeMaxThreadsPerBlock, &facts->work_group},
        {DCNV4I_hipDeviceAttributeMaxSharedMemoryPerBlock, &facts->local_memory},
        {DCNV4I_hipDeviceAttributeMultiprocessorCount, &facts->units},
        {DCNV4I_hipDeviceAttributeWarpSize, &wave},
    };
    int error = 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions && error == 0; ++i)
        error = dcnv4i_hip.hipDeviceGetAttribute(questions[i].answer, questions[i].attribute, ordinal);
    if (error == 0)
        error = dcnv4i_hip.hipDeviceGetName(facts->name, sizeof facts->name, ordinal);
    if (error == 0)
        error = dcnv4i_hip.hipDeviceTotalMem(&facts->memory, ordinal);
    if (error == 0)
        error = dcnv4i_hip.properties((dcnv4i_hip_properties *)properties, ordinal);
    if (error == 0)
        error = dcnv4i_hip.hipRuntimeGetVersion(&version);
    find_target(properties, sizeof properties, facts->target, sizeof facts->target);
    snprintf(facts->software, sizeof facts->software, "HIP %d.%d, waves of %d", version / 10000000,
             version / 100000 % 100, wave);
    return error;
}

static int current(int *ordinal, void **context) {
    *context = NULL;
    return dcnv4i_hip.hipGetDevice(ordinal);
}

static int enter(int ordinal, void *context, int *before) {
    (void)context;
    const int error = dcnv4i_hip.hipGetDevice(before);
    return error == 0 && *before != ordinal ? dcnv4i_hip.hipSetDevice(ordinal) : error;
}

static int leave(int before) {
    int now;
    const int error = dcnv4i_hip.hipGetDevice(&now);
    return error == 0 && now != before ? dcnv4i_hip.hipSetDevice(before) : error;
}

static int module_load(void **module, const void *binary) {
    return dcnv4i_hip.hipModuleLoadData(module, binary);
}

static int module_unload(void *module) {
    return dcnv4i_hip.hipModuleUnload(module);
}

static int function_get(void **function, void *module, const char *name) {
    return dcnv4i_hip.hipModuleGetFunction(function, module, name);
}

static int launch(void *function, unsigned groups, unsigned items, void *stream, void **arguments) {
    return dcnv4i_hip.hipModuleLaunchKernel(function, groups, 1, 1, items, 1, 1, 0, stream, arguments, NULL);
}

static int stream_synchronize(void *stream) {
    return dcnv4i_hip.hipStreamSynchronize(stream);
}

static int allocate(void **pointer, size_t length) {
    return dcnv4i_hip.hipMalloc(pointer, length);
}

static int deallocate(void *pointer) {
    return dcnv4i_hip.hipFree(pointer);
}

static int to_device(void *target, const void *source, size_t length) {
    return dcnv4i_hip.hipMemcpy(target, source, length, DCNV4I_hipMemcpyHostToDevice);
}

static int to_host(void *target, const void *source, size_t length) {
    return dcnv4i_hip.hipMemcpy(target, source, length, DCNV4I_hipMemcpyDeviceToHost);
}

/* ---- Targets ----------------------------------------------------------------------------------------------------- */

/* A family's code serves all of its devices, with ROCm 6.4 or newer. */
static void compatible_targets(const char *target, dcnv4i_compatible_targets *found) {
    static const char *const families[][2] = {
        {"gfx942", "gfx9-4-generic"}, {"gfx950", "gfx9-4-generic"}, {"gfx103", "gfx10-3-generic"},
        {"gfx110", "gfx11-generic"},  {"gfx115", "gfx11-generic"},  {"gfx120", "gfx12-generic"},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; ++i)
        if (strncmp(target, families[i][0], strlen(families[i][0])) == 0)
            snprintf(found->others[found->count++], DCNV4I_TARGET_NAME, "%s", families[i][1]);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static const dcnv4i_cuda_hip_api api;

static void look(dcnv4i_view *view) {
    dcnv4i_cuda_hip_look(&api, view);
}

static dcnv4i_probe probe = {.what = "HIP", .in_use = dcnv4i_hip_in_use, .look = look, DCNV4I_PROBE_INIT};

static const dcnv4i_cuda_hip_api api = {
    .backend = "hip",
    .what = "HIP",
    .vocabulary = dcnv4i_vocabulary_hip,
    .probe = &probe,
    .load = dcnv4i_hip_load,
    .error_name = error_name,
    .forget_error = forget_error,
    .device_count = device_count,
    .describe = describe,
    .current = current,
    .enter = enter,
    .leave = leave,
    .module_load = module_load,
    .module_unload = module_unload,
    .function_get = function_get,
    .launch = launch,
    .stream_synchronize = stream_synchronize,
    .allocate = allocate,
    .deallocate = deallocate,
    .to_device = to_device,
    .to_host = to_host,
    .compile = dcnv4i_hip_compile,
    .compiler = dcnv4i_hip_compiler,
    .compatible_targets = compatible_targets,
};

DCNV4I_CUDA_HIP_BACKEND(hip)
