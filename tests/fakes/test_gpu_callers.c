/* What a CUDA or HIP program that calls the library relies on: its streams, its graphs, its devices and its threads.
 *   test_gpu_callers cuda|hip */
#include "../support/test_layer.h"
#include "gpu_caller.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const gpu_caller *caller;

/* A layer with its plan and its buffers on a device, and the reference's results. */
typedef struct scene {
    test_layer layer, expected;
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers buffers;
} scene;

static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};

static void upload(scene *s, int tensor) {
    ASSERT_SUCCESS(
        dcnv4_upload(s->context, buffer_of(&s->buffers, tensor), s->layer.tensors[tensor], s->layer.bytes[tensor]));
}

/* New inputs and their expected results; clears the outputs. */
static void fill(scene *s, uint64_t seed) {
    layer_fill(&s->layer, seed, 2);
    layer_clear(&s->layer);
    layer_fill(&s->expected, seed, 2);
    layer_both(&s->expected, "reference");
    for (int i = 0; i < TENSORS; ++i)
        upload(s, i);
}

static void make(scene *s, dcnv4_context *context, uint64_t seed) {
    const dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
    s->layer = layer_make(&problem), s->expected = layer_make(&problem);
    s->context = context, s->plan = NULL;
    s->buffers = (dcnv4_buffers)DCNV4_BUFFERS_INIT;
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &s->plan));
    for (int i = 0; i < TENSORS; ++i)
        ASSERT_SUCCESS(dcnv4_buffer_create(context, s->layer.bytes[i], buffer_of(&s->buffers, i)));
    ASSERT_SUCCESS(
        dcnv4_buffer_create(context, dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_BACKWARD), &s->buffers.workspace));
    fill(s, seed);
}

static void free_scene(scene *s) {
    for (int i = 0; i <= TENSORS; ++i)
        dcnv4_buffer_destroy(s->context, buffer_of(&s->buffers, i));
    dcnv4_plan_destroy(s->plan);
    dcnv4_context_destroy(s->context);
    layer_free(&s->layer);
    layer_free(&s->expected);
}

static void open_scene(scene *s, const char *device, uint64_t seed) {
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    make(s, context, seed);
}

static void run_both(const scene *s, void *stream) {
    ASSERT_SUCCESS(dcnv4_forward(s->plan, &s->buffers, stream));
    ASSERT_SUCCESS(dcnv4_backward(s->plan, &s->buffers, stream));
}

static void download(scene *s, int tensor) {
    ASSERT_SUCCESS(
        dcnv4_download(s->context, buffer_of(&s->buffers, tensor), s->layer.tensors[tensor], s->layer.bytes[tensor]));
}

static void assert_results(scene *s, const char *what) {
    for (int i = 0; i < 3; ++i) {
        download(s, results[i]);
        assert_tensor_close(&s->layer, &s->expected, results[i], dtype_bound(DCNV4_FLOAT32), what);
    }
}

static void assert_unwritten(scene *s) {
    for (int i = 0; i < 3; ++i) {
        download(s, results[i]);
        const unsigned char *bytes = s->layer.tensors[results[i]];
        for (size_t b = 0; b < s->layer.bytes[results[i]]; ++b)
            assert_int_equal(bytes[b], UNTOUCHED);
    }
    count_case();
}

/* Every test leaves no object, no misuse and no pending error. */
static int64_t live;

static int begin(void **state) {
    (void)state;
    live = caller->control->live;
    caller->control->misuse = 0;
    return 0;
}

static int end(void **state) {
    (void)state;
    assert_int_equal(caller->control->live, live);
    assert_int_equal(caller->control->misuse, 0);
    if (caller->last_error)
        assert_int_equal(caller->last_error(), 0);
    return 0;
}

/* ---- Streams ------------------------------------------------------------------------------------------------------- */

/* A run is not complete when its call returns, but only once its own stream is synchronised. */
static void streams(void **state) {
    (void)state;
    scene s;
    void *stream = NULL, *other = NULL;
    assert_int_equal(caller->make_current(0), 0);
    assert_int_equal(caller->stream_create(&stream), 0);
    assert_int_equal(caller->stream_create(&other), 0);
    open_scene(&s, caller->device, 1);
    run_both(&s, stream);
    assert_true(caller->control->waiting >= 3);
    assert_int_equal(caller->stream_synchronize(other), 0);
    assert_true(caller->control->waiting >= 3);
    if (strcmp(caller->backend, "cuda") == 0) /* HIP's streams wait for the default one, which the download uses */
        assert_unwritten(&s);
    assert_int_equal(caller->stream_synchronize(stream), 0);
    assert_int_equal(caller->control->waiting, 0);
    assert_results(&s, "a stream of the caller's");
    fill(&s, 2);
    run_both(&s, NULL);
    assert_true(caller->control->waiting >= 3);
    ASSERT_SUCCESS(dcnv4_synchronize(s.context));
    assert_int_equal(caller->control->waiting, 0);
    assert_results(&s, "the default stream");
    free_scene(&s);
    caller->stream_destroy(stream);
    caller->stream_destroy(other);
    caller->leave();
}

/* A run can be captured: it makes no call that a capture forbids. A replay reads the new inputs. */
static void graphs(void **state) {
    (void)state;
    scene s;
    void *stream = NULL, *graph = NULL;
    assert_int_equal(caller->make_current(0), 0);
    assert_int_equal(caller->stream_create(&stream), 0);
    open_scene(&s, caller->device, 3);
    assert_int_equal(caller->capture_begin(stream, 0), 0);
    run_both(&s, stream);
    assert_int_equal(caller->capture_end(stream, &graph), 0);
    assert_int_equal(caller->control->waiting, 0);
    assert_unwritten(&s);
    for (uint64_t replay = 0; replay < 2; ++replay) {
        fill(&s, 4 + replay);
        assert_int_equal(caller->graph_launch(graph, stream), 0);
        assert_int_equal(caller->stream_synchronize(stream), 0);
        assert_results(&s, "a graph");
    }
    caller->graph_destroy(graph);

    /* While capturing, calls that allocate or wait are refused with a status; they work again afterwards. */
    dcnv4_buffer buffer;
    assert_int_equal(caller->capture_begin(stream, 0), 0);
    assert_refused(dcnv4_buffer_create(s.context, 64, &buffer), DCNV4_DRIVER_ERROR, "900");
    assert_refused(dcnv4_synchronize(s.context), DCNV4_DRIVER_ERROR, "900");
    assert_int_equal(caller->capture_end(stream, &graph), 901);
    if (caller->last_error)
        caller->last_error();
    ASSERT_SUCCESS(dcnv4_synchronize(s.context));
    free_scene(&s);
    caller->stream_destroy(stream);
    caller->leave();
}

/* ---- Devices ------------------------------------------------------------------------------------------------------- */

/* Two devices at once, each with memory of its own. */
static void two_devices(void **state) {
    (void)state;
    scene a, b;
    open_scene(&a, caller->device, 5);
    open_scene(&b, caller->other, 6);
    run_both(&a, NULL);
    run_both(&b, NULL);
    assert_results(&a, "the first device");
    assert_results(&b, "the second device");
    free_scene(&a);
    free_scene(&b);
}

/* One device's plan with the other's memory: the device is lost, and its context says so. */
static void foreign_memory(void **state) {
    (void)state;
    scene a, b;
    open_scene(&a, caller->device, 7);
    open_scene(&b, caller->other, 8);
    dcnv4_buffers mixed = a.buffers;
    mixed.value = b.buffers.value;
    dcnv4_status status = dcnv4_forward(a.plan, &mixed, NULL);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_synchronize(a.context);
    assert_status(status, DCNV4_DEVICE_LOST, "another device's memory");
    caller->control->lost = 0;
    caller->control->misuse = 0;
    assert_refused(dcnv4_forward(a.plan, &a.buffers, NULL), DCNV4_DEVICE_LOST, "");
    run_both(&b, NULL);
    assert_results(&b, "the other device");
    free_scene(&a);
    free_scene(&b);
    if (caller->last_error)
        caller->last_error();
}

#define UNCHANGED(call)                               \
    do {                                              \
        call;                                         \
        assert_ptr_equal(caller->current(), current); \
        count_case();                                 \
    } while (0)

/* Every call on the first device, while `current` is current. */
static void every_call(void *current) {
    scene s;
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    dcnv4_context *context = NULL;
    UNCHANGED(dcnv4_device_count());
    UNCHANGED(ASSERT_SUCCESS(dcnv4_device_info_get(0, &info)));
    UNCHANGED(ASSERT_SUCCESS(dcnv4_context_create(caller->device, &context)));
    UNCHANGED(make(&s, context, 9));
    UNCHANGED(ASSERT_SUCCESS(dcnv4_context_info(context, &info)));
    UNCHANGED(ASSERT_SUCCESS(dcnv4_forward(s.plan, &s.buffers, NULL)));
    UNCHANGED(ASSERT_SUCCESS(dcnv4_backward(s.plan, &s.buffers, NULL)));
    UNCHANGED(ASSERT_SUCCESS(dcnv4_synchronize(s.context)));
    UNCHANGED(download(&s, OUTPUT));
    s.buffers.output.length = 1;
    UNCHANGED(assert_status(dcnv4_forward(s.plan, &s.buffers, NULL), DCNV4_INVALID_ARGUMENT, "a short buffer"));
    UNCHANGED(free_scene(&s));
}

static void the_current_device(void **state) {
    (void)state;
    every_call(caller->current());
    assert_int_equal(caller->make_current(1), 0);
    every_call(caller->current());
    caller->leave();
}

/* adopt takes whatever is current: here the second device. */
static void adoption(void **state) {
    (void)state;
    scene s;
    dcnv4_context *context = NULL;
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    if (strcmp(caller->backend, "cuda") == 0)
        assert_refused(caller->adopt(&context), DCNV4_INVALID_ARGUMENT, "current");
    assert_int_equal(caller->make_current(1), 0);
    void *const current = caller->current();
    UNCHANGED(ASSERT_SUCCESS(caller->adopt(&context)));
    ASSERT_SUCCESS(dcnv4_context_info(context, &info));
    assert_string_equal(info.name, caller->other);
    make(&s, context, 10);
    UNCHANGED(run_both(&s, NULL));
    assert_results(&s, "what was adopted");
    free_scene(&s);
    caller->leave();
}

/* A workspace may begin at any byte, by its offset or by its handle, and tensors at any multiple of their element size.
 * The kernels trap at misaligned accesses, as on a device. */
static void displaced(void **state) {
    (void)state;
    static const size_t shifts[] = {1, 4, 20, 63};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; ++i)
        for (int by_handle = 0; by_handle < 2; ++by_handle) {
            scene s;
            dcnv4_buffer whole[TENSORS + 1];
            open_scene(&s, caller->device, 13);
            for (int t = 0; t <= TENSORS; ++t) {
                dcnv4_buffer *const buffer = buffer_of(&s.buffers, t);
                const size_t shift = t < TENSORS ? 4 : shifts[i], offset = t < TENSORS ? 3 : 0, length = buffer->length;
                dcnv4_buffer_destroy(s.context, buffer);
                ASSERT_SUCCESS(dcnv4_buffer_create(s.context, length + shift, buffer));
                whole[t] = *buffer;
                buffer->length = length;
                buffer->handle = (char *)buffer->handle + (by_handle ? shift - offset : 0);
                buffer->offset = by_handle ? offset : shift;
            }
            fill(&s, 13);
            run_both(&s, NULL);
            assert_results(&s, by_handle ? "displaced by its handle" : "displaced by its offset");
            count_case();
            for (int t = 0; t <= TENSORS; ++t)
                *buffer_of(&s.buffers, t) = whole[t];
            free_scene(&s);
        }
}

/* ---- Threads and processes ------------------------------------------------------------------------------------------- */

enum { THREADS = 4, RUNS = 8 };

static const scene *shared;

static void *run_often(void *failed) {
    dcnv4_buffers buffers = shared->buffers;
    for (int i = 0; i < RUNS; ++i) {
        dcnv4_buffers own = buffers;
        const size_t length = shared->layer.bytes[OUTPUT];
        if (dcnv4_buffer_create(shared->context, length, &own.output) != DCNV4_SUCCESS ||
            dcnv4_forward(shared->plan, &own, NULL) != DCNV4_SUCCESS ||
            dcnv4_synchronize(shared->context) != DCNV4_SUCCESS)
            *(int *)failed = 1;
        dcnv4_buffer_destroy(shared->context, &own.output);
    }
    return NULL;
}

/* Threads that share a context have no current device of their own to begin with. */
static void threads(void **state) {
    (void)state;
    scene s;
    pthread_t thread[THREADS];
    int failed[THREADS] = {0};
    open_scene(&s, caller->device, 11);
    shared = &s;
    for (int i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&thread[i], NULL, run_often, &failed[i]), 0);
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(thread[i], NULL);
        assert_int_equal(failed[i], 0);
        count_case();
    }
    run_both(&s, NULL);
    assert_results(&s, "after the threads");
    free_scene(&s);
}

/* Always 1, as in a pid namespace's first process. */
__attribute__((visibility("default"))) pid_t getpid(void) {
    return 1;
}

/* In a child, calls on its parent's context are refused, and do not reach the driver. */
static void a_fork(void **state) {
    (void)state;
    scene s;
    open_scene(&s, caller->device, 12);
    const pid_t child = fork();
    if (child == 0) {
        const int64_t calls = caller->control->calls;
        dcnv4_context *another = NULL;
        const int refused = dcnv4_forward(s.plan, &s.buffers, NULL) == DCNV4_FORKED &&
                            dcnv4_synchronize(s.context) == DCNV4_FORKED &&
                            dcnv4_context_create(caller->device, &another) == DCNV4_FORKED;
        dcnv4_plan_destroy(s.plan);
        dcnv4_context_destroy(s.context);
        _exit(refused && caller->control->calls == calls && caller->control->live > live ? 0 : 1);
    }
    int code = 1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    run_both(&s, NULL);
    assert_results(&s, "the parent");
    free_scene(&s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_current_device, begin, end),
        cmocka_unit_test_setup_teardown(streams, begin, end),
        cmocka_unit_test_setup_teardown(graphs, begin, end),
        cmocka_unit_test_setup_teardown(two_devices, begin, end),
        cmocka_unit_test_setup_teardown(foreign_memory, begin, end),
        cmocka_unit_test_setup_teardown(adoption, begin, end),
        cmocka_unit_test_setup_teardown(displaced, begin, end),
        cmocka_unit_test_setup_teardown(threads, begin, end),
        cmocka_unit_test_setup_teardown(a_fork, begin, end),
    };
    caller = gpu_caller_of(argc > 1 ? argv[1] : "");
    return HARNESS_RUN(argc, argv, tests);
}
