#!/bin/sh
# Mesa 22.3.6's rusticl (Debian 12, on llvmpipe with LLVM 15): 0.0f * x is 0 where x is infinite or NaN, and so is fma(0.0f, x, 0.0f),
# although the device reports CL_FP_INF_NAN and the program is built without options.
#
# OpenCL 1.2, 7.2 and 7.5, wants NaN of both: multiplication is IEEE 754's, and only -cl-finite-math-only lets a compiler think that no
# number is infinite. The zero must be a constant of the program: a zero from memory times infinity is NaN, as it should be, and
# isnan, isfinite and x - x are right too. 0·x is the usual sum of a test for "all are finite" without branches, which then finds that
# infinities are. PoCL 3.1 gives NaN (its line below, where it is installed).
#
# Expected of 0·x, fma(0, x, 0), x − x and m·x with m = 0 from memory, for x = infinity: nan nan nan nan. Seen: 0 0 nan nan.
# Needs apt-get and Debian 12's package index, gcc, OpenCL's headers and loader (opencl-c-headers, ocl-icd-libopencl1), and the
# libraries that mesa-opencl-icd depends on (libclc-15, libllvm15, libllvmspirvlib15).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$folder/ask.c" <<'END'
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <math.h>
#include <stdio.h>

static const char *text = "kernel void ask(global const float *in, global float *out) {"
                          "    const float x = in[0];"
                          "    out[0] = 0.0f * x, out[1] = fma(0.0f, x, 0.0f), out[2] = x - x, out[3] = in[1] * x;"
                          "}";

int main(void) {
    cl_platform_id platform;
    cl_device_id device;
    cl_device_fp_config precision = 0;
    char name[200] = "", driver[200] = "";
    float in[2] = {INFINITY, 0}, out[4] = {9, 9, 9, 9};
    if (clGetPlatformIDs(1, &platform, NULL) || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        return puts("no device"), 2;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name, name, NULL);
    clGetDeviceInfo(device, CL_DRIVER_VERSION, sizeof driver, driver, NULL);
    clGetDeviceInfo(device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof precision, &precision, NULL);
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL))
        return puts("does not build"), 2;
    cl_kernel kernel = clCreateKernel(program, "ask", NULL);
    cl_mem from = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof in, in, NULL);
    cl_mem to = clCreateBuffer(context, 0, sizeof out, NULL, NULL);
    const size_t one = 1;
    clSetKernelArg(kernel, 0, sizeof from, &from), clSetKernelArg(kernel, 1, sizeof to, &to);
    if (clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL) ||
        clEnqueueReadBuffer(queue, to, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL))
        return puts("does not run"), 2;
    printf("%s %s, infinities %sreported:", name, driver, precision & CL_FP_INF_NAN ? "" : "not ");
    for (int i = 0; i < 4; ++i)
        isnan(out[i]) ? printf(" nan") : printf(" %g", (double)out[i]);
    puts("");
    return 0;
}
END
gcc -O1 -o "$folder/ask" "$folder/ask.c" -l:libOpenCL.so.1 -lm
(cd "$folder" && apt-get -qq download mesa-opencl-icd=22.3.6-1+deb12u2 && dpkg -x mesa-opencl-icd_*.deb packages)
mesa=$(dirname "$(find "$folder/packages" -name libRusticlOpenCL.so.1)")
echo "$mesa/libRusticlOpenCL.so.1" >"$folder/rusticl.icd"
[ ! -e /etc/OpenCL/vendors/pocl.icd ] || OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd "$folder/ask"
export RUSTICL_ENABLE=llvmpipe LD_LIBRARY_PATH="$mesa" GALLIUM_PIPE_SEARCH_DIR="$mesa/gallium-pipe" MESA_SHADER_CACHE_DISABLE=true
OCL_ICD_VENDORS="$folder/rusticl.icd" "$folder/ask" | tee "$folder/said"
grep -q ', infinities reported: 0 0 nan nan$' "$folder/said" ||
    { echo "changed: it was 'infinities reported: 0 0 nan nan'"; exit 1; }
