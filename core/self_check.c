#include "self_check.h"
#include "deform_conv_problem.h"
#include "element.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The layer and its tensors ----------------------------------------------------------------------------------- */

enum { INPUTS = 3, RESULTS = 3 };
static const dcnv4i_deform_conv_tensor inputs[INPUTS] = {DCNV4I_VALUE, DCNV4I_OFFSET_MASK, DCNV4I_GRAD_OUTPUT};
static const dcnv4i_deform_conv_tensor results[RESULTS] = {DCNV4I_OUTPUT, DCNV4I_GRAD_VALUE, DCNV4I_GRAD_OFFSET_MASK};

/* One comparison: rows of more than 8 pixels, and points outside the image on all sides. A CPU splits the rows of one
 * image into bands, but not those of as many images as it has units. Tensors shifted by `shift` in their buffers run
 * the kernels for unaligned buffers. */
typedef struct comparison {
    dcnv4_problem problem;
    dcnv4i_deform_conv checked;
    size_t shift;
} comparison;

static dcnv4_status make_comparison(int32_t dtype, int64_t batch, size_t shift, comparison *made) {
    *made = (comparison){.problem = DCNV4_PROBLEM_INIT};
    dcnv4_problem *const p = &made->problem;
    p->dtype = dtype;
    p->batch = batch, p->height = 5, p->width = 11;
    p->groups = 2, p->group_channels = 16;
    const dcnv4_status status = dcnv4i_deform_conv_check(p, &made->checked);
    made->shift = shift * made->checked.item;
    return status;
}

/* A pseudo-random integer from −most to most. */
static int draw(uint64_t *state, int most) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)(*state >> 33) % (2 * most + 1) - most;
}

/* The numbers have so few bits that no sum or product of them is rounded, in whatever order a float32 device adds:
 * results are exact, except for one rounding to a 16-bit dtype. So a correct device equals the reference, without a
 * tolerance. */
static void fill(const comparison *c, dcnv4i_deform_conv_tensor id, char *tensor) {
    const dcnv4i_tensor *t = &c->checked.base.tensors[id];
    const int64_t points = c->checked.points;
    uint64_t state = 1 + (uint64_t)id;
    for (int64_t i = 0; i < t->pixels * t->row; ++i) {
        const bool is_offset = id == DCNV4I_OFFSET_MASK && i % t->row % (3 * points) < 2 * points;
        const double number = is_offset ? draw(&state, 20) / 8.0 : draw(&state, 8) / 4.0;
        dcnv4i_element_write(c->problem.dtype, tensor, i, number);
    }
}

/* Host memory for the six tensors, one after the other: inputs filled, results all NaN. For free(). */
static char *make_tensors(const comparison *c, char *tensors[DCNV4I_DEFORM_CONV_TENSORS]) {
    size_t bytes = 0;
    for (int i = 0; i < DCNV4I_DEFORM_CONV_TENSORS; ++i)
        bytes += c->checked.base.tensors[i].bytes;
    char *const memory = malloc(bytes), *at = memory;
    if (!memory) {
        dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for %zu bytes of tensors to check a device with", bytes);
        return NULL;
    }
    memset(memory, 0xff, bytes);
    for (int i = 0; i < DCNV4I_DEFORM_CONV_TENSORS; ++i) {
        tensors[i] = at;
        at += c->checked.base.tensors[i].bytes;
    }
    for (int i = 0; i < INPUTS; ++i)
        fill(c, inputs[i], tensors[inputs[i]]);
    return memory;
}

/* ---- One run ----------------------------------------------------------------------------------------------------- */

/* The seven buffers of a run, the workspace last. */
enum { BUFFERS = DCNV4I_DEFORM_CONV_TENSORS + 1 };

static void list_buffers(dcnv4_buffers *b, dcnv4_buffer *listed[BUFFERS]) {
    dcnv4_buffer *const all[BUFFERS] = {&b->value,      &b->offset_mask,      &b->output,   &b->grad_output,
                                        &b->grad_value, &b->grad_offset_mask, &b->workspace};
    memcpy(listed, all, sizeof all);
}

static dcnv4_status create_buffers(dcnv4_context *context, const dcnv4_plan *plan, const comparison *c,
                                   char *const tensors[DCNV4I_DEFORM_CONV_TENSORS],
                                   dcnv4_buffer *const listed[BUFFERS]) {
    dcnv4_status status = dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD),
                                              listed[DCNV4I_DEFORM_CONV_TENSORS]);
    for (int i = 0; i < DCNV4I_DEFORM_CONV_TENSORS && status == DCNV4_SUCCESS; ++i) {
        const size_t bytes = c->checked.base.tensors[i].bytes;
        status = dcnv4_buffer_create(context, c->shift + bytes, listed[i]);
        if (status == DCNV4_SUCCESS) {
            listed[i]->offset = c->shift, listed[i]->length = bytes;
            status = dcnv4_upload(context, listed[i], tensors[i], bytes);
        }
    }
    return status;
}

/* Both passes, from and to host memory. */
static dcnv4_status run(dcnv4_context *context, const comparison *c, char *const tensors[DCNV4I_DEFORM_CONV_TENSORS]) {
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    dcnv4_buffer *listed[BUFFERS];
    list_buffers(&buffers, listed);
    dcnv4_status status = dcnv4_plan_create(context, &c->problem, &plan);
    if (status == DCNV4_SUCCESS)
        status = create_buffers(context, plan, c, tensors, listed);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_forward(plan, &buffers, NULL);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_backward(plan, &buffers, NULL);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_synchronize(context);
    for (int i = 0; i < RESULTS && status == DCNV4_SUCCESS; ++i)
        status = dcnv4_download(context, listed[results[i]], tensors[results[i]],
                                c->checked.base.tensors[results[i]].bytes);
    for (int i = 0; i < BUFFERS; ++i)
        dcnv4_buffer_destroy(context, listed[i]);
    dcnv4_plan_destroy(plan);
    return status;
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

/* A number in decimal, formatted from integers: printf would use the locale's decimal point. */
static void say_number(double number, char message[32]) {
    if (number != number)
        snprintf(message, 32, "NaN");
    else if (!(number > -1e6 && number < 1e6))
        snprintf(message, 32, "%s 1000000", number < 0 ? "less than minus" : "more than");
    else {
        const int64_t parts = (int64_t)((number < 0 ? -number : number) * 1e6 + 0.5);
        snprintf(message, 32, "%s%" PRId64 ".%06" PRId64, number < 0 ? "-" : "", parts / 1000000, parts % 1000000);
    }
}

/* Whether a result equals the reference's; if not, message describes the difference. */
static bool agree(const comparison *c, dcnv4i_deform_conv_tensor id, const char *got, const char *expected,
                  char message[DCNV4I_CHECK_MESSAGE]) {
    const int64_t count = c->checked.base.tensors[id].pixels * c->checked.base.tensors[id].row;
    const int32_t dtype = c->problem.dtype;
    int64_t wrong = 0, first = 0;
    for (int64_t i = 0; i < count; ++i)
        if (!(dcnv4i_element_read(dtype, got, i) == dcnv4i_element_read(dtype, expected, i)))
            first = wrong++ == 0 ? i : first;
    if (wrong == 0)
        return true;
    char is[32], should_be[32];
    say_number(dcnv4i_element_read(dtype, got, first), is);
    say_number(dcnv4i_element_read(dtype, expected, first), should_be);
    snprintf(message, DCNV4I_CHECK_MESSAGE,
             "%s of a %s layer differs from the reference in %" PRId64 " of %" PRId64 " elements, element %" PRId64
             " is %s instead of %s",
             dcnv4i_operator_deform_conv.tensor_names[id], dtype == DCNV4_FLOAT32 ? "float32" : "float16", wrong, count,
             first, is, should_be);
    return false;
}

/* Runs a comparison on the device and on the reference. *right is valid only on success. */
static dcnv4_status compare(dcnv4_context *context, dcnv4_context *reference, const comparison *c, bool *right,
                            char message[DCNV4I_CHECK_MESSAGE]) {
    char *got[DCNV4I_DEFORM_CONV_TENSORS], *expected[DCNV4I_DEFORM_CONV_TENSORS];
    char *const got_memory = make_tensors(c, got), *const expected_memory = make_tensors(c, expected);
    dcnv4_status status = got_memory && expected_memory ? run(context, c, got) : DCNV4_OUT_OF_MEMORY;
    if (status == DCNV4_SUCCESS)
        status = run(reference, c, expected);
    bool all = true;
    for (int i = 0; i < RESULTS && status == DCNV4_SUCCESS && all; ++i)
        all = agree(c, results[i], got[results[i]], expected[results[i]], message);
    free(got_memory);
    free(expected_memory);
    *right = all;
    return status;
}

static dcnv4_status compare_all(dcnv4_context *context, bool *right, char message[DCNV4I_CHECK_MESSAGE]) {
    static const int32_t dtypes[] = {DCNV4_FLOAT32, DCNV4_FLOAT16};
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    dcnv4_context *reference;
    dcnv4_status status = dcnv4i_context_open("reference", &reference);
    if (status != DCNV4_SUCCESS)
        return status;
    context->backend->device_describe(context->device, &info);
    const int64_t many = info.units < 2 ? 2 : info.units > 64 ? 64 : info.units;
    *right = true;
    for (int i = 0; i < 4 && status == DCNV4_SUCCESS && *right; ++i) {
        comparison c;
        status = make_comparison(dtypes[i / 2], i % 2 ? many : 1, i % 2 ? 1 : 0, &c);
        if (status == DCNV4_SUCCESS)
            status = compare(context, reference, &c, right, message);
    }
    dcnv4i_context_release(reference);
    return status;
}

/* ---- Checking once ----------------------------------------------------------------------------------------------- */

static dcnv4_status refuse(const dcnv4_context *context, const char *message) {
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    context->backend->device_describe(context->device, &info);
    return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "%s (%s) gives wrong results: %s; DCNV4_SELF_CHECK=off uses it anyway",
                       info.name, info.description, message);
}

dcnv4_status dcnv4i_self_check(dcnv4_context *context) {
    const dcnv4i_backend *backend = context->backend;
    char message[DCNV4I_CHECK_MESSAGE] = "";
    dcnv4i_checked known = backend->check_recall ? backend->check_recall(context->device, message) : DCNV4I_CHECK_OFF;
    if (known == DCNV4I_NOT_CHECKED) {
        bool right;
        const dcnv4_status status = compare_all(context, &right, message);
        if (status != DCNV4_SUCCESS)
            return status == DCNV4_COMPILER_UNAVAILABLE ? DCNV4_SUCCESS : status;
        known = right ? DCNV4I_CHECKED_RIGHT : DCNV4I_CHECKED_WRONG;
        backend->check_remember(context->device, known, message);
    }
    return known == DCNV4I_CHECKED_WRONG ? refuse(context, message) : DCNV4_SUCCESS;
}
