/* Several sessions in several threads at once, on the stand-in for ONNX Runtime: the bits of the library's own calls. The
 * runtime's binary is not instrumented, so this is where the thread sanitizer sees all sides.
 *   test_ort_sessions LIBRARY */
#include "../support/harness.h"

#include "fake_runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 1000, TALLEST = 6, WIDTH = 6, CHANNELS = 16, ROW = 27, PIXELS = TALLEST * WIDTH };

static OrtStatus *(*register_ops)(OrtSessionOptions *, const OrtApiBase *);
static float value[PIXELS * CHANNELS], offset_mask[PIXELS * ROW];
static float expected[TALLEST + 1][PIXELS * CHANNELS]; /* by the image's height */

static void run_directly(dcnv4_context *context, int64_t height) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = height, problem.width = WIDTH, problem.group_channels = CHANNELS;
    problem.offset_mask_row = ROW, problem.forward_only = 1;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    buffers.value = dcnv4_host_buffer(value, sizes.value);
    buffers.offset_mask = dcnv4_host_buffer(offset_mask, sizes.offset_mask);
    buffers.output = dcnv4_host_buffer(expected[height], sizes.output);
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    ASSERT_SUCCESS(dcnv4_forward(plan, &buffers, NULL));
    dcnv4_plan_destroy(plan);
}

static OrtValue tensor(void *data, int64_t height, int64_t last) {
    return (OrtValue){{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4, {1, height, WIDTH, last}}, data};
}

/* DCNv4 of float32 on the CPU. */
static const OrtCustomOp *find_op(const OrtSessionOptions *options) {
    for (size_t k = 0; k < options->domain->count; ++k) {
        const OrtCustomOp *const op = options->domain->operators[k];
        if (strcmp(op->GetName(op), "DCNv4") == 0 && !op->GetExecutionProviderType(op) &&
            op->GetInputType(op, 0) == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
            return op;
    }
    return NULL;
}

typedef struct session {
    const char *threads;
    int first, wrong;
} session;

/* How many of a kernel's calls have other bits than expected, or fail. */
static int run_often(const OrtCustomOp *op, void *kernel, int first) {
    int wrong = 0;
    for (int round = 0; round < ROUNDS; ++round) {
        float output[PIXELS * CHANNELS] = {0};
        const int64_t height = 1 + (first + round) % TALLEST; /* in another order in each thread */
        OrtKernelContext context = {
            {tensor(value, height, CHANNELS), tensor(offset_mask, height, ROW)}, 2, {.data = output}, NULL};
        OrtStatus *const status = op->KernelComputeV2(kernel, &context);
        wrong += status != NULL || memcmp(output, expected[height], sizeof output) != 0;
        if (status)
            ORT(fake_base.GetApi(17), ReleaseStatus)(status);
    }
    return wrong;
}

/* A session from registration to its end. */
static void *live(void *argument) {
    session *const self = argument;
    const OrtKernelInfo info = {.group = 1, .kernel_size = 3};
    OrtSessionOptions options = {self->threads, NULL};
    void *kernel = NULL;
    self->wrong = 1;
    if (register_ops(&options, &fake_base))
        return NULL;
    const OrtCustomOp *const op = find_op(&options);
    if (op && !op->CreateKernelV2(op, fake_base.GetApi(17), &info, &kernel)) {
        self->wrong = run_often(op, kernel, self->first);
        op->KernelDestroy(kernel);
    }
    return NULL;
}

/* Two sessions of one number of threads, and two of another: they share operators, contexts and plans in pairs. */
static void test_sessions_at_once(void **state) {
    (void)state;
    session sessions[THREADS] = {{"1", 0, 0}, {"2", 1, 0}, {"1", 2, 0}, {"2", 3, 0}};
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; ++k)
        assert_int_equal(pthread_create(&threads[k], NULL, live, &sessions[k]), 0);
    for (int k = 0; k < THREADS; ++k)
        assert_int_equal(pthread_join(threads[k], NULL), 0);
    for (int k = 0; k < THREADS; ++k)
        assert_int_equal(sessions[k].wrong, 0);
}

/* One session, one kernel, two threads. */
typedef struct caller {
    const OrtCustomOp *op;
    void *kernel;
    int first, wrong;
} caller;

static void *call(void *argument) {
    caller *const self = argument;
    self->wrong = run_often(self->op, self->kernel, self->first);
    return NULL;
}

static void test_one_session_in_two_threads(void **state) {
    (void)state;
    const OrtKernelInfo info = {.group = 1, .kernel_size = 3};
    OrtSessionOptions options = {"2", NULL};
    assert_null(register_ops(&options, &fake_base));
    caller callers[2] = {{find_op(&options), NULL, 0, 0}};
    assert_non_null(callers[0].op);
    assert_null(callers[0].op->CreateKernelV2(callers[0].op, fake_base.GetApi(17), &info, &callers[0].kernel));
    callers[1] = callers[0], callers[1].first = 1;
    pthread_t threads[2];
    for (int k = 0; k < 2; ++k)
        assert_int_equal(pthread_create(&threads[k], NULL, call, &callers[k]), 0);
    for (int k = 0; k < 2; ++k)
        assert_int_equal(pthread_join(threads[k], NULL), 0);
    callers[0].op->KernelDestroy(callers[0].kernel);
    assert_int_equal(callers[0].wrong, 0);
    assert_int_equal(callers[1].wrong, 0);
}

static void fill(float *numbers, size_t count, uint64_t seed) {
    for (size_t k = 0; k < count; ++k)
        numbers[k] = (float)draw_between(&seed, -1, 1);
}

static int compute_expected(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    fill(value, sizeof value / sizeof *value, 3);
    fill(offset_mask, sizeof offset_mask / sizeof *offset_mask, 5);
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    for (int64_t height = 1; height <= TALLEST; ++height)
        run_directly(context, height);
    dcnv4_context_destroy(context);
    return 0;
}

int main(int argc, char **argv) {
    void *const library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *const entry = library ? dlsym(library, "RegisterCustomOps") : NULL;
    if (!entry)
        return 1;
    memcpy(&register_ops, &entry, sizeof entry);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sessions_at_once),
                                       cmocka_unit_test(test_one_session_in_two_threads)};
    return cmocka_run_group_tests(tests, compute_expected, NULL);
}
