/* A CUDA or HIP driver, or its compiler, that fails its n-th call, for every n and with every error; a lost device; and
 * calls from many threads.
 *   test_gpu_faults cuda|hip */
#include "gpu_caller.h"

#include <pthread.h>
#include <string.h>

/* Errors of the drivers and of their compilers; 1 to 11 exist in both. */
static const int32_t errors[] = {1,   2,   3,   4,   5,   6,   7,   11,  46,  100, 101, 200, 201, 209,
                                 218, 222, 400, 500, 600, 700, 701, 702, 709, 719, 803, 900, 999};

static const gpu_caller *caller;
static void *stream;
static void *before; /* what is current in this thread */

/* Both passes on a stream of the caller's, who waits for it. */
static dcnv4_status play(const fault_scene *s) {
    dcnv4_status status = fault_run(s, DCNV4_PASS_FORWARD, stream);
    if (status == DCNV4_SUCCESS)
        status = fault_run(s, DCNV4_PASS_BACKWARD, stream);
    return status;
}

/* The caller's state is unchanged: what is current, and the last error, which may be from a launch of its own. */
static void check_current(void) {
    if (caller->last_error)
        assert_int_equal(caller->last_error(), 0);
    assert_ptr_equal(caller->current(), before);
}

static fault_target target(void) {
    return (fault_target){.device = caller->device,
                          .control = caller->control,
                          .errors = errors,
                          .error_count = sizeof errors / sizeof *errors,
                          .play = play,
                          .check_current = check_current};
}

static void every_fault_of(const fault_layer layer) {
    const fault_target gpu = target();
    assert_int_equal(caller->make_current(0), 0);
    assert_int_equal(caller->stream_create(&stream), 0);
    before = caller->current();
    caller->control->idle = 1;
    every_fault(&gpu, &layer);
    caller->control->idle = 0;
    assert_int_equal(caller->stream_destroy(stream), 0);
    caller->leave();
}

static void every_fault_in_float16(void **state) {
    (void)state;
    every_fault_of(fault_conv(DCNV4_FLOAT16, 0));
}

static void every_fault_in_float32(void **state) {
    (void)state;
    every_fault_of(fault_conv(DCNV4_FLOAT32, 1));
}

/* With the clear and convert kernels of atomic sums; with the tiles' bounds. */
static void every_fault_of_attention(void **state) {
    (void)state;
    every_fault_of(fault_attention(DCNV4_FLOAT16, 0));
    every_fault_of(fault_attention(DCNV4_FLOAT32, 1));
}

/* Whichever error a compilation ends with. */
static void build_log(void **state) {
    (void)state;
    static const int32_t compilers[] = {1, 5, 6, 7, 11, 999};
    const fault_target gpu = target();
    before = caller->current();
    caller->control->idle = 1;
    for (size_t i = 0; i < sizeof compilers / sizeof *compilers; ++i)
        build_log_is_told(&gpu, compilers[i]);
    caller->control->idle = 0;
}

/* Once a device is lost, every call on its context says so; destroying it releases everything, and a new context
 * works. */
static void a_lost_device(void **state) {
    (void)state;
    const fault_layer layer = fault_conv(DCNV4_FLOAT16, 0);
    const fault_target gpu = target();
    fault_scene s;
    float number = 0;
    dcnv4_buffer buffer;
    dcnv4_plan *plan = NULL;
    fake_control *const control = caller->control;
    control->idle = 1;
    const int64_t live = control->live;
    assert_status(fault_prepare(&gpu, &layer, &s), DCNV4_SUCCESS, "a scene");
    control->lost = 719;
    assert_refused(dcnv4_forward(s.plan, &s.conv, NULL), DCNV4_DEVICE_LOST, "719");
    control->lost = 0;
    const int64_t calls = control->calls;
    assert_refused(dcnv4_forward(s.plan, &s.conv, NULL), DCNV4_DEVICE_LOST, "");
    assert_refused(dcnv4_backward(s.plan, &s.conv, NULL), DCNV4_DEVICE_LOST, "");
    assert_refused(dcnv4_synchronize(s.context), DCNV4_DEVICE_LOST, "");
    assert_refused(dcnv4_upload(s.context, &s.conv.value, &number, sizeof number), DCNV4_DEVICE_LOST, "");
    assert_refused(dcnv4_download(s.context, &s.conv.value, &number, sizeof number), DCNV4_DEVICE_LOST, "");
    assert_refused(dcnv4_buffer_create(s.context, 4, &buffer), DCNV4_DEVICE_LOST, "");
    assert_refused(fault_plan(s.context, &layer, &plan), DCNV4_DEVICE_LOST, "");
    assert_int_equal(control->calls, calls); /* the driver is not called again */
    control->lost = 719;
    fault_finish(&s);
    control->lost = 0;
    assert_int_equal(control->live, live);
    assert_int_equal(control->misuse, 0);
    assert_status(fault_prepare(&gpu, &layer, &s), DCNV4_SUCCESS, "a new context");
    fault_finish(&s);
    control->idle = 0;
}

enum { THREADS = 4, RUNS = 6 };

typedef struct worker {
    pthread_t thread;
    const fault_target *target;
    const fault_scene *shared;
    bool failed;
} worker;

/* Plans, buffers and runs on a context that all threads share, and a context of its own beside it. */
static void *work(void *given) {
    worker *w = given;
    const fault_layer layer = fault_conv(DCNV4_FLOAT32, 1);
    for (int i = 0; i < RUNS; ++i) {
        fault_scene own;
        dcnv4_plan *plan = NULL;
        dcnv4_buffer buffer = {NULL, 0, 0};
        w->failed |= fault_prepare(w->target, &layer, &own) != DCNV4_SUCCESS;
        w->failed |= fault_plan(w->shared->context, &layer, &plan) != DCNV4_SUCCESS;
        w->failed |= dcnv4_buffer_create(w->shared->context, 1000, &buffer) != DCNV4_SUCCESS;
        w->failed |= dcnv4_forward(own.plan, &own.conv, NULL) != DCNV4_SUCCESS;
        w->failed |= dcnv4_backward(w->shared->plan, &w->shared->conv, NULL) != DCNV4_SUCCESS;
        w->failed |= dcnv4_synchronize(w->shared->context) != DCNV4_SUCCESS;
        w->failed |= dcnv4_synchronize(own.context) != DCNV4_SUCCESS;
        dcnv4_buffer_destroy(w->shared->context, &buffer);
        dcnv4_plan_destroy(plan);
        fault_finish(&own);
    }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    const fault_layer layer = fault_conv(DCNV4_FLOAT16, 0);
    const fault_target gpu = target();
    fault_scene shared;
    worker workers[THREADS];
    caller->control->idle = 1;
    const int64_t live = caller->control->live;
    assert_status(fault_prepare(&gpu, &layer, &shared), DCNV4_SUCCESS, "a scene");
    for (int i = 0; i < THREADS; ++i) {
        workers[i] = (worker){.target = &gpu, .shared = &shared};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(workers[i].thread, NULL);
        assert_false(workers[i].failed);
        count_case();
    }
    fault_finish(&shared);
    assert_int_equal(caller->control->live, live);
    assert_int_equal(caller->control->misuse, 0);
    caller->control->idle = 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_in_float16),
        cmocka_unit_test(every_fault_in_float32),
        cmocka_unit_test(every_fault_of_attention),
        cmocka_unit_test(build_log),
        cmocka_unit_test(a_lost_device),
        cmocka_unit_test(threads),
    };
    caller = gpu_caller_of(argc > 1 ? argv[1] : "");
    return HARNESS_RUN(argc, argv, tests);
}
