/* Stands in for libnvrtc.so.12, which is another name of the library with fake_cuda.c. $FAKE_NVRTC selects a variant: newer (12.9),
 * needs_builtins (it does not look for its second library), lacks_builtins (there is none of its version). */
#include "../../backends/cuda/cuda_api.h"
#include "../fakes/fake_compilation.h"

#include <dlfcn.h>
#include <string.h>

#define DECLARE(result, name, arguments) FAKE_EXPORT result name arguments;
DCNV4I_NVRTC_ENTRIES(DECLARE)
#undef DECLARE

enum { BUILTIN_OPERATION_FAILURE = 7 };

#define CALL()                                    \
    do {                                          \
        const nvrtcResult failed = fake_called(); \
        if (failed)                               \
            return failed;                        \
    } while (0)

static bool compiler_is_newer(void) {
    return fake_asked("FAKE_NVRTC", "newer");
}

nvrtcResult nvrtcVersion(int *major, int *minor) {
    CALL();
    *major = 12, *minor = compiler_is_newer() ? 9 : fake_asked("FAKE_NVRTC", "lacks_builtins") ? 5 : 4;
    return FAKE_OK;
}

/* Some of NVRTC's builds load their second library by its name alone. */
static bool builtins_are_missing(void) {
    if (!fake_asked("FAKE_NVRTC", "needs_builtins") && !fake_asked("FAKE_NVRTC", "lacks_builtins"))
        return false;
    return !dlopen("libnvrtc-builtins.so.12.4", RTLD_NOW | RTLD_NOLOAD);
}

static const int architectures[] = {50, 75, 80, 90, 100};

nvrtcResult nvrtcGetNumSupportedArchs(int *count) {
    CALL();
    *count = sizeof architectures / sizeof *architectures;
    return FAKE_OK;
}

nvrtcResult nvrtcGetSupportedArchs(int *to) {
    CALL();
    memcpy(to, architectures, sizeof architectures);
    return FAKE_OK;
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *source, const char *name, int headers,
                               const char *const *header, const char *const *names) {
    (void)name, (void)header, (void)names;
    if (headers != 0)
        fake_misuse("a program has headers");
    return fake_program_create(program, source);
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char *const *options) {
    const char *architecture = fake_option(count, options, "--gpu-architecture=");
    const bool no_cache = fake_option(count, options, "--no-cache");
    if (no_cache && !compiler_is_newer())
        return FAKE_INVALID_OPTION;
    if (!no_cache && compiler_is_newer())
        fake_misuse("a compiler that has a cache of its own is let initialise the driver");
    if (builtins_are_missing())
        return fake_program_fail(program, "nvrtc: error: failed to open libnvrtc-builtins.so.12.4.\n",
                                 BUILTIN_OPERATION_FAILURE);
    return fake_program_compile(program, architecture ? architecture : fake_option(count, options, "-arch="));
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
    return fake_program_destroy(program);
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *size) {
    return fake_program_size(program, FAKE_BINARY, size);
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *to) {
    return fake_program_copy(program, FAKE_BINARY, to);
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t *size) {
    return fake_program_size(program, FAKE_ASSEMBLY, size);
}

nvrtcResult nvrtcGetPTX(nvrtcProgram program, char *to) {
    return fake_program_copy(program, FAKE_ASSEMBLY, to);
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *size) {
    return fake_program_size(program, FAKE_LOG, size);
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *to) {
    return fake_program_copy(program, FAKE_LOG, to);
}

const char *nvrtcGetErrorString(nvrtcResult error) {
    return error ? "NVRTC_ERROR_OF_A_FAKE" : "NVRTC_SUCCESS";
}
