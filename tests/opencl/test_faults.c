/* A driver that fails its n-th call, for every n and with every error: a named status each time, nothing left behind, and
 * the context usable afterwards or marked lost. */
#include "../support/harness.h"
#include "../../backends/opencl/opencl_api.h"
#include "fake_opencl.h"

#include <dlfcn.h>
#include <string.h>

static fake_control *fake(void) {
    static fake_control *(*entry)(void);
    if (!entry) {
        void *library = dlopen("libOpenCL.so.1", RTLD_NOW);
        assert_non_null(library);
        void *found = dlsym(library, "fake_opencl");
        assert_non_null(found);
        memcpy(&entry, &found, sizeof entry);
    }
    return entry();
}

static const dcnv4i_opencl_api *driver(void) {
    const dcnv4i_opencl_api *api = NULL;
    ASSERT_SUCCESS(dcnv4i_opencl_load(&api));
    return api;
}

typedef struct scene {
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers buffers;
} scene;

static dcnv4_status prepare(scene *s, const dcnv4_problem *problem) {
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    s->buffers = (dcnv4_buffers)DCNV4_BUFFERS_INIT;
    dcnv4_buffers *b = &s->buffers;
    dcnv4_buffer *const buffers[] = {&b->value,       &b->offset_mask, &b->output,
                                     &b->grad_output, &b->grad_value,  &b->grad_offset_mask};
    ASSERT_SUCCESS(dcnv4_problem_sizes(problem, &sizes));
    const size_t bytes[] = {sizes.value,       sizes.offset_mask, sizes.output,
                            sizes.grad_output, sizes.grad_value,  sizes.grad_offset_mask};
    dcnv4_status status = dcnv4_context_create("opencl:0", &s->context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_plan_create(s->context, problem, &s->plan);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes && status == DCNV4_SUCCESS; ++i)
        status = dcnv4_buffer_create(s->context, bytes[i], buffers[i]);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_buffer_create(s->context, dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_BACKWARD),
                                     &b->workspace);
    return status;
}

/* Everything that a context is used for, up to the first failure. */
static dcnv4_status play(scene *s, void *queue) {
    float number = 1;
    void *event = NULL, *second = NULL;
    dcnv4_opencl_stream stream = DCNV4_OPENCL_STREAM_INIT;
    stream.queue = queue, stream.event = &event;
    dcnv4_status status = dcnv4_upload(s->context, &s->buffers.value, &number, sizeof number);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_forward(s->plan, &s->buffers, NULL);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_backward(s->plan, &s->buffers, NULL);
    if (status == DCNV4_SUCCESS && queue)
        status = dcnv4_forward(s->plan, &s->buffers, &stream);
    if (status == DCNV4_SUCCESS && queue) {
        stream.wait_count = 1, stream.wait_list = &event, stream.event = &second;
        status = dcnv4_backward(s->plan, &s->buffers, &stream);
    }
    if (event)
        driver()->clReleaseEvent(event);
    if (second)
        driver()->clReleaseEvent(second);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_synchronize(s->context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_download(s->context, &s->buffers.output, &number, sizeof number);
    return status;
}

static void finish(scene *s) {
    dcnv4_buffers *b = &s->buffers;
    dcnv4_buffer *const all[] = {&b->value,      &b->offset_mask,      &b->output,   &b->grad_output,
                                 &b->grad_value, &b->grad_offset_mask, &b->workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i)
        dcnv4_buffer_destroy(s->context, all[i]);
    dcnv4_plan_destroy(s->plan);
    dcnv4_context_destroy(s->context);
}

/* A queue to stand for a caller's. */
static void *callers_queue(void) {
    cl_context context = driver()->clCreateContext(NULL, 1, NULL, NULL, NULL, NULL);
    return driver()->clCreateCommandQueue(context, NULL, 0, NULL);
}

static void one_fault(const dcnv4_problem *problem, void *queue, int64_t n, int32_t error, bool *reached) {
    scene s = {NULL, NULL, DCNV4_BUFFERS_INIT};
    fake_control *const control = fake();
    const int64_t live = control->live;
    control->calls = 0, control->fail_at = n, control->error = error;
    dcnv4_status status = prepare(&s, problem);
    const bool prepared = status == DCNV4_SUCCESS;
    if (prepared)
        status = play(&s, queue);
    *reached = control->calls >= n;
    if (status != DCNV4_SUCCESS) {
        assert_string_not_equal(dcnv4_status_name(status), "unknown status");
        assert_true(strlen(dcnv4_last_message()) > 10);
        control->fail_at = 0;
        if (prepared)
            assert_status(play(&s, queue), status == DCNV4_DEVICE_LOST ? DCNV4_DEVICE_LOST : DCNV4_SUCCESS,
                          "the next run");
    }
    control->fail_at = 0;
    finish(&s);
    assert_int_equal(control->live, live);
    assert_int_equal(control->misuse, 0);
    count_case();
}

static const int32_t errors[] = {-1, -2, -3, -4, -5, -6, -11, -14, -30, -34, -36, -38, -42, -46, -58, -61, -9999};

static void every_fault(int32_t dtype, int32_t deterministic) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.groups = 2, problem.group_channels = 8;
    problem.dtype = dtype, problem.deterministic = deterministic;
    void *queue = callers_queue();
    for (size_t e = 0; e < sizeof errors / sizeof *errors; ++e) {
        bool reached = true;
        for (int64_t n = 1; reached; ++n)
            one_fault(&problem, queue, n, errors[e], &reached);
    }
}

static void every_fault_of_atomic(void **state) {
    (void)state;
    every_fault(DCNV4_FLOAT16, 0);
}

static void every_fault_of_deterministic(void **state) {
    (void)state;
    every_fault(DCNV4_FLOAT32, 1);
}

/* The compiler's own words reach the caller. */
static void build_log(void **state) {
    (void)state;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.group_channels = 8;
    fake_control *const control = fake();
    bool seen = false;
    for (int64_t n = 1; n < 100 && !seen; ++n) {
        scene s = {NULL, NULL, DCNV4_BUFFERS_INIT};
        control->calls = 0, control->fail_at = n, control->error = -11;
        seen = prepare(&s, &problem) == DCNV4_BUILD_FAILED;
        if (seen)
            assert_non_null(strstr(dcnv4_last_message(), "line 7: error: no such thing"));
        control->fail_at = 0;
        finish(&s);
    }
    assert_true(seen);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_of_atomic),
        cmocka_unit_test(every_fault_of_deterministic),
        cmocka_unit_test(build_log),
    };
    return HARNESS_RUN(argc, argv, tests);
}
