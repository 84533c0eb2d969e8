/* The backend's table, and CUDA's driver behind the functions of cuda_hip/cuda_hip_api.h. */
#include "cuda_api.h"
#include "../gpu/runtime/kernel_text.h"
#include "../cuda_hip/cuda_hip_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The driver -------------------------------------------------------------------------------------------------- */

static const char *error_name(int error) {
    const char *name = NULL;
    dcnv4i_cuda.cuGetErrorName(error, &name);
    return name ? name : "an error without a name";
}

static int device_count(int *count) {
    return dcnv4i_cuda.cuDeviceGetCount(count);
}

static int describe(int ordinal, dcnv4i_cuda_hip_facts *facts) {
    int major = 0, minor = 0;
    CUdevice device = 0;
    const struct {
        int attribute, *answer;
    } questions[] = {
        {DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
        {DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
        {DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &facts->work_group},
        {DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, &facts->local_memory},
        {DCNV4I_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &facts->units},
    };
    int error = dcnv4i_cuda.cuDeviceGet(&device, ordinal);
    for (size_t i = 0; i < sizeof questions / sizeof *questions && error == 0; ++i)
        error = dcnv4i_cuda.cuDeviceGetAttribute(questions[i].answer, questions[i].attribute, device);
    if (error == 0)
        error = dcnv4i_cuda.cuDeviceGetName(facts->name, sizeof facts->name, device);
    if (error == 0)
        error = dcnv4i_cuda.cuDeviceTotalMem_v2(&facts->memory, device);
    snprintf(facts->target, sizeof facts->target, "sm_%d%d", major, minor);
    snprintf(facts->software, sizeof facts->software, "CUDA %d.%d", dcnv4i_cuda_version() / 100,
             dcnv4i_cuda_version() % 100);
    return error;
}

static int current(int *ordinal, void **context) {
    CUdevice device = 0, each = 0;
    int count = 0, error = dcnv4i_cuda.cuCtxGetCurrent(context);
    *ordinal = 0;
    if (error != 0 || !*context)
        return error;
    error = dcnv4i_cuda.cuCtxGetDevice(&device);
    if (error == 0)
        error = dcnv4i_cuda.cuDeviceGetCount(&count);
    for (int i = 0; i < count && error == 0; ++i) {
        error = dcnv4i_cuda.cuDeviceGet(&each, i);
        if (each == device)
            *ordinal = i;
    }
    return error;
}

static int retain(int ordinal, void **context) {
    CUdevice device = 0;
    const int error = dcnv4i_cuda.cuDeviceGet(&device, ordinal);
    return error == 0 ? dcnv4i_cuda.cuDevicePrimaryCtxRetain(context, device) : error;
}

static int release(int ordinal) {
    CUdevice device = 0;
    const int error = dcnv4i_cuda.cuDeviceGet(&device, ordinal);
    return error == 0 ? dcnv4i_cuda.cuDevicePrimaryCtxRelease_v2(device) : error;
}

static int enter(int ordinal, void *context, int *before) {
    (void)ordinal;
    *before = 0;
    return dcnv4i_cuda.cuCtxPushCurrent_v2(context);
}

static int leave(int before) {
    CUcontext ours;
    (void)before;
    return dcnv4i_cuda.cuCtxPopCurrent_v2(&ours);
}

static int module_load(void **module, const void *binary) {
    return dcnv4i_cuda.cuModuleLoadData(module, binary);
}

static int module_unload(void *module) {
    return dcnv4i_cuda.cuModuleUnload(module);
}

/* With lazy loading of modules, querying an attribute loads a function to the device now, instead of at its first
 * launch, which may be captured into a graph. */
static int function_get(void **function, void *module, const char *name) {
    int most;
    const int error = dcnv4i_cuda.cuModuleGetFunction(function, module, name);
    return error == 0 ? dcnv4i_cuda.cuFuncGetAttribute(&most, DCNV4I_CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, *function)
                      : error;
}

static int launch(void *function, unsigned groups, unsigned items, void *stream, void **arguments) {
    return dcnv4i_cuda.cuLaunchKernel(function, groups, 1, 1, items, 1, 1, 0, stream, arguments, NULL);
}

static int stream_synchronize(void *stream) {
    return dcnv4i_cuda.cuStreamSynchronize(stream);
}

static int allocate(void **pointer, size_t length) {
    CUdeviceptr address = 0;
    const int error = dcnv4i_cuda.cuMemAlloc_v2(&address, length);
    *pointer = (void *)(uintptr_t)address;
    return error;
}

static int deallocate(void *pointer) {
    return dcnv4i_cuda.cuMemFree_v2((CUdeviceptr)(uintptr_t)pointer);
}

static int to_device(void *target, const void *source, size_t length) {
    return dcnv4i_cuda.cuMemcpyHtoD_v2((CUdeviceptr)(uintptr_t)target, source, length);
}

static int to_host(void *target, const void *source, size_t length) {
    return dcnv4i_cuda.cuMemcpyDtoH_v2(target, (CUdeviceptr)(uintptr_t)source, length);
}

/* ---- Targets ----------------------------------------------------------------------------------------------------- */

static void add(dcnv4i_compatible_targets *found, const char *kind, int number, const char *suffix) {
    if (found->count < DCNV4I_MAX_COMPATIBLE)
        snprintf(found->others[found->count++], DCNV4I_TARGET_NAME, "%s_%d%.1s", kind, number, suffix);
}

static const char *suffix_of(const char *target) {
    const char *const number = target + strlen("sm_");
    return number + strspn(number, "0123456789");
}

/* A cubin serves devices of its major number whose minor one is not lower; PTX serves all newer devices. Those of a
 * name with "a" serve devices of this number alone, with "f" those of a family: of the major number, not all of them
 * perhaps, but a driver only refuses. Neither has PTX for others. */
static void compatible_targets(const char *target, dcnv4i_compatible_targets *found) {
    const int number = atoi(target + strlen("sm_"));
    found->count = 0;
    if (!*suffix_of(target))
        snprintf(found->portable, sizeof found->portable, "compute_%d", number);
    for (int back = number; back >= number / 10 * 10; --back)
        for (const dcnv4i_target *t = NULL; (t = dcnv4i_target_next("cuda", t));) {
            const char *const its = suffix_of(t->name);
            if (t->number == back && (back == number ? *its != '\0' : *its != 'a'))
                add(found, "sm", back, its);
        }
    for (int back = number; back >= 0; --back)
        for (const dcnv4i_target *t = NULL; (t = dcnv4i_target_next("cuda", t));)
            if (t->number == back && !*suffix_of(t->name))
                add(found, "compute", back, "");
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static const dcnv4i_cuda_hip_api api;

static void look(dcnv4i_view *view) {
    dcnv4i_cuda_hip_look(&api, view);
}

static dcnv4i_probe probe = {.what = "CUDA", .in_use = dcnv4i_cuda_in_use, .look = look, DCNV4I_PROBE_INIT};

static const dcnv4i_cuda_hip_api api = {
    .backend = "cuda",
    .what = "CUDA",
    .vocabulary = dcnv4i_vocabulary_cuda,
    .probe = &probe,
    .load = dcnv4i_cuda_load,
    .error_name = error_name,
    .device_count = device_count,
    .describe = describe,
    .current = current,
    .retain = retain,
    .release = release,
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
    .compile = dcnv4i_cuda_compile,
    .compiler = dcnv4i_cuda_compiler,
    .compatible_targets = compatible_targets,
};

DCNV4I_CUDA_HIP_BACKEND(cuda)
