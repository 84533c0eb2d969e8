#include "test_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tensor_names[TENSORS] = {
    "value", "offset_mask", "output", "grad_output", "grad_value", "grad_offset_mask",
};

dcnv4_problem small_problem(int32_t dtype) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = dtype;
    problem.batch = 2, problem.height = 7, problem.width = 5;
    problem.groups = 3, problem.group_channels = 5;
    problem.kernel_h = 3, problem.kernel_w = 2;
    problem.pad_h = 2, problem.pad_w = 1;
    problem.stride_w = 2, problem.dilation_h = 2;
    return problem;
}

test_layer layer_make(const dcnv4_problem *problem) {
    test_layer made = {.problem = *problem, .sizes = DCNV4_SIZES_INIT};
    ASSERT_SUCCESS(dcnv4_problem_sizes(problem, &made.sizes));
    const dcnv4_sizes *s = &made.sizes;
    const size_t bytes[TENSORS] = {s->value,       s->offset_mask, s->output,
                                   s->grad_output, s->grad_value,  s->grad_offset_mask};
    memcpy(made.bytes, bytes, sizeof bytes);
    for (int i = 0; i < TENSORS; ++i) {
        made.tensors[i] = allocate(bytes[i]);
        memset(made.tensors[i], UNTOUCHED, bytes[i]);
    }
    return made;
}

void layer_free(test_layer *layer) {
    for (int i = 0; i < TENSORS; ++i)
        free(layer->tensors[i]);
}

void layer_clear(test_layer *layer) {
    static const int outputs[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    for (int i = 0; i < 3; ++i)
        memset(layer->tensors[outputs[i]], UNTOUCHED, layer->bytes[outputs[i]]);
}

static bool input_side(int tensor) {
    return tensor == VALUE || tensor == GRAD_VALUE;
}

int64_t layer_pixels(const test_layer *layer, int tensor) {
    const dcnv4_problem *p = &layer->problem;
    const int64_t height = input_side(tensor) ? p->height : layer->sizes.output_height;
    const int64_t width = input_side(tensor) ? p->width : layer->sizes.output_width;
    return p->batch * (height * width);
}

int64_t layer_row(const test_layer *layer, int tensor) {
    const bool positions = tensor == OFFSET_MASK || tensor == GRAD_OFFSET_MASK;
    return positions ? layer->sizes.offset_mask_row : layer->sizes.channels;
}

int64_t layer_stride(const test_layer *layer, int tensor) {
    const dcnv4_problem *p = &layer->problem;
    const int64_t strides[TENSORS] = {p->value_stride,       p->offset_mask_stride, p->output_stride,
                                      p->grad_output_stride, p->grad_value_stride,  p->grad_offset_mask_stride};
    return strides[tensor] ? strides[tensor] : layer_row(layer, tensor);
}

int32_t layer_dtype(const test_layer *layer, int tensor) {
    const dcnv4_problem *p = &layer->problem;
    const bool positions = tensor == OFFSET_MASK || tensor == GRAD_OFFSET_MASK;
    return positions && p->offset_mask_dtype != DCNV4_SAME_DTYPE ? p->offset_mask_dtype : p->dtype;
}

static char *row_at(const test_layer *layer, int tensor, int64_t pixel) {
    const size_t distance = (size_t)(pixel * layer_stride(layer, tensor)) * item_size(layer_dtype(layer, tensor));
    return (char *)layer->tensors[tensor] + distance;
}

double *layer_read(const test_layer *layer, int tensor) {
    const int64_t pixels = layer_pixels(layer, tensor), row = layer_row(layer, tensor);
    double *numbers = allocate((size_t)(pixels * row) * sizeof *numbers);
    for (int64_t i = 0; i < pixels; ++i)
        ASSERT_SUCCESS(dcnv4_convert(layer_dtype(layer, tensor), row_at(layer, tensor, i), DCNV4_FLOAT64,
                                     numbers + i * row, (size_t)row));
    return numbers;
}

void layer_write(test_layer *layer, int tensor, const double *numbers) {
    const int64_t pixels = layer_pixels(layer, tensor), row = layer_row(layer, tensor);
    for (int64_t i = 0; i < pixels; ++i)
        ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, numbers + i * row, layer_dtype(layer, tensor),
                                     row_at(layer, tensor, i), (size_t)row));
}

static char *element_at(const test_layer *layer, int tensor, int64_t pixel, int64_t element) {
    return row_at(layer, tensor, pixel) + (size_t)element * item_size(layer_dtype(layer, tensor));
}

double layer_get(const test_layer *layer, int tensor, int64_t pixel, int64_t element) {
    double number = 0;
    ASSERT_SUCCESS(dcnv4_convert(layer_dtype(layer, tensor), element_at(layer, tensor, pixel, element), DCNV4_FLOAT64,
                                 &number, 1));
    return number;
}

void layer_set(test_layer *layer, int tensor, int64_t pixel, int64_t element, double number) {
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, &number, layer_dtype(layer, tensor),
                                 element_at(layer, tensor, pixel, element), 1));
}

void layer_fill(test_layer *layer, uint64_t seed, double reach) {
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
    const int64_t block = 3 * layer->sizes.points, used = layer->problem.groups * block;
    for (int i = 0; i < 3; ++i) {
        const int tensor = inputs[i];
        const int64_t pixels = layer_pixels(layer, tensor), row = layer_row(layer, tensor);
        double *numbers = allocate((size_t)(pixels * row) * sizeof *numbers);
        for (int64_t e = 0; e < pixels * row; ++e) {
            const int64_t lane = e % row;
            const bool offset = tensor == OFFSET_MASK && lane < used && lane % block < 2 * layer->sizes.points;
            numbers[e] = draw_between(&seed, -1, 1);
            if (offset)
                numbers[e] = floor(draw_between(&seed, -reach, reach)) + draw_between(&seed, 0.1, 0.9);
        }
        layer_write(layer, tensor, numbers);
        free(numbers);
    }
}

test_layer layer_as(const test_layer *given, int32_t dtype) {
    dcnv4_problem problem = given->problem;
    problem.dtype = dtype;
    if (dtype != DCNV4_FLOAT16 && dtype != DCNV4_BFLOAT16)
        problem.offset_mask_dtype = DCNV4_SAME_DTYPE;
    problem.value_stride = problem.offset_mask_stride = problem.output_stride = 0;
    problem.grad_output_stride = problem.grad_value_stride = problem.grad_offset_mask_stride = 0;
    test_layer made = layer_make(&problem);
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
    for (int i = 0; i < 3; ++i) {
        double *numbers = layer_read(given, inputs[i]);
        layer_write(&made, inputs[i], numbers);
        free(numbers);
    }
    return made;
}

dcnv4_buffer *buffer_of(dcnv4_buffers *buffers, int tensor) {
    dcnv4_buffer *const each[TENSORS + 1] = {&buffers->value,       &buffers->offset_mask, &buffers->output,
                                             &buffers->grad_output, &buffers->grad_value,  &buffers->grad_offset_mask,
                                             &buffers->workspace};
    return each[tensor];
}

dcnv4_buffers layer_buffers(const test_layer *layer) {
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    for (int i = 0; i < TENSORS; ++i)
        *buffer_of(&buffers, i) = dcnv4_host_buffer(layer->tensors[i], layer->bytes[i]);
    return buffers;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

bool pass_writes(dcnv4_pass pass, int tensor) {
    if (tensor == WORKSPACE)
        return true;
    return pass == DCNV4_PASS_FORWARD ? tensor == OUTPUT : tensor == GRAD_VALUE || tensor == GRAD_OFFSET_MASK;
}

bool pass_uses(dcnv4_pass pass, int tensor) {
    if (tensor == VALUE || tensor == OFFSET_MASK)
        return true;
    return pass_writes(pass, tensor) || (pass == DCNV4_PASS_BACKWARD && tensor == GRAD_OUTPUT);
}

dcnv4_status run_pass(const dcnv4_plan *plan, dcnv4_pass pass, const dcnv4_buffers *buffers) {
    return pass == DCNV4_PASS_FORWARD ? dcnv4_forward(plan, buffers, NULL) : dcnv4_backward(plan, buffers, NULL);
}

host_run host_run_make(const test_layer *layer, const char *device) {
    host_run run = {NULL, NULL, layer_buffers(layer)};
    ASSERT_SUCCESS(dcnv4_context_create(device, &run.context));
    ASSERT_SUCCESS(dcnv4_plan_create(run.context, &layer->problem, &run.plan));
    const size_t forward = dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_FORWARD);
    const size_t backward = dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_BACKWARD);
    ASSERT_SUCCESS(dcnv4_buffer_create(run.context, forward > backward ? forward : backward, &run.buffers.workspace));
    return run;
}

void host_run_free(host_run *run) {
    dcnv4_buffer_destroy(run->context, &run->buffers.workspace);
    dcnv4_plan_destroy(run->plan);
    dcnv4_context_destroy(run->context);
}

static dcnv4_status run_plan(test_layer *layer, dcnv4_context *context, const dcnv4_plan *plan, dcnv4_pass pass,
                             bool host) {
    dcnv4_buffers buffers = layer_buffers(layer);
    for (int i = 0; i < TENSORS && !host; ++i) {
        ASSERT_SUCCESS(dcnv4_buffer_create(context, layer->bytes[i], buffer_of(&buffers, i)));
        ASSERT_SUCCESS(dcnv4_upload(context, buffer_of(&buffers, i), layer->tensors[i], layer->bytes[i]));
    }
    const size_t workspace = dcnv4_plan_workspace_size(plan, pass);
    ASSERT_SUCCESS(dcnv4_buffer_create(context, workspace, &buffers.workspace));
    const dcnv4_status status = run_pass(plan, pass, &buffers);
    for (int i = 0; i < TENSORS && !host; ++i) {
        ASSERT_SUCCESS(dcnv4_download(context, buffer_of(&buffers, i), layer->tensors[i], layer->bytes[i]));
        dcnv4_buffer_destroy(context, buffer_of(&buffers, i));
    }
    dcnv4_buffer_destroy(context, &buffers.workspace);
    return status;
}

dcnv4_status layer_run(test_layer *layer, dcnv4_context *context, dcnv4_pass pass) {
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    ASSERT_SUCCESS(dcnv4_context_info(context, &info));
    dcnv4_plan *plan = NULL;
    dcnv4_status status = dcnv4_plan_create(context, &layer->problem, &plan);
    if (status == DCNV4_SUCCESS)
        status = run_plan(layer, context, plan, pass, on_host(info.backend));
    dcnv4_plan_destroy(plan);
    return status;
}

static dcnv4_status run_on(test_layer *layer, const char *device, dcnv4_pass pass) {
    dcnv4_context *context = NULL;
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status == DCNV4_SUCCESS)
        status = layer_run(layer, context, pass);
    dcnv4_context_destroy(context);
    return status;
}

dcnv4_status layer_forward(test_layer *layer, const char *device) {
    return run_on(layer, device, DCNV4_PASS_FORWARD);
}

dcnv4_status layer_backward(test_layer *layer, const char *device) {
    return run_on(layer, device, DCNV4_PASS_BACKWARD);
}

void layer_both(test_layer *layer, const char *device) {
    assert_status(layer_forward(layer, device), DCNV4_SUCCESS, device);
    assert_status(layer_backward(layer, device), DCNV4_SUCCESS, device);
}

bool takes_dtype(const char *device, int32_t dtype) {
    const dcnv4_problem problem = small_problem(dtype);
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    const dcnv4_status status = dcnv4_plan_create(context, &problem, &plan);
    if (status != DCNV4_UNSUPPORTED || on_host(device))
        assert_status(status, DCNV4_SUCCESS, device);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return status == DCNV4_SUCCESS;
}

bool tries_dtype(const char *device, int32_t dtype) {
    return on_host(device) ? takes_dtype(device, dtype) : dtype == DCNV4_FLOAT32;
}

/* ---- Comparisons ------------------------------------------------------------------------------------------------- */

double dtype_bound(int32_t dtype) {
    switch (dtype) {
    case DCNV4_FLOAT64: return 1e-12;
    case DCNV4_FLOAT32: return 1e-5;
    case DCNV4_FLOAT16: return 0x1p-11 + 1e-5;
    default: return 0x1p-8 + 1e-5;
    }
}

void assert_close(const double *numbers, const double *expected, int64_t count, double bound, const char *what) {
    double largest = 0;
    for (int64_t i = 0; i < count; ++i)
        largest = fmax(largest, fabs(expected[i]));
    /* A comparison with no numbers, or with zeros alone, would prove nothing. */
    if (!(largest > 0) || !isfinite(largest))
        fail_msg("%s: the largest of %lld expected numbers is %g", what, (long long)count, largest);
    for (int64_t i = 0; i < count; ++i) {
        const double error = fabs(numbers[i] - expected[i]);
        if (!(error <= bound * largest))
            fail_msg("%s: element %lld is %.17g, expected %.17g; the error %.3g is over %.3g", what, (long long)i,
                     numbers[i], expected[i], error, bound * largest);
    }
    count_case();
}

void assert_tensor_close(const test_layer *layer, const test_layer *expected, int tensor, double bound,
                         const char *what) {
    double *numbers = layer_read(layer, tensor), *wanted = layer_read(expected, tensor);
    char name[160];
    snprintf(name, sizeof name, "%s, %s", what, tensor_names[tensor]);
    assert_close(numbers, wanted, layer_pixels(layer, tensor) * layer_row(layer, tensor), bound, name);
    free(numbers);
    free(wanted);
}

void assert_same_bits(const test_layer *layer, const test_layer *expected, int tensor, const char *what) {
    assert_int_equal(layer->bytes[tensor], expected->bytes[tensor]);
    const unsigned char *a = layer->tensors[tensor], *b = expected->tensors[tensor];
    for (size_t i = 0; i < layer->bytes[tensor]; ++i)
        if (a[i] != b[i])
            fail_msg("%s: byte %zu of %zu of %s is %02x, expected %02x", what, i, layer->bytes[tensor],
                     tensor_names[tensor], a[i], b[i]);
    count_case();
}
