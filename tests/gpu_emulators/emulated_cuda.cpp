/* Stands in for libcuda.so.1: one device, whose PTX gpuocelot runs. NVRTC is the real one. EMULATED_SM is the device's
 * target: 76, which NVRTC does not know, so that the library asks it for PTX; or another, whose binary is refused, so
 * that the library passes the PTX made with it. EMULATED_LOCAL_MEMORY is its size of local memory. README.md beside
 * this file says how to use it. Single-threaded. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <regex>
#include <sstream>
#include <string>

#include <ocelot/executive/EmulatedKernel.h>
#include <ocelot/ir/Module.h>

extern "C" {
#include "../../backends/cuda/cuda_api.h"

#define DECLARE(result, name, arguments) __attribute__((visibility("default"))) result name arguments;
DCNV4I_CUDA_ENTRIES(DECLARE)
#undef DECLARE
}

enum { OK = 0, OUT_OF_MEMORY = 2, NO_BINARY = 209, INVALID_PTX = 218, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

static char the_context;
static int depth; /* of the stack of current contexts */

/* ---- One device ------------------------------------------------------------------------------------------------------ */

static int setting(const char *name, int otherwise) {
    const char *const said = getenv(name);
    return said ? atoi(said) : otherwise;
}

/* NVRTC 12.9 and newer asks a driver for a table of private functions, unless it is told --no-cache, and does without
 * one if there is none; a driver without this function ends the process. */
extern "C" __attribute__((visibility("default"))) CUresult cuGetExportTable(const void **table, const void *) {
    *table = nullptr;
    return NOT_FOUND;
}

CUresult cuInit(unsigned) {
    return OK;
}
CUresult cuDriverGetVersion(int *version) {
    return *version = 13000, OK;
}
CUresult cuGetErrorName(CUresult, const char **name) {
    return *name = "an error of the emulated CUDA", OK;
}
CUresult cuDeviceGetCount(int *count) {
    return *count = 1, OK;
}
CUresult cuDeviceGet(CUdevice *device, int) {
    return *device = 0, OK;
}
CUresult cuDeviceGetName(char *name, int room, CUdevice) {
    return snprintf(name, room, "gpuocelot"), OK;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
    return *bytes = size_t(1) << 32, OK;
}

CUresult cuDeviceGetAttribute(int *answer, CUdevice_attribute attribute, CUdevice) {
    const int capability = setting("EMULATED_SM", 76), local_memory = setting("EMULATED_LOCAL_MEMORY", 49152);
    switch (attribute) {
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *answer = 1024; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *answer = local_memory; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *answer = 8; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *answer = capability / 10; break;
    case DCNV4I_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *answer = capability % 10; break;
    default: *answer = 0;
    }
    return OK;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
    return *context = &the_context, OK;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
    return OK;
}
CUresult cuCtxGetCurrent(CUcontext *context) {
    return *context = depth ? &the_context : NULL, OK;
}
CUresult cuCtxGetDevice(CUdevice *device) {
    return *device = 0, OK;
}
CUresult cuCtxPushCurrent_v2(CUcontext) {
    return ++depth, OK;
}
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    return --depth, *context = &the_context, OK;
}

/* ---- Memory is the host's, and all calls are synchronous --------------------------------------------------------- */

CUresult cuStreamSynchronize(CUstream) {
    return OK;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    void *made;
    if (posix_memalign(&made, 256, bytes) != 0)
        return OUT_OF_MEMORY;
    *address = CUdeviceptr(made);
    return OK;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    return free((void *)address), OK;
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
    return memcpy((void *)to, from, bytes), OK;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
    return memcpy(to, (void *)from, bytes), OK;
}

/* ---- PTX --------------------------------------------------------------------------------------------------------------- */

struct module {
    std::string text;
    ir::Module *parsed;
};

struct function {
    ir::PTXKernel *kernel;
};

/* gpuocelot knows PTX 2.3. Newer directives of modules and kernels are dropped, since they do not matter here; newer
 * instructions are replaced by older ones, by the PTX ISA's definitions. Accesses of four numbers are aligned to 16
 * bytes. */
#define OPERANDS " (%\\w+), (%\\w+), (%\\w+), (%\\w+);"
#define SOME_IMMEDIATE "(?=(?:%\\w+, )*-?[0-9])"
static std::string as_known(const char *text) {
    static const struct {
        const char *pattern, *replacement;
    } changes[] = {
        {"\\.version [0-9.]+", ".version 2.3"},
        {"\\.target sm_[0-9a-z]+", ".target sm_20"},
        {"\\.maxntid [0-9]+(, 1, 1)?", ""},
        {"\\.minnctapersm [0-9]+", ""},
        {"\\.ptr \\.align [0-9]+", ""},
        {"atom\\.relaxed\\.gpu\\.", "atom."},
        {"st\\.(\\w+)\\.v2\\.(b[0-9]+)\\s+(\\[.*\\]), \\{" SOME_IMMEDIATE "(.+), (.+)\\};",
         "{ .reg .$2 %x<2>; mov.$2 %x0, $4; mov.$2 %x1, $5; st.$1.v2.$2 $3, {%x0, %x1}; }"},
        {"st\\.(\\w+)\\.v4\\.(b[0-9]+)\\s+(\\[.*\\]), \\{" SOME_IMMEDIATE "(.+), (.+), (.+), (.+)\\};",
         "{ .reg .$2 %x<4>; mov.$2 %x0, $4; mov.$2 %x1, $5; mov.$2 %x2, $6; mov.$2 %x3, $7; "
         "st.$1.v4.$2 $3, {%x0, %x1, %x2, %x3}; }"},
        {"mov\\.b64\\s+\\{_, (%\\w+)\\}, (%\\w+);", "{ .reg .b32 %x; mov.b64 {%x, $1}, $2; }"},
        {"fma\\.rn\\.f32x2" OPERANDS, "{ .reg .f32 %x<6>; mov.b64 {%x0, %x1}, $2; mov.b64 {%x2, %x3}, $3; "
                                      "mov.b64 {%x4, %x5}, $4; fma.rn.f32 %x0, %x0, %x2, %x4; "
                                      "fma.rn.f32 %x1, %x1, %x3, %x5; mov.b64 $1, {%x0, %x1}; }"},
        {"fma\\.rn\\.f32\\.f16" OPERANDS, "{ .reg .f32 %x<2>; cvt.f32.f16 %x0, $2; cvt.f32.f16 %x1, $3; "
                                          "fma.rn.f32 $1, %x0, %x1, $4; }"},
        {"fma\\.rn\\.f32\\.bf16" OPERANDS, "{ .reg .b16 %h; .reg .f32 %x<2>; mov.b16 %h, 0; mov.b32 %x0, {%h, $2}; "
                                           "mov.b32 %x1, {%h, $3}; fma.rn.f32 $1, %x0, %x1, $4; }"},
        {"red\\.global\\.add\\.v4\\.f32 \\[(%\\w+)\\], \\{(%\\w+), (%\\w+), (%\\w+), (%\\w+)\\};",
         "{ .reg .f32 %x; .reg .b64 %a; and.b64 %a, $1, -16; atom.global.add.f32 %x, [%a], $2; "
         "atom.global.add.f32 %x, [%a+4], $3; atom.global.add.f32 %x, [%a+8], $4; "
         "atom.global.add.f32 %x, [%a+12], $5; }"},
    };
    std::string changed = text;
    for (const auto &change : changes)
        changed = std::regex_replace(changed, std::regex(change.pattern), change.replacement);
    return changed;
}

CUresult cuModuleLoadData(CUmodule *loaded, const void *image) {
    if (memcmp(image,
               "\x7f"
               "ELF",
               4) == 0)
        return NO_BINARY;
    module *made = new module{as_known((const char *)image), NULL};
    try {
        std::stringstream text(made->text);
        made->parsed = new ir::Module(made, text);
    } catch (const std::exception &error) {
        fprintf(stderr, "emulated_cuda: %s\n", error.what());
        return INVALID_PTX;
    }
    *loaded = made;
    return OK;
}

CUresult cuModuleUnload(CUmodule loaded) {
    delete ((module *)loaded)->parsed;
    delete (module *)loaded;
    return OK;
}

CUresult cuModuleGetFunction(CUfunction *found, CUmodule loaded, const char *name) {
    const auto &kernels = ((module *)loaded)->parsed->kernels();
    const auto kernel = kernels.find(name);
    if (kernel == kernels.end())
        return 500;
    *found = new function{kernel->second};
    return OK;
}

CUresult cuFuncGetAttribute(int *answer, CUfunction_attribute, CUfunction) {
    return *answer = 1024, OK;
}

CUresult cuLaunchKernel(CUfunction found, unsigned groups, unsigned, unsigned, unsigned items, unsigned, unsigned,
                        unsigned, CUstream, void **arguments, void **) {
    ir::PTXKernel *const kernel = ((function *)found)->kernel;
    try {
        executive::EmulatedKernel emulated(kernel, NULL);
        const auto &names = kernel->getPrototype().arguments;
        for (size_t i = 0; i < names.size(); ++i) { /* all of eight bytes */
            ir::Parameter *const parameter = emulated.getParameter(names[i].name);
            parameter->arrayValues.resize(1);
            memcpy(&parameter->arrayValues[0].val_u64, arguments[i], 8);
        }
        emulated.updateArgumentMemory();
        emulated.setKernelShape(int(items), 1, 1);
        emulated.launchGrid(int(groups), 1, 1);
    } catch (const std::exception &error) {
        fprintf(stderr, "emulated_cuda: %s: %s\n", kernel->name.c_str(), error.what());
        return LAUNCH_FAILED;
    }
    return OK;
}
