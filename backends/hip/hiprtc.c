/* hipRTC: loaded when a kernel is first compiled, from a library of its own or, in HIP 5, from the runtime's. */
#include "hip_api.h"
#include "../gpu/runtime/library.h"
#include "../gpu/runtime/target.h"
#include "../../core/fork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hiprtc_api {
#define MEMBER(result, name, arguments) result(*name) arguments;
    DCNV4I_HIPRTC_ENTRIES(MEMBER)
#undef MEMBER
} hiprtc_api;

static dcnv4i_fork_lock lock;
static bool loaded;
static dcnv4i_compiler compiler;
static hiprtc_api rtc;

#define ENTRY(result, name, arguments) DCNV4I_ENTRY(hiprtc_api, name),
static const dcnv4i_entry entries[] = {DCNV4I_HIPRTC_ENTRIES(ENTRY)};
#undef ENTRY

static bool has_all(void *library) {
    return library && !dcnv4i_library_resolve(library, entries, sizeof entries / sizeof *entries, &rtc);
}

/* Finds hipRTC. If the runtime is loaded, in the library of its version or in itself, since it may not load the code of
 * another version; otherwise any version. *library is where it was found. Returns the major version in that library's
 * name; 0 if there is none. */
static int find(void **library) {
    static const char *const all[][3] = {
        {"libhiprtc.so.7", "libamdhip64.so.7", NULL},
        {"libhiprtc.so.6", "libamdhip64.so.6", NULL},
        {"libhiprtc.so.5", "libamdhip64.so.5", NULL},
    };
    int major;
    const char *name;
    *library = dcnv4i_hip_library(&major);
    for (int i = 0; i < 3; ++i) {
        if (*library && major != 7 - i)
            continue;
        for (const char *const *each = all[i]; *each; ++each) {
            const char *const one[] = {*each, NULL};
            void *opened = dcnv4i_library_open(one, &name);
            if (has_all(opened)) {
                *library = opened;
                return 7 - i;
            }
        }
    }
    return 0;
}

/* hiprtcVersion reports 9.0 in HIP 5 and some of HIP 6, whatever the version is: a report that does not match the
 * library's name is ignored, and the runtime is queried if it is in the same library or loaded. */
static int version_of(void *library, int major) {
    static const dcnv4i_entry questions[] = {{"hipRuntimeGetVersion", 0}, {"hipGetLastError", sizeof(void (*)(void))}};
    struct {
        hipError_t (*version)(int *);
        hipError_t (*last_error)(void);
    } runtime;
    int said = 0, minor = 0, number = 0, runtime_major;
    void *const loaded_runtime = dcnv4i_hip_library(&runtime_major);
    const bool answered = rtc.hiprtcVersion(&said, &minor) == 0;
    if (answered && said == major)
        return 100 * major + minor;
    if (dcnv4i_library_resolve(loaded_runtime ? loaded_runtime : library, questions, 2, &runtime))
        return 100 * major;
    if (runtime.version(&number) != 0 || !answered)
        runtime.last_error(); /* in HIP 5, hipRTC and the runtime share the last error */
    return number / 10000000 == major ? number / 100000 : 100 * major;
}

static dcnv4_status load(const char *target) {
    void *library;
    const int major = find(&library);
    if (major == 0)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                           "there is no compiler for %s and no kernel for this layer in the cache: no hipRTC in "
                           "libhiprtc.so.7, .6 or libamdhip64.so.5; install ROCm's (Debian: libamdhip64-5), or run "
                           "dcnv4 compile --target %s where it is and set DCNV4_CACHE_DIR to its folder",
                           target, target);
    compiler = (dcnv4i_compiler){
        .version = version_of(library, major),
        .create = rtc.hiprtcCreateProgram,
        .compile = rtc.hiprtcCompileProgram,
        .destroy = rtc.hiprtcDestroyProgram,
        .binary_size = rtc.hiprtcGetCodeSize,
        .binary = rtc.hiprtcGetCode,
        .log_size = rtc.hiprtcGetProgramLogSize,
        .log = rtc.hiprtcGetProgramLog,
        .error_text = rtc.hiprtcGetErrorString,
    };
    snprintf(compiler.name, sizeof compiler.name, "hipRTC %d.%d", compiler.version / 100, compiler.version % 100);
    loaded = true;
    return DCNV4_SUCCESS;
}

/* hipRTC ends the process when it compiles for a target that it does not know. */
static dcnv4_status check_target(const char *target) {
    const dcnv4i_target *known = dcnv4i_target_find("hip", target);
    if (!known || compiler.version >= known->since)
        return DCNV4_SUCCESS;
    return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE, "%s does not compile for %s, which needs hipRTC %d.%d or newer",
                       compiler.name, target, known->since / 100, known->since % 100);
}

static dcnv4_status load_once(const char *target) {
    dcnv4i_fork_lock_take(&lock);
    const dcnv4_status status = loaded ? DCNV4_SUCCESS : load(target);
    dcnv4i_fork_lock_release(&lock);
    return status;
}

const char *dcnv4i_hip_compiler(void) {
    return load_once("a device") == DCNV4_SUCCESS ? compiler.name : "";
}

static dcnv4_status compile(const char *target, const char *source, dcnv4i_binary *binary) {
    dcnv4_status status = load_once(target);
    if (status == DCNV4_SUCCESS)
        status = check_target(target);
    if (status != DCNV4_SUCCESS)
        return status;
    char architecture[64];
    snprintf(architecture, sizeof architecture, "--offload-arch=%s", target);
    const char *const options[] = {architecture, "-O3", "-munsafe-fp-atomics", "-mcode-object-version=6"};
    return dcnv4i_compiler_run(&compiler, target, source, strstr(target, "-generic") ? 4 : 3, options, binary, NULL);
}

/* Ahead of time, targets that hipRTC does not know are left to an installed clang. */
dcnv4_status dcnv4i_hip_compile(const char *target, bool ahead, const char *source, dcnv4i_binary *binary,
                                dcnv4i_binary *portable) {
    (void)portable;
    const dcnv4_status status = compile(target, source, binary);
    if (status != DCNV4_COMPILER_UNAVAILABLE || !ahead)
        return status;
    char why[300];
    snprintf(why, sizeof why, "%s", dcnv4_last_message());
    const dcnv4_status other = dcnv4i_hip_clang(target, source, binary);
    if (other != DCNV4_COMPILER_UNAVAILABLE)
        return other;
    char also[200];
    snprintf(also, sizeof also, "%s", dcnv4_last_message());
    return dcnv4i_fail(status, "%s; and %s", why, also);
}
