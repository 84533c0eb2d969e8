/* Adopts a context and a queue that the caller, this test, owns, on the installed OpenCL. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "../support/harness.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 6, OFFSET = 4096 };

typedef struct owner {
    cl_device_id device;
    cl_context context;
    dcnv4_context *adopted;
    dcnv4_plan *plan;
    dcnv4_sizes sizes;
    cl_mem memory[TENSORS + 1];
    dcnv4_buffers buffers;
    float *inputs[TENSORS];
} owner;

static const size_t *bytes_of(const owner *o) {
    return &o->sizes.value; /* six in a row, in the order of the buffers */
}

static dcnv4_buffer *buffers_of(owner *o) {
    return &o->buffers.value;
}

/* Every tensor lies OFFSET bytes into a cl_mem. */
static void set_up(owner *o, cl_command_queue queue) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 2, problem.height = 9, problem.width = 7, problem.groups = 2, problem.group_channels = 16;
    o->sizes = (dcnv4_sizes)DCNV4_SIZES_INIT;
    o->buffers = (dcnv4_buffers)DCNV4_BUFFERS_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &o->sizes));
    ASSERT_SUCCESS(dcnv4_context_adopt_opencl(o->context, o->device, &o->adopted));
    ASSERT_SUCCESS(dcnv4_plan_create(o->adopted, &problem, &o->plan));
    uint64_t seed = 7;
    for (int i = 0; i < TENSORS; ++i) {
        const size_t length = bytes_of(o)[i];
        o->inputs[i] = allocate(length);
        for (size_t j = 0; j < length / sizeof(float); ++j)
            o->inputs[i][j] = (float)draw_between(&seed, -1, 1);
        o->memory[i] = clCreateBuffer(o->context, CL_MEM_READ_WRITE, OFFSET + length, NULL, NULL);
        assert_non_null(o->memory[i]);
        assert_int_equal(
            clEnqueueWriteBuffer(queue, o->memory[i], CL_TRUE, OFFSET, length, o->inputs[i], 0, NULL, NULL), 0);
        buffers_of(o)[i] = (dcnv4_buffer){o->memory[i], OFFSET, length};
    }
    const size_t workspace = dcnv4_plan_workspace_size(o->plan, DCNV4_PASS_BACKWARD);
    o->memory[TENSORS] = clCreateBuffer(o->context, CL_MEM_READ_WRITE, workspace + 1, NULL, NULL);
    o->buffers.workspace = (dcnv4_buffer){o->memory[TENSORS], 1, workspace};
}

static void tear_down(owner *o) {
    for (int i = 0; i <= TENSORS; ++i)
        clReleaseMemObject(o->memory[i]);
    for (int i = 0; i < TENSORS; ++i)
        free(o->inputs[i]);
    dcnv4_plan_destroy(o->plan);
    dcnv4_context_destroy(o->adopted);
}

static void find(owner *o) {
    cl_platform_id platform;
    assert_int_equal(clGetPlatformIDs(1, &platform, NULL), 0);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &o->device, NULL), 0);
    o->context = clCreateContext(NULL, 1, &o->device, NULL, NULL, NULL);
    assert_non_null(o->context);
}

static void read_tensor(const owner *o, cl_command_queue queue, int i, float *to) {
    assert_int_equal(clEnqueueReadBuffer(queue, o->memory[i], CL_TRUE, OFFSET, bytes_of(o)[i], to, 0, NULL, NULL), 0);
}

/* The results of the same layer through the library's own buffers. */
static void expect(const owner *o, float *const results[TENSORS]) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 2, problem.height = 9, problem.width = 7, problem.groups = 2, problem.group_channels = 16;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    dcnv4_buffer *const all = &buffers.value;
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    for (int i = 0; i < TENSORS; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, bytes_of(o)[i], &all[i]));
        ASSERT_SUCCESS(dcnv4_upload(context, &all[i], o->inputs[i], bytes_of(o)[i]));
    }
    ASSERT_SUCCESS(
        dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD), &buffers.workspace));
    ASSERT_SUCCESS(dcnv4_forward(plan, &buffers, NULL));
    ASSERT_SUCCESS(dcnv4_backward(plan, &buffers, NULL));
    for (int i = 0; i < TENSORS; ++i) {
        ASSERT_SUCCESS(dcnv4_download(context, &all[i], results[i], bytes_of(o)[i]));
        dcnv4_buffer_destroy(context, &all[i]);
    }
    dcnv4_buffer_destroy(context, &buffers.workspace);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

/* On an out-of-order queue behind an event that has not happened yet: the calls return, nothing is written before the
 * event, and backward, queued after forward by its event, gives the right numbers. */
static void behind_an_event(void **state) {
    (void)state;
    owner o = {0};
    find(&o);
    cl_int error = 0;
    cl_command_queue queue = clCreateCommandQueue(o.context, o.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    assert_int_equal(error, 0);
    set_up(&o, queue);
    cl_event start = clCreateUserEvent(o.context, &error), forward = NULL, backward = NULL;
    assert_int_equal(error, 0);
    dcnv4_opencl_stream stream = DCNV4_OPENCL_STREAM_INIT;
    stream.queue = queue, stream.wait_count = 1;
    stream.wait_list = (void *const *)&start, stream.event = (void **)&forward;
    ASSERT_SUCCESS(dcnv4_forward(o.plan, &o.buffers, &stream));
    stream.wait_list = (void *const *)&forward, stream.event = (void **)&backward;
    ASSERT_SUCCESS(dcnv4_backward(o.plan, &o.buffers, &stream));
    cl_int progress = CL_COMPLETE;
    assert_int_equal(clGetEventInfo(backward, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof progress, &progress, NULL), 0);
    assert_true(progress > CL_COMPLETE);
    assert_int_equal(clSetUserEventStatus(start, CL_COMPLETE), 0);
    assert_int_equal(clWaitForEvents(1, &backward), 0);

    float *results[TENSORS], *expected[TENSORS];
    for (int i = 0; i < TENSORS; ++i)
        results[i] = allocate(bytes_of(&o)[i]), expected[i] = allocate(bytes_of(&o)[i]);
    expect(&o, expected);
    for (int i = 0; i < TENSORS; ++i) {
        read_tensor(&o, queue, i, results[i]);
        assert_memory_equal(results[i], expected[i], bytes_of(&o)[i]);
        free(results[i]), free(expected[i]);
        count_case();
    }
    clReleaseEvent(start), clReleaseEvent(forward), clReleaseEvent(backward);
    tear_down(&o);
    clReleaseCommandQueue(queue);
    assert_int_equal(clReleaseContext(o.context), 0);
}

static void wrong_handles(void **state) {
    (void)state;
    owner o = {0};
    find(&o);
    dcnv4_context *context = NULL;
    assert_status(dcnv4_context_adopt_opencl(o.context, &o, &context), DCNV4_INVALID_ARGUMENT, "a device of nobody");
    assert_null(context);
    assert_status(dcnv4_context_adopt_opencl(NULL, o.device, &context), DCNV4_INVALID_ARGUMENT, "no context");
    cl_command_queue queue = clCreateCommandQueue(o.context, o.device, 0, NULL);
    set_up(&o, queue);
    dcnv4_opencl_stream stream = DCNV4_OPENCL_STREAM_INIT;
    assert_refused(dcnv4_forward(o.plan, &o.buffers, &stream), DCNV4_INVALID_ARGUMENT, "queue is NULL");
    stream.queue = queue, stream.wait_count = 2;
    assert_refused(dcnv4_forward(o.plan, &o.buffers, &stream), DCNV4_INVALID_ARGUMENT, "wait_count 2 and no wait_list");
    stream.size = 3;
    assert_refused(dcnv4_forward(o.plan, &o.buffers, &stream), DCNV4_INVALID_ARGUMENT, "size is 3");
    tear_down(&o);
    clReleaseCommandQueue(queue);
    clReleaseContext(o.context);
    count_case();
}

/* ---- Several threads on one context ------------------------------------------------------------------------------- */

typedef struct worker {
    owner *o;
    pthread_t thread;
    float *output;
    bool right;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    dcnv4_buffers buffers = w->o->buffers;
    dcnv4_buffer output = {NULL, 0, 0};
    w->right = dcnv4_buffer_create(w->o->adopted, w->o->sizes.output, &output) == DCNV4_SUCCESS;
    buffers.output = output;
    for (int i = 0; i < 50 && w->right; ++i)
        w->right = dcnv4_forward(w->o->plan, &buffers, NULL) == DCNV4_SUCCESS;
    w->right = w->right && dcnv4_download(w->o->adopted, &output, w->output, w->o->sizes.output) == DCNV4_SUCCESS;
    dcnv4_buffer_destroy(w->o->adopted, &output);
    return NULL;
}

static void threads(void **state) {
    (void)state;
    enum { THREADS = 4 };
    owner o = {0};
    find(&o);
    cl_command_queue queue = clCreateCommandQueue(o.context, o.device, 0, NULL);
    set_up(&o, queue);
    worker workers[THREADS];
    for (int i = 0; i < THREADS; ++i) {
        workers[i] = (worker){.o = &o, .output = allocate(o.sizes.output)};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(workers[i].thread, NULL);
        assert_true(workers[i].right);
        assert_memory_equal(workers[i].output, workers[0].output, o.sizes.output);
        count_case();
    }
    for (int i = 0; i < THREADS; ++i)
        free(workers[i].output);
    tear_down(&o);
    clReleaseCommandQueue(queue);
    clReleaseContext(o.context);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_an_event),
        cmocka_unit_test(wrong_handles),
        cmocka_unit_test(threads),
    };
    return HARNESS_RUN(argc, argv, tests);
}
