#include "hip_api.h"
#include "../gpu/runtime/library.h"
#include "../../core/fork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dcnv4i_hip_api dcnv4i_hip;

static dcnv4i_fork_lock lock;
static void *library;
static int library_major;
static bool initialised;
static unsigned started; /* the fork count of the process that initialised the runtime */

static const char *const names[] = {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", NULL};

#define ENTRY(result, name, arguments) DCNV4I_ENTRY(dcnv4i_hip_api, name),
static const dcnv4i_entry entries[] = {DCNV4I_HIP_ENTRIES(ENTRY)};
#undef ENTRY

/* Resolves whichever of the two exists: both structs have what is read from them. */
static const char *resolve_properties(void *from) {
#define ENTRY(result, name, arguments) {#name, offsetof(dcnv4i_hip_api, properties)},
    static const dcnv4i_entry either[] = {DCNV4I_HIP_PROPERTIES_ENTRIES(ENTRY)};
#undef ENTRY
    return dcnv4i_library_resolve(from, &either[0], 1, &dcnv4i_hip)
               ? dcnv4i_library_resolve(from, &either[1], 1, &dcnv4i_hip)
               : NULL;
}

static dcnv4_status open_library(void) {
    const char *name;
    void *opened = dcnv4i_library_open(names, &name);
    if (!opened)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                           "libamdhip64.so.7, .6 and .5, AMD's HIP runtime, do not load (%.80s); install ROCm or the "
                           "package with libamdhip64 (Debian: libamdhip64-5)",
                           dcnv4i_library_reason());
    const char *missing = dcnv4i_library_resolve(opened, entries, sizeof entries / sizeof *entries, &dcnv4i_hip);
    if (!missing)
        missing = resolve_properties(opened);
    if (missing)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s is too old: it has no %s; install HIP 5.2 or newer", name,
                           missing);
    library_major = atoi(strrchr(name, '.') + 1);
    library = opened;
    return DCNV4_SUCCESS;
}

enum { OLDEST = 502 }; /* version of HIP, as 100 · major + minor */

/* A runtime that does not report its version is accepted. */
static dcnv4_status check_version(void) {
    int answer = 0;
    if (dcnv4i_hip.hipRuntimeGetVersion(&answer) != 0)
        dcnv4i_hip.hipGetLastError();
    const int version = answer / 10000000 * 100 + answer / 100000 % 100;
    if (version == 0 || version >= OLDEST)
        return DCNV4_SUCCESS;
    return dcnv4i_fail(
        DCNV4_DEVICE_UNAVAILABLE,
        "libamdhip64.so.%d is of HIP %d.%d, and %d.%d is the oldest that is supported; install a newer ROCm",
        library_major, version / 100, version % 100, OLDEST / 100, OLDEST % 100);
}

static dcnv4_status initialise(void) {
    int count;
    hipError_t error = dcnv4i_hip.hipInit(0);
    const bool works = error == 0 || dcnv4i_hip.hipGetDeviceCount(&count) == 0;
    if (error != 0)
        dcnv4i_hip.hipGetLastError();
    if (works) {
        const dcnv4_status status = check_version();
        started = dcnv4i_fork_count();
        initialised = status == DCNV4_SUCCESS;
        return status;
    }
    const char *name = dcnv4i_hip.hipGetErrorName(error);
    return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                       "libamdhip64.so.%d is installed, but finds no AMD GPU: %s (error %d from hipInit); the amdgpu "
                       "driver must be loaded and /dev/kfd open to this user",
                       library_major, name ? name : "no name", error);
}

dcnv4_status dcnv4i_hip_load(void) {
    dcnv4i_fork_lock_take(&lock);
    dcnv4_status status = dcnv4i_fork_watch();
    if (status == DCNV4_SUCCESS && !library)
        status = open_library();
    if (status == DCNV4_SUCCESS && !initialised)
        status = initialise();
    else if (status == DCNV4_SUCCESS && started != dcnv4i_fork_count())
        status = dcnv4i_fork_refuse("HIP");
    dcnv4i_fork_lock_release(&lock);
    return status;
}

bool dcnv4i_hip_in_use(void) {
    return dcnv4i_library_is_there(names);
}

void *dcnv4i_hip_library(int *major) {
    dcnv4i_fork_lock_take(&lock);
    void *answer = library;
    *major = library_major;
    dcnv4i_fork_lock_release(&lock);
    return answer;
}
