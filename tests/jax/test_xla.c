/* The custom calls of bindings/jax on a stand-in for XLA: on the cpu, and on a GPU's stream with XLA's memory, on the libraries that
 * stand in for drivers.
 *   test_xla LIBRARY cpu|cuda|hip */
#include "../../bindings/jax/xla_ffi.h"
#include "../fakes/gpu_caller.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 5, WIDTH = 6, CHANNELS = 16, ROW = 27, PIXELS = HEIGHT * WIDTH, MOST = PIXELS * ROW };

typedef xla_error *handler(xla_call *call);

static void *library;
static const char *backend;

/* ---- The stand-in -------------------------------------------------------------------------------------------------- */

struct xla_error {
    int code;
    char message[512];
};

/* What XLA knows of a call that it makes. */
typedef struct execution {
    void *stream;
    int32_t ordinal;
    const char *fails; /* the function that fails, or NULL */
    dcnv4_context *device;
    dcnv4_buffer memory; /* what was asked for, freed after the stream's work */
    size_t asked;
} execution;

static xla_error *create_error(xla_error_request *request) {
    xla_error *const error = calloc(1, sizeof *error);
    assert_non_null(error);
    error->code = request->code;
    snprintf(error->message, sizeof error->message, "%s", request->message);
    return error;
}

static xla_error *refuse(const execution *of, const char *function) {
    xla_error_request request = {sizeof request, NULL, function, XLA_INTERNAL};
    return of->fails && strcmp(of->fails, function) == 0 ? create_error(&request) : NULL;
}

static xla_error *get_stream(xla_stream_request *request) {
    const execution *const of = request->execution;
    request->stream = of->stream;
    return refuse(of, "get_stream");
}

static xla_error *get_ordinal(xla_ordinal_request *request) {
    const execution *const of = request->execution;
    request->ordinal = of->ordinal;
    return refuse(of, "get_ordinal");
}

static xla_error *give_memory(xla_memory_request *request) {
    execution *const of = request->execution;
    xla_error *const error = refuse(of, "allocate");
    if (error)
        return error;
    assert_int_equal(of->asked, 0);
    assert_int_equal(dcnv4_buffer_create(of->device, request->bytes, &of->memory), DCNV4_SUCCESS);
    of->asked = request->bytes;
    request->data = of->memory.handle;
    return NULL;
}

static const xla_interface interface = {
    .size = sizeof interface,
    .version = {sizeof(xla_version), NULL, 0, 1},
    .create_error = create_error,
    .get_stream = get_stream,
    .allocate = give_memory,
    .get_ordinal = get_ordinal,
};

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

enum { VALUE, OFFSET_MASK, GRAD_OUTPUT, OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK, TENSORS };

static const int64_t shapes[TENSORS][4] = {
    {1, HEIGHT, WIDTH, CHANNELS}, {1, HEIGHT, WIDTH, ROW},      {1, HEIGHT, WIDTH, CHANNELS},
    {1, HEIGHT, WIDTH, CHANNELS}, {1, HEIGHT, WIDTH, CHANNELS}, {1, HEIGHT, WIDTH, ROW},
};
static float numbers[TENSORS][MOST], expected[TENSORS][MOST];

static size_t bytes_of(int tensor) {
    return (size_t)(PIXELS * shapes[tensor][3]) * sizeof(float);
}

/* A call of the layer with a 3×3 kernel and one group: what a test changes of it, it changes here. */
typedef struct layer_call {
    int64_t layer[12];
    xla_array attribute;
    xla_buffer buffers[TENSORS];
    void *arguments[3], *results[2], *attributes[1];
    int types[3];
    xla_call call;
} layer_call;

static void make_call(layer_call *made, dcnv4_pass pass, execution *of, void *const *data) {
    const int64_t one = 0x3ff0000000000000; /* 1.0 */
    const int64_t layer[12] = {3, 3, 1, 1, 1, 1, 1, 1, 1, one, 0, 0};
    memset(made, 0, sizeof *made);
    memcpy(made->layer, layer, sizeof layer);
    made->attribute = (xla_array){XLA_S64, 12, made->layer};
    made->attributes[0] = &made->attribute;
    for (int k = 0; k < 3; ++k)
        made->types[k] = XLA_IS_BUFFER;
    for (int k = 0; k < TENSORS; ++k)
        made->buffers[k] = (xla_buffer){sizeof(xla_buffer), NULL, XLA_F32, data[k], 4, shapes[k]};
    const bool backward = pass == DCNV4_PASS_BACKWARD;
    for (int k = 0; k < 3; ++k)
        made->arguments[k] = &made->buffers[VALUE + k];
    for (int k = 0; k < 2; ++k)
        made->results[k] = &made->buffers[(backward ? GRAD_VALUE : OUTPUT) + k];
    made->call = (xla_call){
        .size = sizeof made->call,
        .interface = &interface,
        .execution = of,
        .stage = XLA_STAGE_EXECUTE,
        .arguments = {sizeof(xla_list), NULL, backward ? 3 : 2, made->types, made->arguments},
        .results = {sizeof(xla_list), NULL, backward ? 2 : 1, made->types, made->results},
        .attributes = {sizeof(xla_attributes), NULL, 1, made->types, NULL, made->attributes},
    };
}

static handler *handler_of(dcnv4_pass pass) {
    char name[64];
    handler *found;
    snprintf(name, sizeof name, "dcnv4_xla_conv_%s_%s", pass == DCNV4_PASS_FORWARD ? "forward" : "backward", backend);
    void *const entry = dlsym(library, name);
    assert_non_null(entry);
    memcpy(&found, &entry, sizeof found);
    return found;
}

static void assert_done(xla_error *error) {
    if (error)
        fail_msg("%s", error->message);
}

static void assert_error(xla_error *error, int code, const char *part) {
    assert_non_null(error);
    if (error->code != code || !strstr(error->message, part))
        fail_msg("error %d, '%s', does not have '%s'", error->code, error->message, part);
    free(error);
}

static void assert_close(const float *found, int tensor) {
    for (size_t k = 0; k < bytes_of(tensor) / sizeof *found; ++k)
        if (!(fabsf(found[k] - expected[tensor][k]) <= 1e-4f))
            fail_msg("element %zu of tensor %d is %g, %g is right", k, tensor, (double)found[k],
                     (double)expected[tensor][k]);
}

/* ---- On the cpu ---------------------------------------------------------------------------------------------------- */

static void host_data(void **data) {
    for (int k = 0; k < TENSORS; ++k)
        data[k] = numbers[k];
    memset(numbers[OUTPUT], 0xff, 3 * sizeof numbers[OUTPUT]); /* NaN */
}

static void both_passes(void **state) {
    (void)state;
    void *data[TENSORS];
    layer_call made;
    host_data(data);
    for (int pass = 0; pass < 2; ++pass) {
        make_call(&made, (dcnv4_pass)pass, NULL, data);
        assert_done(handler_of((dcnv4_pass)pass)(&made.call));
    }
    for (int k = OUTPUT; k < TENSORS; ++k)
        assert_close(numbers[k], k);
}

static void question_for_version(void **state) {
    (void)state;
    xla_metadata metadata = {.size = sizeof metadata, .version = {sizeof(xla_version), NULL, 9, 9}, .traits = 9};
    xla_metadata_extension extension = {{sizeof extension, XLA_METADATA, NULL}, &metadata};
    xla_call call = {.size = sizeof call, .extensions = &extension.head, .interface = &interface};
    assert_null(handler_of(DCNV4_PASS_FORWARD)(&call));
    assert_int_equal(metadata.version.major, 0);
    assert_int_equal(metadata.version.minor, 1);
    assert_int_equal(metadata.traits, 0);
}

/* Calls that do not fit are errors of one sentence, and write nothing. */
static void refusals(void **state) {
    (void)state;
    static const int64_t narrow[] = {1, HEIGHT, WIDTH, ROW - 1};
    handler *const forward = handler_of(DCNV4_PASS_FORWARD);
    void *data[TENSORS];
    layer_call made;
    host_data(data);
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.call.arguments.count = 1;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "1 operands and 1 results, 2 and 1 are needed");
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.attribute.count = 11;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "lacks the array");
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.attribute.dtype = XLA_F32;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "lacks the array");
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.buffers[OFFSET_MASK].shape = narrow;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "26");
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.buffers[OFFSET_MASK].dtype = XLA_F64;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "offset_mask");
    make_call(&made, DCNV4_PASS_FORWARD, NULL, data);
    made.buffers[VALUE].rank = 3;
    assert_error(forward(&made.call), XLA_INVALID_ARGUMENT, "value");
    for (size_t k = 0; k < bytes_of(OUTPUT) / sizeof(float); ++k)
        assert_true(isnan(numbers[OUTPUT][k]));
}

/* ---- On a GPU ------------------------------------------------------------------------------------------------------ */

/* Both passes are queued on XLA's stream and on no other; backward's workspace is XLA's. */
static void on_stream(void **state) {
    (void)state;
    const gpu_caller *const caller = gpu_caller_of(backend);
    execution of = {.ordinal = 0};
    dcnv4_buffer buffers[TENSORS];
    void *data[TENSORS];
    layer_call made;
    assert_int_equal(dcnv4_context_create(caller->device, &of.device), DCNV4_SUCCESS);
    host_data(data);
    for (int k = 0; k < TENSORS; ++k) {
        assert_int_equal(dcnv4_buffer_create(of.device, bytes_of(k), &buffers[k]), DCNV4_SUCCESS);
        assert_int_equal(dcnv4_upload(of.device, &buffers[k], numbers[k], bytes_of(k)), DCNV4_SUCCESS);
        data[k] = buffers[k].handle;
    }
    assert_int_equal(caller->make_current(0), 0);
    assert_int_equal(caller->stream_create(&of.stream), 0);
    for (int pass = 0; pass < 2; ++pass) {
        make_call(&made, (dcnv4_pass)pass, &of, data);
        assert_done(handler_of((dcnv4_pass)pass)(&made.call));
        assert_true(caller->control->waiting > 0);
        assert_int_equal(caller->stream_synchronize(of.stream), 0);
        assert_int_equal(caller->control->waiting, 0);
        assert_true((of.asked > 0) == (pass == DCNV4_PASS_BACKWARD));
    }
    dcnv4_buffer_destroy(of.device, &of.memory);
    of.asked = 0;
    static const char *const functions[] = {"get_stream", "get_ordinal", "allocate"};
    for (int k = 0; k < 3; ++k) {
        of.fails = functions[k];
        make_call(&made, DCNV4_PASS_BACKWARD, &of, data);
        assert_error(handler_of(DCNV4_PASS_BACKWARD)(&made.call), XLA_INTERNAL, functions[k]);
        assert_int_equal(caller->control->waiting, 0);
    }
    assert_int_equal(caller->stream_destroy(of.stream), 0);
    caller->leave();
    for (int k = 0; k < TENSORS; ++k) {
        assert_int_equal(dcnv4_download(of.device, &buffers[k], numbers[k], bytes_of(k)), DCNV4_SUCCESS);
        if (k >= OUTPUT)
            assert_close(numbers[k], k);
        dcnv4_buffer_destroy(of.device, &buffers[k]);
    }
    dcnv4_context_destroy(of.device);
}

/* ---- What is right ------------------------------------------------------------------------------------------------- */

static void fill_tensors(void) {
    for (int k = 0; k <= GRAD_OUTPUT; ++k)
        for (int i = 0; i < MOST; ++i)
            expected[k][i] = numbers[k][i] = (float)((i + k) % (17 + 6 * k)) / 9 - 0.8f;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = HEIGHT, problem.width = WIDTH, problem.group_channels = CHANNELS;
    problem.offset_mask_row = ROW;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    dcnv4_buffer *const each[TENSORS] = {&buffers.value,  &buffers.offset_mask, &buffers.grad_output,
                                         &buffers.output, &buffers.grad_value,  &buffers.grad_offset_mask};
    for (int k = 0; k < TENSORS; ++k)
        *each[k] = dcnv4_host_buffer(expected[k], bytes_of(k));
    if (dcnv4_context_create("reference", &context) || dcnv4_plan_create(context, &problem, &plan) ||
        dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD), &buffers.workspace) ||
        dcnv4_forward(plan, &buffers, NULL) || dcnv4_backward(plan, &buffers, NULL))
        abort();
    dcnv4_buffer_destroy(context, &buffers.workspace);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

int main(int argc, char **argv) {
    library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return 1;
    backend = argv[2];
    fill_tensors();
    const struct CMUnitTest host[] = {cmocka_unit_test(both_passes), cmocka_unit_test(question_for_version),
                                      cmocka_unit_test(refusals)};
    const struct CMUnitTest gpu[] = {cmocka_unit_test(on_stream)};
    return strcmp(backend, "cpu") == 0 ? cmocka_run_group_tests(host, NULL, NULL)
                                       : cmocka_run_group_tests(gpu, NULL, NULL);
}
