/* The operators as custom calls of XLA, which JAX makes: on the cpu, and on the stream of a CUDA or ROCm device. Leading axes
 * beyond an operator's own are folded into the batch, which is how vmap calls. */
#include "xla_ffi.h"

#include "../calls/calls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct call_state {
    xla_call *call;
    plan_call plan;
    char device[32];
    void *stream;
    const int64_t *numbers; /* the attribute */
    int64_t count;
} call_state;

static xla_error *fail(const xla_call *call, int code, const char *message) {
    xla_error_request request = {sizeof request, NULL, message, code};
    return call->interface->create_error(&request);
}

static xla_error *fail_status(const xla_call *call, dcnv4_status status, const char *message) {
    return fail(call,
                status == DCNV4_INVALID_PROBLEM || status == DCNV4_INVALID_ARGUMENT     ? XLA_INVALID_ARGUMENT
                : status == DCNV4_OUT_OF_MEMORY || status == DCNV4_OUT_OF_DEVICE_MEMORY ? XLA_RESOURCE_EXHAUSTED
                                                                                        : XLA_INTERNAL,
                message);
}

/* Whether this was XLA's question for the version, which is that of the running XLA: all that is used has been there since
 * the first. */
static bool answer_metadata(xla_call *call) {
    if (!call->extensions || call->extensions->type != XLA_METADATA)
        return false;
    xla_metadata *const metadata = ((xla_metadata_extension *)call->extensions)->metadata;
    metadata->version.major = 0;
    metadata->version.minor = call->interface ? call->interface->version.minor : 1;
    metadata->traits = 0;
    return true;
}

static bool has_ordinal(const xla_interface *interface) {
    return interface->size >= offsetof(xla_interface, get_ordinal) + sizeof interface->get_ordinal;
}

/* Fills in the device and the stream. */
static xla_error *find_device(call_state *state, const char *api) {
    xla_call *const call = state->call;
    state->plan.device = state->device;
    if (strcmp(api, "cpu") == 0) {
        strcpy(state->device, "cpu");
        return NULL;
    }
    xla_stream_request stream = {sizeof stream, NULL, call->execution, NULL};
    xla_ordinal_request ordinal = {sizeof ordinal, NULL, call->execution, 0};
    xla_error *error = call->interface->get_stream(&stream);
    if (!error && has_ordinal(call->interface))
        error = call->interface->get_ordinal(&ordinal);
    state->stream = stream.stream;
    snprintf(state->device, sizeof state->device, "%s:%d", api, (int)ordinal.ordinal);
    return error;
}

/* The attribute, and as many buffers as expected. */
static xla_error *check_call(call_state *state, int64_t arguments, int64_t results) {
    const xla_call *const call = state->call;
    char message[160];
    if (call->arguments.count == arguments && call->results.count == results)
        return NULL;
    snprintf(
        message, sizeof message, "dcnv4: a custom call has %lld operands and %lld results, %lld and %lld are needed",
        (long long)call->arguments.count, (long long)call->results.count, (long long)arguments, (long long)results);
    return fail(call, XLA_INVALID_ARGUMENT, message);
}

static xla_error *read_numbers(call_state *state, int64_t least) {
    const xla_attributes *const attributes = &state->call->attributes;
    const xla_array *const array = attributes->count == 1 ? attributes->items[0] : NULL;
    if (!array || attributes->types[0] != XLA_IS_ARRAY || array->dtype != XLA_S64 || (int64_t)array->count < least)
        return fail(state->call, XLA_INVALID_ARGUMENT, "dcnv4: a custom call lacks the array of its layer's numbers");
    state->numbers = array->data, state->count = (int64_t)array->count;
    return NULL;
}

/* A number of 64 bits that holds a double. */
static double real_of(int64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* A dense tensor with `axes` axes, the leading ones folded into the first. */
static void read_buffer(const void *item, int axes, plan_tensor *tensor) {
    const xla_buffer *const buffer = item;
    const int64_t folded = buffer->rank - axes;
    tensor->data = buffer->data;
    tensor->dtype = buffer->dtype == XLA_F32    ? (int32_t)DCNV4_FLOAT32
                    : buffer->dtype == XLA_F16  ? (int32_t)DCNV4_FLOAT16
                    : buffer->dtype == XLA_BF16 ? (int32_t)DCNV4_BFLOAT16
                    : buffer->dtype == XLA_F64  ? (int32_t)DCNV4_FLOAT64
                                                : (int32_t)PLAN_OTHER_DTYPE;
    if (folded < 0) { /* refused with its shape */
        tensor->rank = (int32_t)buffer->rank;
        memcpy(tensor->shape, buffer->shape, (size_t)buffer->rank * sizeof *buffer->shape);
        return;
    }
    tensor->rank = axes;
    for (int64_t k = 0; k < buffer->rank; ++k)
        if (k <= folded)
            tensor->shape[0] = (k == 0 ? 1 : tensor->shape[0]) * buffer->shape[k];
        else
            tensor->shape[k - folded] = buffer->shape[k];
    plan_tensor_dense(tensor);
}

/* The workspace comes from XLA's allocator on a device, and is freed by it when the kernels have ended. */
static xla_error *run(call_state *state, const plan_tensor *tensors, dcnv4_status status) {
    xla_call *const call = state->call;
    xla_memory_request memory = {sizeof memory, NULL, call->execution, state->plan.workspace, 256, NULL};
    if (status != DCNV4_SUCCESS)
        return fail_status(call, status, state->plan.message);
    if (state->plan.workspace > 0 && !plan_call_on_host(&state->plan)) {
        xla_error *const error = call->interface->allocate(&memory);
        if (error) {
            plan_release(&state->plan);
            return error;
        }
    }
    status = plan_run(&state->plan, tensors, memory.data, state->stream);
    return status == DCNV4_SUCCESS ? NULL : fail_status(call, status, state->plan.message);
}

static xla_error *run_conv(xla_call *call, const char *api, dcnv4_pass pass) {
    call_state state = {.call = call, .plan = {.pass = pass}};
    plan_tensor tensors[PLAN_CONV_TENSORS] = {{0}};
    if (answer_metadata(call))
        return NULL;
    const bool backward = pass == DCNV4_PASS_BACKWARD;
    xla_error *error = check_call(&state, backward ? 3 : 2, backward ? 2 : 1);
    if (!error)
        error = read_numbers(&state, 12);
    if (!error)
        error = find_device(&state, api);
    if (error)
        return error;
    read_buffer(call->arguments.items[0], 4, &tensors[PLAN_CONV_VALUE]);
    read_buffer(call->arguments.items[1], 4, &tensors[PLAN_CONV_OFFSET_MASK]);
    if (backward) {
        read_buffer(call->arguments.items[2], 4, &tensors[PLAN_CONV_GRAD_OUTPUT]);
        read_buffer(call->results.items[0], 4, &tensors[PLAN_CONV_GRAD_VALUE]);
        read_buffer(call->results.items[1], 4, &tensors[PLAN_CONV_GRAD_OFFSET_MASK]);
    } else
        read_buffer(call->results.items[0], 4, &tensors[PLAN_CONV_OUTPUT]);
    const int64_t *const n = state.numbers;
    dcnv4_problem layer = DCNV4_PROBLEM_INIT;
    layer.kernel_h = n[0], layer.kernel_w = n[1], layer.stride_h = n[2], layer.stride_w = n[3];
    layer.pad_h = n[4], layer.pad_w = n[5], layer.dilation_h = n[6], layer.dilation_w = n[7];
    layer.groups = n[8], layer.offset_scale = real_of(n[9]);
    layer.remove_center = n[10] != 0, layer.softmax = n[11] != 0;
    plan_cache *const cache = dcnv4_calls_cache();
    if (!cache)
        return fail(call, XLA_RESOURCE_EXHAUSTED, "dcnv4: no memory for a cache of plans");
    return run(&state, tensors, plan_conv_find(cache, &layer, tensors, &state.plan));
}

/* numbers: unit, softmax, packed, box_scale, whether there are references; then (H, W, start, points) of each level. */
enum { HEAD = 5 };

static xla_error *run_attention(xla_call *call, const char *api, dcnv4_pass pass) {
    call_state state = {.call = call, .plan = {.pass = pass}};
    plan_tensor tensors[PLAN_ATTENTION_TENSORS] = {{0}};
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    if (answer_metadata(call))
        return NULL;
    xla_error *error = read_numbers(&state, HEAD + 4);
    if (error)
        return error;
    const int64_t *const n = state.numbers, count = (state.count - HEAD) / 4;
    const bool backward = pass == DCNV4_PASS_BACKWARD, packed = n[2] != 0, references = n[4] != 0;
    const int64_t inputs = 2 + !packed + references;
    error = check_call(&state, inputs + backward, backward ? inputs : 1);
    if (!error && count > DCNV4_MSDA_MAX_LEVELS)
        error = fail(call, XLA_INVALID_ARGUMENT, "dcnv4: spatial_shapes has more than 64 levels");
    if (!error)
        error = find_device(&state, api);
    if (error)
        return error;
    const int places[] = {PLAN_ATTENTION_VALUE, PLAN_ATTENTION_LOCATIONS,
                          packed ? PLAN_ATTENTION_REFERENCES : PLAN_ATTENTION_WEIGHTS, PLAN_ATTENTION_REFERENCES};
    const int axes[] = {4, packed ? 4 : 5, 4, 4};
    for (int64_t k = 0; k < inputs; ++k) {
        read_buffer(call->arguments.items[k], axes[k], &tensors[places[k]]);
        if (backward) {
            const int gradient = PLAN_ATTENTION_GRAD_VALUE + places[k];
            read_buffer(call->results.items[k], axes[k], &tensors[gradient]);
        }
    }
    if (backward)
        read_buffer(call->arguments.items[inputs], 3, &tensors[PLAN_ATTENTION_GRAD_OUTPUT]);
    else
        read_buffer(call->results.items[0], 3, &tensors[PLAN_ATTENTION_OUTPUT]);
    for (int64_t k = 0; k < count; ++k)
        memcpy(&levels[k], n + HEAD + 4 * k, sizeof levels[k]);
    dcnv4_msda_problem layer = DCNV4_MSDA_PROBLEM_INIT;
    layer.levels = levels, layer.level_count = count, layer.location_unit = (int32_t)n[0];
    layer.softmax = n[1] != 0, layer.packed = packed, layer.box_scale = real_of(n[3]);
    plan_cache *const cache = dcnv4_calls_cache();
    if (!cache)
        return fail(call, XLA_RESOURCE_EXHAUSTED, "dcnv4: no memory for a cache of plans");
    return run(&state, tensors, plan_attention_find(cache, &layer, tensors, &state.plan));
}

/* dcnv4_xla_OPERATOR_PASS_API: a handler for each of XLA's platforms. */
#define HANDLER(name, api, function, pass)                         \
    CALLS_API xla_error *dcnv4_xla_##name##_##api(xla_call *call); \
    xla_error *dcnv4_xla_##name##_##api(xla_call *call) {          \
        return function(call, #api, pass);                         \
    }
#define HANDLERS(api)                                                  \
    HANDLER(conv_forward, api, run_conv, DCNV4_PASS_FORWARD)           \
    HANDLER(conv_backward, api, run_conv, DCNV4_PASS_BACKWARD)         \
    HANDLER(attention_forward, api, run_attention, DCNV4_PASS_FORWARD) \
    HANDLER(attention_backward, api, run_attention, DCNV4_PASS_BACKWARD)

HANDLERS(cpu)
HANDLERS(cuda)
HANDLERS(hip)
