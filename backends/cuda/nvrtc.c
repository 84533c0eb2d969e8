/* NVRTC: loaded when a kernel is first compiled. */
#include "cuda_api.h"
#include "../gpu/runtime/library.h"
#include "../gpu/runtime/target.h"
#include "../../core/fork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct nvrtc_api {
#define MEMBER(result, name, arguments) result(*name) arguments;
    DCNV4I_NVRTC_ENTRIES(MEMBER)
#undef MEMBER
} nvrtc_api;

enum { MOST_ARCHITECTURES = 64 };

static dcnv4i_fork_lock lock;
static bool loaded;
static dcnv4i_compiler compiler;
static int architectures[MOST_ARCHITECTURES], architecture_count;

#define ENTRY(result, name, arguments) DCNV4I_ENTRY(nvrtc_api, name),
static const dcnv4i_entry entries[] = {DCNV4I_NVRTC_ENTRIES(ENTRY)};
#undef ENTRY

/* Prefers versions up to the driver's major version: a driver may not load kernels of a newer NVRTC. */
static void *open_library(const char **name) {
    static const struct {
        int major;
        const char *name;
    } all[] = {{13, "libnvrtc.so.13"}, {12, "libnvrtc.so.12"}, {11, "libnvrtc.so.11.2"}};
    enum { ALL = sizeof all / sizeof *all };
    const int driver = dcnv4i_cuda_version() / 100;
    const char *names[ALL + 1] = {NULL};
    int count = 0;
    for (int fits = 1; fits >= 0; --fits)
        for (int i = 0; i < ALL; ++i)
            if ((driver == 0 || all[i].major <= driver) == fits)
                names[count++] = all[i].name;
    return dcnv4i_library_open(names, name);
}

/* NVRTC loads a second library, which some builds do not look for in their own folder. Loaded from there, it is found. */
static void load_builtins(const nvrtc_api *api, int major, int minor) {
    char name[64];
    const void *entry;
    memcpy(&entry, &api->nvrtcVersion, sizeof entry);
    snprintf(name, sizeof name, "libnvrtc-builtins.so.%d.%d", major, minor);
    dcnv4i_library_load_beside(entry, name);
}

static dcnv4_status ask(const nvrtc_api *api) {
    int major = 0, minor = 0, count = 0;
    if (api->nvrtcVersion(&major, &minor) != 0 || api->nvrtcGetNumSupportedArchs(&count) != 0 || count < 1 ||
        count > MOST_ARCHITECTURES || api->nvrtcGetSupportedArchs(architectures) != 0)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE, "NVRTC does not say its version and targets");
    load_builtins(api, major, minor);
    architecture_count = count;
    compiler = (dcnv4i_compiler){
        .version = 100 * major + minor,
        .create = api->nvrtcCreateProgram,
        .compile = api->nvrtcCompileProgram,
        .destroy = api->nvrtcDestroyProgram,
        .binary_size = api->nvrtcGetCUBINSize,
        .binary = api->nvrtcGetCUBIN,
        .portable_size = api->nvrtcGetPTXSize,
        .portable = api->nvrtcGetPTX,
        .log_size = api->nvrtcGetProgramLogSize,
        .log = api->nvrtcGetProgramLog,
        .error_text = api->nvrtcGetErrorString,
    };
    snprintf(compiler.name, sizeof compiler.name, "NVRTC %d.%d", major, minor);
    return DCNV4_SUCCESS;
}

static dcnv4_status load(const char *target) {
    const char *name;
    nvrtc_api api;
    void *library = open_library(&name);
    if (!library)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                           "there is no compiler for %s and no kernel for this layer in the cache: no libnvrtc.so.13, "
                           ".12 or .11.2 (%.80s); install NVRTC where the loader finds it (it is in every CUDA "
                           "toolkit; Debian: nvidia-cuda-toolkit; PyPI: nvidia-cuda-nvrtc), or run dcnv4 compile "
                           "--target %s where it is and set DCNV4_CACHE_DIR to its folder",
                           target, dcnv4i_library_reason(), target);
    const char *missing = dcnv4i_library_resolve(library, entries, sizeof entries / sizeof *entries, &api);
    if (missing)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE, "%s is too old to compile for %s: it has no %s", name, target,
                           missing);
    const dcnv4_status status = ask(&api);
    loaded = status == DCNV4_SUCCESS;
    return status;
}

/* The newest architecture that NVRTC knows, up to this one; 0 if all are newer. */
static int newest_up_to(int number) {
    int newest = 0;
    for (int i = 0; i < architecture_count; ++i)
        if (architectures[i] <= number && architectures[i] > newest)
            newest = architectures[i];
    return newest;
}

/* "sm_90a" is for devices of this very capability, "sm_100f" for its family; NVRTC lists only "sm_90" and "sm_100". */
static bool knows(const char *target, bool ahead, int number, int known) {
    const dcnv4i_target *t = dcnv4i_target_find("cuda", target);
    return known != 0 && (!ahead || known == number) && (!t || compiler.version >= t->since);
}

static dcnv4_status refuse(const char *target, int known) {
    return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                       "%s does not compile for %s, but for sm_%d to sm_%d; install the NVRTC of %s CUDA",
                       compiler.name, target, architectures[0], architectures[architecture_count - 1],
                       known == 0 ? "an older" : "a newer");
}

/* For a target that NVRTC does not know yet, compiles to PTX of an older one, which the driver compiles further. */
static dcnv4_status compile(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                            dcnv4i_binary *portable) {
    char *suffix;
    const int number = (int)strtol(target + strlen("sm_"), &suffix, 10), known = newest_up_to(number);
    if (!knows(target, ahead, number, known))
        return refuse(target, known);
    char architecture[48];
    snprintf(architecture, sizeof architecture, "--gpu-architecture=%s_%d%.1s", known == number ? "sm" : "compute",
             known, suffix);
    /* From 12.9 on NVRTC has a cache of its own, for which it loads and initialises the driver; --no-cache turns it
     * off, but older ones do not know that option. */
    const char *const options[] = {architecture, "--std=c++17", "--disable-warnings", "--no-cache"};
    const int count = compiler.version >= 1209 ? 4 : 3;
    dcnv4i_binary *const text = known == number ? portable : binary;
    const dcnv4_status status = dcnv4i_compiler_run(&compiler, target, source, count, options,
                                                    known == number ? binary : NULL, text);
    if (status == DCNV4_SUCCESS && text)
        dcnv4i_ptx_lower_version(text);
    return status;
}

static dcnv4_status load_once(const char *target) {
    dcnv4i_fork_lock_take(&lock);
    const dcnv4_status status = loaded ? DCNV4_SUCCESS : load(target);
    dcnv4i_fork_lock_release(&lock);
    return status;
}

const char *dcnv4i_cuda_compiler(void) {
    return load_once("a device") == DCNV4_SUCCESS ? compiler.name : "";
}

dcnv4_status dcnv4i_cuda_compile(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                                 dcnv4i_binary *portable) {
    const dcnv4_status status = load_once(target);
    return status == DCNV4_SUCCESS ? compile(target, ahead, source, binary, portable) : status;
}
