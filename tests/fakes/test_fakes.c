/* The stand-in for a GPU itself: kernels run, barriers work, streams run late, and misuse is detected. */
#include "../../backends/cuda/cuda_api.h"
#include "../support/harness.h"
#include "fake_calls.h"

#include <string.h>

#define DECLARE(result, name, arguments) result name arguments;
DCNV4I_CUDA_ENTRIES(DECLARE)
DCNV4I_NVRTC_ENTRIES(DECLARE)
DECLARE(CUresult, cuStreamCreate, (CUstream *, unsigned))
DECLARE(CUresult, cuStreamDestroy_v2, (CUstream))
DECLARE(CUresult, cuStreamBeginCapture_v2, (CUstream, int))
DECLARE(CUresult, cuStreamEndCapture, (CUstream, void **))
DECLARE(CUresult, cuGraphLaunch, (void *, CUstream))
DECLARE(CUresult, cuGraphDestroy, (void *))

/* Reverses each group of four numbers through local memory and adds 1; in CUDA and in HIP. */
static const char cuda_text
    [] = "extern \"C\" __global__ void __launch_bounds__(4) dcn_turn(const float *__restrict__ from, float *to, long "
         "long add) {\n"
         "    __shared__ float kept[4];\n"
         "    kept[threadIdx.x] = from[blockIdx.x * 4 + threadIdx.x];\n"
         "    __syncthreads();\n"
         "    to[blockIdx.x * 4 + threadIdx.x] = kept[3 - threadIdx.x];\n"
         "    asm volatile(\"red.global.add.f32 [%0], %1;\" ::\"l\"(to + blockIdx.x * 4 + threadIdx.x), "
         "\"f\"((float)add) : \"memory\");\n"
         "}\n"
         "extern \"C\" __global__ void __launch_bounds__(4) dcn_stray(float *to) { to[4 + threadIdx.x] = 1; }\n"
         "extern \"C\" __global__ void __launch_bounds__(4) dcn_split(float *to) {\n"
         "    if (threadIdx.x < 2) __syncthreads();\n"
         "    to[threadIdx.x] = 1;\n"
         "}\n";

static const char hip_text
    [] = "extern \"C\" __attribute__((global, amdgpu_flat_work_group_size(4, 4))) void dcn_turn(\n"
         "    const float *__restrict__ from, float *to, long long add) {\n"
         "    const unsigned i = __builtin_amdgcn_workitem_id_x(), at = __builtin_amdgcn_workgroup_id_x() * 4 + i;\n"
         "    __attribute__((shared)) float kept[4];\n"
         "    kept[i] = from[at];\n"
         "    __builtin_amdgcn_s_barrier();\n"
         "    to[at] = kept[3 - i];\n"
         "    __hip_atomic_fetch_add(to + at, (float)add, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);\n"
         "}\n";

typedef struct scene {
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    CUdeviceptr from, to;
    CUstream stream;
} scene;

static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static CUresult build(const char *text, CUmodule *module) {
    nvrtcProgram program = NULL;
    char image[100000];
    size_t size = 0;
    const char *const options[] = {"--gpu-architecture=sm_90"};
    assert_int_equal(nvrtcCreateProgram(&program, text, "text", 0, NULL, NULL), 0);
    CUresult error = nvrtcCompileProgram(program, 1, options);
    if (!error) {
        assert_int_equal(nvrtcGetCUBINSize(program, &size), 0);
        assert_true(size < sizeof image);
        assert_int_equal(nvrtcGetCUBIN(program, image), 0);
        error = cuModuleLoadData(module, image);
    }
    nvrtcDestroyProgram(&program);
    return error;
}

static void set_up(scene *s, const char *text, const char *kernel) {
    assert_int_equal(cuInit(0), 0);
    assert_int_equal(cuDevicePrimaryCtxRetain(&s->context, 0), 0);
    assert_int_equal(cuCtxPushCurrent_v2(s->context), 0);
    assert_int_equal(build(text, &s->module), 0);
    assert_int_equal(cuModuleGetFunction(&s->kernel, s->module, kernel), 0);
    assert_int_equal(cuMemAlloc_v2(&s->from, sizeof numbers), 0);
    assert_int_equal(cuMemAlloc_v2(&s->to, sizeof numbers), 0);
    assert_int_equal(cuMemcpyHtoD_v2(s->from, numbers, sizeof numbers), 0);
    assert_int_equal(cuStreamCreate(&s->stream, 1), 0);
    fake_driver_control()->misuse = 0;
}

static void tear_down(scene *s) {
    cuStreamDestroy_v2(s->stream);
    cuMemFree_v2(s->from);
    cuMemFree_v2(s->to);
    cuModuleUnload(s->module);
    cuCtxPopCurrent_v2(NULL);
    cuDevicePrimaryCtxRelease_v2(0);
    assert_int_equal(fake_driver_control()->live, 0);
}

static CUresult launch(const scene *s, CUdeviceptr from, CUdeviceptr to, CUstream stream) {
    long long add = 1;
    void *arguments[] = {&from, &to, &add};
    return cuLaunchKernel(s->kernel, 2, 1, 1, 4, 1, 1, 0, stream, arguments, NULL);
}

static void assert_turned(const scene *s) {
    static const float expected[8] = {5, 4, 3, 2, 9, 8, 7, 6};
    float got[8];
    assert_int_equal(cuMemcpyDtoH_v2(got, s->to, sizeof got), 0);
    assert_memory_equal(got, expected, sizeof got);
    count_case();
}

static void kernels_run(const char *text) {
    scene s;
    set_up(&s, text, "dcn_turn");
    assert_int_equal(launch(&s, s.from, s.to, NULL), 0);
    assert_turned(&s);
    assert_int_equal(fake_driver_control()->misuse, 0);
    tear_down(&s);
}

static void cuda_runs(void **state) {
    (void)state;
    kernels_run(cuda_text);
}

static void hip_runs(void **state) {
    (void)state;
    kernels_run(hip_text);
}

/* Synchronising another stream does not run a launch, synchronising its own does. */
static void streams_are_late(void **state) {
    (void)state;
    scene s;
    float got[8];
    set_up(&s, cuda_text, "dcn_turn");
    assert_int_equal(launch(&s, s.from, s.to, s.stream), 0);
    assert_int_equal(cuMemcpyDtoH_v2(got, s.to, sizeof got), 0);
    for (int i = 0; i < 8; ++i)
        assert_true(memcmp(&got[i], "\xa5\xa5\xa5\xa5", 4) == 0);
    assert_int_equal(fake_driver_control()->waiting, 1);
    assert_int_equal(cuStreamSynchronize(s.stream), 0);
    assert_turned(&s);
    tear_down(&s);
}

static void capture_allows_launches_alone(void **state) {
    (void)state;
    scene s;
    void *graph = NULL;
    CUdeviceptr more;
    set_up(&s, cuda_text, "dcn_turn");
    assert_int_equal(cuStreamBeginCapture_v2(s.stream, 0), 0);
    assert_int_equal(launch(&s, s.from, s.to, s.stream), 0);
    assert_int_equal(cuStreamEndCapture(s.stream, &graph), 0);
    assert_int_equal(fake_driver_control()->waiting, 0);
    assert_int_equal(cuGraphLaunch(graph, s.stream), 0);
    assert_int_equal(cuStreamSynchronize(s.stream), 0);
    assert_turned(&s);
    cuGraphDestroy(graph);
    assert_int_equal(cuStreamBeginCapture_v2(s.stream, 0), 0);
    assert_int_equal(cuMemAlloc_v2(&more, 4), 900);
    assert_int_equal(cuStreamEndCapture(s.stream, &graph), 901);
    tear_down(&s);
}

/* Calls that no driver allows: each is detected once. */
static void sees(const char *kernel, int case_number) {
    scene s;
    fake_control *const control = fake_driver_control();
    CUdeviceptr others = 0;
    set_up(&s, cuda_text, kernel);
    CUcontext other = NULL;
    assert_int_equal(cuDevicePrimaryCtxRetain(&other, 1), 0);
    assert_int_equal(cuCtxPushCurrent_v2(other), 0);
    assert_int_equal(cuMemAlloc_v2(&others, sizeof numbers), 0);
    switch (case_number) {
    case 0: assert_int_equal(cuMemFree_v2(s.to), 1); break;
    case 1: assert_int_equal(launch(&s, s.from, s.to, NULL), 400); break;
    case 2:
        cuCtxPopCurrent_v2(NULL);
        assert_int_equal(launch(&s, s.from, others, NULL), 0);
        assert_int_equal(cuStreamSynchronize(NULL), 700);
        assert_int_equal(launch(&s, s.from, s.to, NULL), 700);
        control->lost = 0;
        assert_int_equal(cuCtxPushCurrent_v2(other), 0);
        break;
    default: {
        CUdeviceptr room = 0;
        cuCtxPopCurrent_v2(NULL);
        assert_int_equal(cuMemAlloc_v2(&room, 16), 0);
        void *arguments[] = {&room};
        assert_int_equal(cuLaunchKernel(s.kernel, 1, 1, 1, 4, 1, 1, 0, NULL, arguments, NULL), 0);
        cuMemFree_v2(room);
        assert_int_equal(cuCtxPushCurrent_v2(other), 0);
    }
    }
    assert_int_equal(control->misuse, case_number == 1 ? 0 : 1);
    control->misuse = 0;
    cuMemFree_v2(others);
    cuCtxPopCurrent_v2(NULL);
    cuDevicePrimaryCtxRelease_v2(1);
    tear_down(&s);
    count_case();
}

static void misuse_is_seen(void **state) {
    (void)state;
    sees("dcn_turn", 0);  /* a free of another device's memory */
    sees("dcn_turn", 1);  /* a launch in another device's context */
    sees("dcn_turn", 2);  /* a launch with another device's memory */
    sees("dcn_stray", 3); /* a write past the end */
    sees("dcn_split", 3); /* a barrier that some do not reach */
}

static void refusals(void **state) {
    (void)state;
    scene s;
    CUmodule module = NULL;
    set_up(&s, cuda_text, "dcn_turn");
    assert_int_equal(build("extern \"C\" __global__ void dcn_wrong() { no such thing; }", &module), 6);
    assert_int_equal(cuModuleLoadData(&module, "what is no image"), 200);
    assert_int_equal(cuModuleGetFunction(&(CUfunction){NULL}, s.module, "dcn_missing"), 500);
    long long unused[3] = {0, 0, 0};
    void *arguments[] = {&unused[0], &unused[1], &unused[2]};
    assert_int_equal(cuLaunchKernel(s.kernel, 0, 1, 1, 4, 1, 1, 0, NULL, arguments, NULL), 1);
    assert_int_equal(cuLaunchKernel(s.kernel, 1, 1, 1, 5, 1, 1, 0, NULL, arguments, NULL), 1);
    tear_down(&s);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuda_runs),        cmocka_unit_test(hip_runs),
        cmocka_unit_test(streams_are_late), cmocka_unit_test(capture_allows_launches_alone),
        cmocka_unit_test(misuse_is_seen),   cmocka_unit_test(refusals),
    };
    return HARNESS_RUN(argc, argv, tests);
}
