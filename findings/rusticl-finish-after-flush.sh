#!/bin/sh
# Mesa 22.3.6's rusticl (Debian 12, on llvmpipe with LLVM 15): after clFlush, clFinish returns before the commands are complete.
#
# OpenCL 1.2, 5.13: clFinish blocks until all previously queued commands have been issued and have completed. Here it returns
# CL_SUCCESS at once if nothing was enqueued since the last clFlush, while the kernel's event says that it is queued or
# submitted. A marker between the two, which does nothing, makes it wait. So times that end with clFinish are too short, and
# memory that a kernel uses may be given away too early. PoCL 3.1 waits (its line below, where it is installed).
#
# Expected of the event after clFinish, after clFlush and clFinish, after clFlush, clEnqueueMarkerWithWaitList and clFinish:
# complete complete complete. Seen: complete running complete ("running" stands for any state before CL_COMPLETE).
# Needs apt-get and Debian 12's package index, gcc, OpenCL's headers and loader (opencl-c-headers, ocl-icd-libopencl1), and the
# libraries that mesa-opencl-icd depends on (libclc-15, libllvm15, libllvmspirvlib15).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$folder/finish.c" <<'END'
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>

/* Takes about a second: 4096 work-items of 16384 turns. */
static const char *text = "kernel void work(global float *out) {"
                          "    float x = 0;"
                          "    for (int i = 0; i < 16384; ++i) x = sin(x) + 1.0f;"
                          "    out[get_global_id(0)] = x;"
                          "}";

int main(void) {
    enum { ITEMS = 4096 };
    cl_platform_id platform;
    cl_device_id device;
    char name[200] = "", driver[200] = "";
    static float out[ITEMS];
    if (clGetPlatformIDs(1, &platform, NULL) || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        return puts("no device"), 2;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name, name, NULL);
    clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof driver, driver, NULL);
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL))
        return puts("does not build"), 2;
    cl_kernel kernel = clCreateKernel(program, "work", NULL);
    cl_mem to = clCreateBuffer(context, 0, sizeof out, NULL, NULL);
    clSetKernelArg(kernel, 0, sizeof to, &to);
    printf("%s %s:", name, driver);
    for (int way = 0; way < 3; ++way) {
        const size_t all = ITEMS, group = 64;
        cl_event event;
        cl_int state = CL_QUEUED;
        if (clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &all, &group, 0, NULL, &event) ||
            (way > 0 && clFlush(queue)) || (way > 1 && clEnqueueMarkerWithWaitList(queue, 0, NULL, NULL)) ||
            clFinish(queue) || clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL))
            return puts("does not run"), 2;
        printf(state == CL_COMPLETE ? " complete" : " running");
        clEnqueueReadBuffer(queue, to, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL); /* this waits */
    }
    puts("");
    return 0;
}
END
gcc -O1 -o "$folder/finish" "$folder/finish.c" -l:libOpenCL.so.1
(cd "$folder" && apt-get -qq download mesa-opencl-icd=22.3.6-1+deb12u2 && dpkg -x mesa-opencl-icd_*.deb packages)
mesa=$(dirname "$(find "$folder/packages" -name libRusticlOpenCL.so.1)")
echo "$mesa/libRusticlOpenCL.so.1" >"$folder/rusticl.icd"
[ ! -e /etc/OpenCL/vendors/pocl.icd ] || OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd "$folder/finish"
export RUSTICL_ENABLE=llvmpipe LD_LIBRARY_PATH="$mesa" GALLIUM_PIPE_SEARCH_DIR="$mesa/gallium-pipe" MESA_SHADER_CACHE_DISABLE=true
OCL_ICD_VENDORS="$folder/rusticl.icd" "$folder/finish" | tee "$folder/said"
grep -q ': complete running complete$' "$folder/said" || { echo "changed: it was 'complete running complete'"; exit 1; }
