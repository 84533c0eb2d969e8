#include "opencl_devices.h"

#include <stdio.h>
#include <string.h>

/* What gives a platform its devices, where it has none without that. */
static const char *advice(const dcnv4i_opencl_api *api, const cl_platform_id *platforms, cl_uint count) {
    static const char *const known[][2] = {
        {"Portable Computing Language", "; PoCL has none where it cannot write to its cache: set POCL_CACHE_DIR to a "
                                        "folder where it can"},
        {"rusticl", "; rusticl has none unless RUSTICL_ENABLE names their drivers: llvmpipe for the processor, "
                    "radeonsi, iris, …"},
    };
    for (cl_uint p = 0; p < count; ++p) {
        char name[64] = "";
        if (api->clGetPlatformInfo(platforms[p], DCNV4I_CL_PLATFORM_NAME, sizeof name, name, NULL) == DCNV4I_CL_SUCCESS)
            for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
                if (strncmp(name, known[i][0], sizeof name) == 0)
                    return known[i][1];
    }
    return "";
}

static dcnv4_status no_platform(void) {
    char complaint[256];
    dcnv4i_opencl_vendors_complain(complaint, sizeof complaint);
    if (*complaint)
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "no OpenCL driver loads (0 platforms)%s", complaint);
    return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE,
                       "libOpenCL.so.1 is there, but no OpenCL driver is installed (0 platforms; Debian: "
                       "mesa-opencl-icd, intel-opencl-icd, pocl-opencl-icd for CPUs), or none loads that an .icd "
                       "file in /etc/OpenCL/vendors or OCL_ICD_VENDORS names");
}

static dcnv4_status no_device(const dcnv4i_opencl_api *api, const cl_platform_id *platforms, cl_uint count) {
    const char *more = advice(api, platforms, count);
    char complaint[256];
    if (!*more) {
        dcnv4i_opencl_vendors_complain(complaint, sizeof complaint);
        more = complaint;
    }
    return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%u OpenCL platform%s installed, with 0 devices%s", (unsigned)count,
                       count == 1 ? " is" : "s are", more);
}

dcnv4_status dcnv4i_opencl_list(const dcnv4i_opencl_api *api, cl_device_id *devices, int *count) {
    cl_platform_id platforms[16];
    cl_uint platform_count = 0, found = 0;
    const cl_uint most = sizeof platforms / sizeof *platforms;
    const cl_int error = api->clGetPlatformIDs(most, platforms, &platform_count);
    /* The usual loader returns −1001 where no driver is installed. */
    if (error == -1001 || (error == DCNV4I_CL_SUCCESS && platform_count == 0))
        return no_platform();
    if (error != DCNV4I_CL_SUCCESS)
        return dcnv4i_opencl_fail("clGetPlatformIDs", error);
    if (platform_count > most)
        platform_count = most;
    *count = 0;
    for (cl_uint p = 0; p < platform_count && *count < DCNV4I_MAX_DEVICES; ++p) {
        const cl_uint room = (cl_uint)(DCNV4I_MAX_DEVICES - *count);
        /* A platform that fails or has no device is skipped. */
        if (api->clGetDeviceIDs(platforms[p], DCNV4I_CL_DEVICE_TYPE_ALL, room, devices + *count, &found) ==
            DCNV4I_CL_SUCCESS)
            *count += (int)(found < room ? found : room);
    }
    if (*count == 0)
        return no_device(api, platforms, platform_count);
    return DCNV4_SUCCESS;
}

/* A string property of the device, truncated to fit; "" if the device lacks it. */
static void ask_text(const dcnv4i_opencl_api *api, cl_device_id device, cl_device_info what, char *text, size_t room) {
    char whole[4096];
    size_t length = 0;
    text[0] = '\0';
    if (api->clGetDeviceInfo(device, what, sizeof whole - 1, whole, &length) == DCNV4I_CL_SUCCESS &&
        length < sizeof whole) {
        whole[length] = '\0';
        snprintf(text, room, "%.*s", (int)room - 1, whole);
    }
}

/* A property of the device that is a number of size bytes; 0 if the device lacks it. */
static uint64_t ask_number(const dcnv4i_opencl_api *api, cl_device_id device, cl_device_info what, size_t size) {
    uint32_t narrow = 0;
    uint64_t wide = 0;
    void *const number = size == sizeof narrow ? (void *)&narrow : (void *)&wide;
    if (api->clGetDeviceInfo(device, what, size, number, NULL) != DCNV4I_CL_SUCCESS)
        return 0;
    return size == sizeof narrow ? narrow : wide;
}

static dcnv4i_atomics ask_atomics(const dcnv4i_opencl_api *api, cl_device_id device, const char *vendor) {
    enum { CL_DEVICE_SINGLE_FP_ATOMIC_CAPABILITIES_EXT = 0x4231, GLOBAL_ADD = 1 << 1 };
    char extensions[4096];
    ask_text(api, device, DCNV4I_CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    if (strstr(extensions, "cl_ext_float_atomics") &&
        (ask_number(api, device, CL_DEVICE_SINGLE_FP_ATOMIC_CAPABILITIES_EXT, 8) & GLOBAL_ADD))
        return DCNV4I_ATOMICS_EXTENSION;
    return strstr(vendor, "NVIDIA") ? DCNV4I_ATOMICS_PTX : DCNV4I_ATOMICS_EXCHANGE;
}

/* Whether a work-item's vectors are vectors of the device: a processor's, unless its driver puts several work-items side
 * by side into them, as a GPU does (rusticl's llvmpipe, whose width is 1). There a vector of 16 floats is 16 vectors, each
 * for one work-item, and kernels for CPUs take a minute to compile. */
static bool has_wide_vectors(const dcnv4i_opencl_api *api, cl_device_id device, uint64_t type) {
    return (type & DCNV4I_CL_DEVICE_TYPE_CPU) != 0 &&
           ask_number(api, device, DCNV4I_CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 4) != 1;
}

/* llvmpipe leaves a work-item's loops after so many turns, and reports nothing (findings/rusticl-loops-end.sh). */
static int64_t most_turns(const char *name) {
    enum { LLVMPIPE_TURNS = 65535 };
    return strstr(name, "llvmpipe") ? LLVMPIPE_TURNS : 0;
}

static void ask_limits(const dcnv4i_opencl_api *api, cl_device_id device, const char *name, const char *vendor,
                       dcnv4i_opencl_facts *facts) {
    const uint64_t type = ask_number(api, device, DCNV4I_CL_DEVICE_TYPE, 8);
    facts->gpu = (type & DCNV4I_CL_DEVICE_TYPE_GPU) != 0;
    facts->compiler = ask_number(api, device, DCNV4I_CL_DEVICE_COMPILER_AVAILABLE, 4) != 0;
    facts->limits = (dcnv4i_limits){
        .cpu = has_wide_vectors(api, device, type),
        .work_group = (int64_t)ask_number(api, device, DCNV4I_CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t)),
        .local_memory = (int64_t)ask_number(api, device, DCNV4I_CL_DEVICE_LOCAL_MEM_SIZE, 8),
        .units = (int64_t)ask_number(api, device, DCNV4I_CL_DEVICE_MAX_COMPUTE_UNITS, 4),
        .turns = most_turns(name),
        .atomics = ask_atomics(api, device, vendor),
    };
}

void dcnv4i_opencl_ask(const dcnv4i_opencl_api *api, cl_device_id device, int index, dcnv4i_opencl_facts *facts) {
    static const char *const atomics[] = {"exchange", "cl_ext_float_atomics", "PTX"};
    char name[128], vendor[128], version[256], driver[128], language[128];
    *facts = (dcnv4i_opencl_facts){.info = DCNV4_DEVICE_INFO_INIT};
    ask_text(api, device, DCNV4I_CL_DEVICE_NAME, name, sizeof name);
    ask_text(api, device, DCNV4I_CL_DEVICE_VENDOR, vendor, sizeof vendor);
    ask_text(api, device, DCNV4I_CL_DEVICE_VERSION, version, sizeof version);
    ask_text(api, device, DCNV4I_CL_DRIVER_VERSION, driver, sizeof driver);
    ask_text(api, device, DCNV4I_CL_DEVICE_OPENCL_C_VERSION, language, sizeof language);
    ask_limits(api, device, name, vendor, facts);

    dcnv4_device_info *const info = &facts->info;
    if (index >= 0)
        snprintf(info->name, sizeof info->name, "opencl:%d", index);
    else
        snprintf(info->name, sizeof info->name, "opencl");
    snprintf(info->backend, sizeof info->backend, "opencl");
    snprintf(info->description, sizeof info->description, "%.60s, %.60s", name, version);
    if (facts->limits.cpu)
        snprintf(info->features, sizeof info->features, "16-wide vectors");
    else
        snprintf(info->features, sizeof info->features, "16-byte vectors, local memory, float atomics by %s",
                 atomics[facts->limits.atomics]);
    info->available = 1;
    info->units = (int32_t)facts->limits.units;
    info->memory = (int64_t)ask_number(api, device, DCNV4I_CL_DEVICE_GLOBAL_MEM_SIZE, 8);
    snprintf(facts->identity, sizeof facts->identity, "opencl\nname %s\nvendor %s\nversion %s\ndriver %s\nlanguage %s",
             name, vendor, version, driver, language);
}
