/* libdcnv4_onnxruntime on a stand-in for ONNX Runtime: registration, each call of the runtime that fails, and the
 * providers of GPUs on their streams, on the libraries that stand in for drivers.
 *   test_onnxruntime LIBRARY cpu|cuda|hip */
#include "../fakes/gpu_caller.h"
#include "fake_runtime.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 5, WIDTH = 6, CHANNELS = 16, ROW = 27, PIXELS = HEIGHT * WIDTH };

static OrtStatus *(*register_ops)(OrtSessionOptions *, const OrtApiBase *);
static const char *backend;
static float value[PIXELS * CHANNELS], offset_mask[PIXELS * ROW], expected[PIXELS * CHANNELS];

static void release(OrtStatus *status) {
    ORT(fake_base.GetApi(17), ReleaseStatus)(status);
}

static void assert_error(OrtStatus *status, const char *part) {
    assert_non_null(status);
    if (!strstr(status->message, part))
        fail_msg("'%s' does not have '%s'", status->message, part);
    release(status);
}

/* The operator for these float32 inputs on a provider. */
static const OrtCustomOp *find_op(const OrtSessionOptions *options, const char *name, const char *provider) {
    for (size_t k = 0; k < options->domain->count; ++k) {
        const OrtCustomOp *const op = options->domain->operators[k];
        const char *const on = op->GetExecutionProviderType(op);
        if (strcmp(op->GetName(op), name) == 0 && op->GetInputType(op, 0) == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT &&
            (provider ? on && strcmp(on, provider) == 0 : !on))
            return op;
    }
    fail_msg("no %s on %s", name, provider ? provider : "the CPU");
    return NULL;
}

static OrtValue tensor(void *data, int64_t last) {
    return (OrtValue){{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4, {1, HEIGHT, WIDTH, last}}, data};
}

static OrtStatus *run(const OrtCustomOp *op, OrtKernelContext *context) {
    const OrtKernelInfo info = {.group = 1, .kernel_size = 3};
    void *kernel = NULL;
    OrtStatus *status = op->CreateKernelV2(op, fake_base.GetApi(17), &info, &kernel);
    if (!status)
        status = op->KernelComputeV2(kernel, context);
    op->KernelDestroy(kernel);
    return status;
}

static void test_versions(void **state) {
    (void)state;
    OrtSessionOptions options = {NULL, NULL};
    strcpy(runtime.version, "1.15.9");
    assert_error(register_ops(&options, &fake_base), "this is ONNX Runtime 1.15.9, 1.16 or newer is needed");
    strcpy(runtime.version, "1.16.3");
    assert_null(register_ops(&options, &fake_base));
    assert_int_equal(runtime.asked, 16);
    strcpy(runtime.version, "2.1.0");
    assert_null(register_ops(&options, &fake_base));
    assert_int_equal(runtime.asked, 17);
    strcpy(runtime.version, "unknown");
    assert_null(register_ops(&options, &fake_base));
    strcpy(runtime.version, "1.27.1");
}

static void test_threads(void **state) {
    (void)state;
    OrtSessionOptions options = {"-2", NULL};
    assert_error(register_ops(&options, &fake_base), "dcnv4.threads is '-2'");
    OrtSessionOptions one = {"1", NULL}, again = {"1", NULL}, two = {"2", NULL};
    assert_null(register_ops(&one, &fake_base));
    assert_null(register_ops(&again, &fake_base));
    assert_null(register_ops(&two, &fake_base));
    assert_ptr_equal(one.domain, again.domain); /* nothing is made anew for the same settings */
    assert_ptr_not_equal(one.domain, two.domain);
}

/* Each call of the runtime's fails once: the error is the runtime's, and nothing is lost. */
static void test_faults(void **state) {
    (void)state;
    for (int64_t at = 1;; ++at) {
        char threads[16];
        snprintf(threads, sizeof threads, "%d", 100 + (int)at); /* made anew each time */
        OrtSessionOptions options = {threads, NULL};
        const int64_t live = runtime.live;
        runtime.calls = 0;
        runtime.fails_at = at;
        OrtStatus *const status = register_ops(&options, &fake_base);
        const bool over = runtime.calls < at;
        runtime.fails_at = 0;
        if (over) {
            assert_null(status);
            break;
        }
        assert_error(status, "the fake runtime fails");
        assert_null(options.domain);
        assert_true(runtime.live <= live + 1); /* a domain that is kept for later sessions */
    }
    OrtSessionOptions options = {"1", NULL};
    assert_null(register_ops(&options, &fake_base));
    const OrtCustomOp *const op = find_op(&options, "DCNv4", NULL);
    for (int64_t at = 1;; ++at) {
        float output[PIXELS * CHANNELS] = {0};
        OrtKernelContext context = {{tensor(value, CHANNELS), tensor(offset_mask, ROW)}, 2, {.data = output}, NULL};
        const int64_t live = runtime.live;
        runtime.calls = 0;
        runtime.fails_at = at;
        OrtStatus *const status = run(op, &context);
        const bool over = runtime.calls < at;
        runtime.fails_at = 0;
        if (over) {
            assert_null(status);
            assert_memory_equal(output, expected, sizeof expected);
            break;
        }
        assert_error(status, "the fake runtime fails");
        assert_int_equal(runtime.live, live);
    }
}

static void test_wrong_kernel(void **state) {
    (void)state;
    OrtSessionOptions options = {NULL, NULL};
    assert_null(register_ops(&options, &fake_base));
    const OrtCustomOp *const op = find_op(&options, "DCNv4", NULL);
    const OrtKernelInfo info = {.group = -1};
    void *kernel = &options;
    assert_error(op->CreateKernelV2(op, fake_base.GetApi(17), &info, &kernel), "group of DCNv4 node 'here' is -1");
    assert_null(kernel);
    OrtKernelContext context = {{tensor(value, CHANNELS), tensor(offset_mask, ROW)}, 2, {.data = NULL}, NULL};
    context.inputs[1].info.shape[2] = WIDTH - 1;
    assert_error(run(op, &context), "offset_mask");
    assert_int_equal(context.output.info.rank, 0); /* no output was asked for */
}

/* The provider's stream: queued there and on no other, with results as the CPU's. */
static void test_gpu(void **state) {
    (void)state;
    const gpu_caller *const caller = gpu_caller_of(backend);
    OrtSessionOptions options = {NULL, NULL};
    assert_null(register_ops(&options, &fake_base));
    static const char *const rocm[] = {"ROCMExecutionProvider", "MIGraphXExecutionProvider"};
    static const char *const cuda[] = {"CUDAExecutionProvider", "CUDAExecutionProvider"};
    dcnv4_context *device = NULL;
    assert_int_equal(dcnv4_context_create(caller->device, &device), DCNV4_SUCCESS);
    dcnv4_buffer buffers[3];
    const size_t lengths[3] = {sizeof value, sizeof offset_mask, sizeof expected};
    for (int k = 0; k < 3; ++k)
        assert_int_equal(dcnv4_buffer_create(device, lengths[k], &buffers[k]), DCNV4_SUCCESS);
    assert_int_equal(dcnv4_upload(device, &buffers[0], value, sizeof value), DCNV4_SUCCESS);
    assert_int_equal(dcnv4_upload(device, &buffers[1], offset_mask, sizeof offset_mask), DCNV4_SUCCESS);
    assert_int_equal(caller->make_current(0), 0);
    void *stream = NULL;
    assert_int_equal(caller->stream_create(&stream), 0);
    for (int k = 0; k < 2; ++k) {
        const OrtCustomOp *const op = find_op(&options, "DCNv4", (strcmp(backend, "cuda") == 0 ? cuda : rocm)[k]);
        OrtKernelContext context = {{tensor(buffers[0].handle, CHANNELS), tensor(buffers[1].handle, ROW)},
                                    2,
                                    {.data = buffers[2].handle},
                                    stream};
        float output[PIXELS * CHANNELS] = {0};
        assert_int_equal(dcnv4_upload(device, &buffers[2], output, sizeof output), DCNV4_SUCCESS);
        OrtStatus *const status = run(op, &context);
        if (status)
            fail_msg("%s", status->message);
        assert_true(caller->control->waiting > 0);
        assert_int_equal(caller->stream_synchronize(stream), 0);
        assert_int_equal(caller->control->waiting, 0);
        assert_int_equal(dcnv4_download(device, &buffers[2], output, sizeof output), DCNV4_SUCCESS);
        for (int at = 0; at < PIXELS * CHANNELS; ++at)
            assert_true(fabsf(output[at] - expected[at]) <= 1e-4f);
    }
    assert_int_equal(caller->stream_destroy(stream), 0);
    caller->leave();
    for (int k = 0; k < 3; ++k)
        dcnv4_buffer_destroy(device, &buffers[k]);
    dcnv4_context_destroy(device);
}

static void fill_tensors(void) {
    for (size_t k = 0; k < sizeof value / sizeof *value; ++k)
        value[k] = (float)(k % 17) / 8 - 1;
    for (size_t k = 0; k < sizeof offset_mask / sizeof *offset_mask; ++k)
        offset_mask[k] = (float)(k % 23) / 11 - 1;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = HEIGHT, problem.width = WIDTH, problem.group_channels = CHANNELS;
    problem.offset_mask_row = ROW, problem.forward_only = 1;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    buffers.value = dcnv4_host_buffer(value, sizeof value);
    buffers.offset_mask = dcnv4_host_buffer(offset_mask, sizeof offset_mask);
    buffers.output = dcnv4_host_buffer(expected, sizeof expected);
    if (dcnv4_context_create("cpu", &context) || dcnv4_plan_create(context, &problem, &plan) ||
        dcnv4_forward(plan, &buffers, NULL))
        abort();
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

int main(int argc, char **argv) {
    void *const library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *const entry = library ? dlsym(library, "RegisterCustomOps") : NULL;
    if (!entry)
        return 1;
    memcpy(&register_ops, &entry, sizeof entry);
    backend = argv[2];
    fill_tensors();
    const struct CMUnitTest host[] = {cmocka_unit_test(test_versions), cmocka_unit_test(test_threads),
                                      cmocka_unit_test(test_faults), cmocka_unit_test(test_wrong_kernel)};
    const struct CMUnitTest gpu[] = {cmocka_unit_test(test_gpu)};
    const int failures = strcmp(backend, "cpu") == 0 ? cmocka_run_group_tests(host, NULL, NULL)
                                                     : cmocka_run_group_tests(gpu, NULL, NULL);
    /* A runtime unloads it after its last session, while libdcnv4's threads may be waiting: it has to stay. */
    dlclose(library);
    if (!dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD)) {
        fprintf(stderr, "dlclose has unloaded %s\n", argv[1]);
        return 1;
    }
    return failures;
}
