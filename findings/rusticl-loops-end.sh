#!/bin/sh
# Mesa 22.3.6's rusticl (Debian 12, on llvmpipe with LLVM 15): a work-item leaves its loops after 65,535 turns, those of all
# loops together, and goes on behind them. Nothing reports it: the results are wrong.
#
# OpenCL 1.2 sets no such limit. llvmpipe counts down a number that it sets once, where the kernel begins, so nested loops of
# 300 turns each end too early like a single one of 200,000. PoCL 3.1 does all turns (its line below, where it is installed).
#
# Expected of counting the turns of loops of 1 × 65,000, 1 × 200,000 and 300 × 300: 65000 200000 90000. Seen: 65000 65534 65100.
# Needs apt-get and Debian 12's package index, gcc, OpenCL's headers and loader (opencl-c-headers, ocl-icd-libopencl1), and the
# libraries that mesa-opencl-icd depends on (libclc-15, libllvm15, libllvmspirvlib15).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$folder/turns.c" <<'END'
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>

/* Adds 2 in every second turn, so that no compiler knows the sum beforehand. */
static const char *text = "kernel void count(global float *out, int outer, int inner) {"
                          "    float turns = 0;"
                          "    for (int i = 0; i < outer; ++i)"
                          "        for (int k = 0; k < inner; ++k) turns = k % 2 ? turns + 2.0f : turns;"
                          "    out[0] = turns;"
                          "}";

int main(void) {
    static const cl_int loops[3][2] = {{1, 65000}, {1, 200000}, {300, 300}};
    cl_platform_id platform;
    cl_device_id device;
    char name[200] = "", driver[200] = "";
    if (clGetPlatformIDs(1, &platform, NULL) || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        return puts("no device"), 2;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name, name, NULL);
    clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof driver, driver, NULL);
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL))
        return puts("does not build"), 2;
    cl_kernel kernel = clCreateKernel(program, "count", NULL);
    cl_mem to = clCreateBuffer(context, 0, sizeof(float), NULL, NULL);
    printf("%s %s:", name, driver);
    for (int i = 0; i < 3; ++i) {
        const size_t one = 1;
        float turns = 0;
        clSetKernelArg(kernel, 0, sizeof to, &to);
        clSetKernelArg(kernel, 1, sizeof(cl_int), &loops[i][0]), clSetKernelArg(kernel, 2, sizeof(cl_int), &loops[i][1]);
        if (clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL) ||
            clEnqueueReadBuffer(queue, to, CL_TRUE, 0, sizeof turns, &turns, 0, NULL, NULL))
            return puts("does not run"), 2;
        printf(" %.0f", (double)turns);
    }
    puts("");
    return 0;
}
END
gcc -O1 -o "$folder/turns" "$folder/turns.c" -l:libOpenCL.so.1
(cd "$folder" && apt-get -qq download mesa-opencl-icd=22.3.6-1+deb12u2 && dpkg -x mesa-opencl-icd_*.deb packages)
mesa=$(dirname "$(find "$folder/packages" -name libRusticlOpenCL.so.1)")
echo "$mesa/libRusticlOpenCL.so.1" >"$folder/rusticl.icd"
[ ! -e /etc/OpenCL/vendors/pocl.icd ] || OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd "$folder/turns"
export RUSTICL_ENABLE=llvmpipe LD_LIBRARY_PATH="$mesa" GALLIUM_PIPE_SEARCH_DIR="$mesa/gallium-pipe" MESA_SHADER_CACHE_DISABLE=true
OCL_ICD_VENDORS="$folder/rusticl.icd" "$folder/turns" | tee "$folder/said"
grep -q ': 65000 65534 65100$' "$folder/said" || { echo "changed: it was '65000 65534 65100'"; exit 1; }
