#include "opencl_api.h"
#include "../gpu/runtime/library.h"
#include "../../core/fork.h"

static dcnv4i_fork_lock lock;
static dcnv4i_opencl_api loaded;
static bool is_loaded;
static unsigned loader; /* the fork count of the process that loaded it */

#define ENTRY(result, name, arguments) DCNV4I_ENTRY(dcnv4i_opencl_api, name),
static const dcnv4i_entry entries[] = {DCNV4I_OPENCL_ENTRIES(ENTRY)};
#undef ENTRY

static dcnv4_status load(void) {
    static const char *const names[] = {"libOpenCL.so.1", NULL};
    const char *name;
    void *library = dcnv4i_library_open(names, &name);
    if (!library)
        return dcnv4i_fail(
            DCNV4_DEVICE_UNAVAILABLE,
            "libOpenCL.so.1, the OpenCL loader, does not load (%.80s); install it and the device's driver "
            "(Debian: ocl-icd-libopencl1, and pocl-opencl-icd for CPUs)",
            dcnv4i_library_reason());
    const char *missing = dcnv4i_library_resolve(library, entries, sizeof entries / sizeof *entries, &loaded);
    if (missing)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "libOpenCL.so.1 has no %s; OpenCL 1.2 or newer is needed",
                           missing);
    loader = dcnv4i_fork_count();
    is_loaded = true;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_opencl_load(const dcnv4i_opencl_api **api) {
    dcnv4i_fork_lock_take(&lock);
    dcnv4_status status = dcnv4i_fork_watch();
    if (status == DCNV4_SUCCESS && !is_loaded)
        status = load();
    else if (status == DCNV4_SUCCESS && loader != dcnv4i_fork_count())
        status = dcnv4i_fork_refuse("OpenCL"); /* PoCL, for example, hangs in a child */
    dcnv4i_fork_lock_release(&lock);
    if (status == DCNV4_SUCCESS)
        *api = &loaded;
    return status;
}

bool dcnv4i_opencl_is_loaded(void) {
    dcnv4i_fork_lock_take(&lock);
    const bool answer = is_loaded;
    dcnv4i_fork_lock_release(&lock);
    return answer;
}

dcnv4_status dcnv4i_opencl_fail(const char *function, cl_int error) {
    switch (error) {
    case DCNV4I_CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case DCNV4I_CL_OUT_OF_RESOURCES:
    case DCNV4I_CL_INVALID_BUFFER_SIZE:
        return dcnv4i_fail(DCNV4_OUT_OF_DEVICE_MEMORY, "%s: the device lacks the memory or resources (error %d)",
                           function, (int)error);
    case DCNV4I_CL_OUT_OF_HOST_MEMORY:
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "%s: the driver got no host memory (error %d)", function, (int)error);
    case DCNV4I_CL_DEVICE_NOT_AVAILABLE:
        return dcnv4i_fail(DCNV4_DEVICE_LOST, "%s: the device is not available any more (error %d)", function,
                           (int)error);
    case DCNV4I_CL_COMPILER_NOT_AVAILABLE:
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE, "%s: the driver has no compiler (error %d)", function,
                           (int)error);
    case DCNV4I_CL_INVALID_COMMAND_QUEUE:
    case DCNV4I_CL_INVALID_MEM_OBJECT:
    case DCNV4I_CL_INVALID_CONTEXT:
    case DCNV4I_CL_INVALID_EVENT:
    case DCNV4I_CL_INVALID_EVENT_WAIT_LIST:
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "%s: a queue, buffer or event does not belong to this context (error %d)", function,
                           (int)error);
    default: return dcnv4i_fail(DCNV4_DRIVER_ERROR, "%s failed with error %d", function, (int)error);
    }
}
