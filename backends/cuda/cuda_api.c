#include "cuda_api.h"
#include "../gpu/runtime/library.h"
#include "../cuda_hip/cuda_hip_api.h"
#include "../../core/fork.h"

dcnv4i_cuda_api dcnv4i_cuda;

static dcnv4i_fork_lock lock;
static void *library;
static bool initialised;
static unsigned started; /* the fork count of the process that initialised the driver */
static int version;

static const char *const names[] = {"libcuda.so.1", NULL};

#define ENTRY(result, name, arguments) DCNV4I_ENTRY(dcnv4i_cuda_api, name),
static const dcnv4i_entry entries[] = {DCNV4I_CUDA_ENTRIES(ENTRY)};
#undef ENTRY

static dcnv4_status open_library(void) {
    const char *name;
    void *opened = dcnv4i_library_open(names, &name);
    if (!opened)
        return dcnv4i_fail(
            DCNV4_DEVICE_UNAVAILABLE,
            "%s, NVIDIA's driver, does not load (%.120s); install the driver of the GPU (Debian: nvidia-driver)", name,
            dcnv4i_library_reason());
    const char *missing = dcnv4i_library_resolve(opened, entries, sizeof entries / sizeof *entries, &dcnv4i_cuda);
    if (missing)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                           "%s is too old: it has no %s; install a driver of CUDA 11 or newer", name, missing);
    library = opened;
    return DCNV4_SUCCESS;
}

enum { OLDEST = 1100 }; /* version of CUDA, as 100 · major + minor */

/* A driver that does not report its version is accepted. */
static dcnv4_status check_version(void) {
    int answer = 0;
    if (dcnv4i_cuda.cuDriverGetVersion(&answer) == 0)
        version = answer / 1000 * 100 + answer % 1000 / 10;
    if (version == 0 || version >= OLDEST)
        return DCNV4_SUCCESS;
    return dcnv4i_fail(
        DCNV4_DEVICE_UNAVAILABLE,
        "%s is the driver of CUDA %d.%d, and %d.%d is the oldest that is supported; install a newer driver", names[0],
        version / 100, version % 100, OLDEST / 100, OLDEST % 100);
}

static dcnv4_status initialise(void) {
    const CUresult error = dcnv4i_cuda.cuInit(0);
    if (error == 0) {
        const dcnv4_status status = check_version();
        started = dcnv4i_fork_count();
        initialised = status == DCNV4_SUCCESS;
        return status;
    }
    if (error == DCNV4I_ERROR_NOT_INITIALIZED)
        return dcnv4i_fail(DCNV4_FORKED,
                           "CUDA does not start (error %d from cuInit): the process that forked this one has used "
                           "CUDA; start a new process (in Python: multiprocessing's \"spawn\")",
                           error);
    const char *name = NULL;
    dcnv4i_cuda.cuGetErrorName(error, &name);
    return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                       "%s is installed, but CUDA does not start: %s (error %d from cuInit); see nvidia-smi", names[0],
                       name ? name : "no name", error);
}

dcnv4_status dcnv4i_cuda_load(void) {
    dcnv4i_fork_lock_take(&lock);
    dcnv4_status status = dcnv4i_fork_watch();
    if (status == DCNV4_SUCCESS && !library)
        status = open_library();
    if (status == DCNV4_SUCCESS && !initialised)
        status = initialise();
    else if (status == DCNV4_SUCCESS && started != dcnv4i_fork_count())
        status = dcnv4i_fork_refuse("CUDA");
    dcnv4i_fork_lock_release(&lock);
    return status;
}

bool dcnv4i_cuda_in_use(void) {
    return dcnv4i_library_is_there(names);
}

int dcnv4i_cuda_version(void) {
    dcnv4i_fork_lock_take(&lock);
    const int answer = version;
    dcnv4i_fork_lock_release(&lock);
    return answer;
}
