#include "faults.h"

#include <dlfcn.h>
#include <string.h>

void fault_entry(const char *library, const char *name, void *entry) {
    void *loaded = dlopen(library, RTLD_NOW);
    assert_non_null(loaded);
    void *found = dlsym(loaded, name);
    assert_non_null(found);
    memcpy(entry, &found, sizeof found);
}

fake_control *fault_control(const char *library) {
    fake_control *(*entry)(void);
    fault_entry(library, "fake_driver_control", &entry);
    return entry();
}

fault_layer fault_conv(int32_t dtype, int32_t deterministic) {
    fault_layer layer = {.attention = false, .conv = DCNV4_PROBLEM_INIT};
    dcnv4_problem *const p = &layer.conv;
    p->batch = 1, p->height = 5, p->width = 6, p->groups = 2, p->group_channels = 8;
    p->dtype = dtype, p->deterministic = deterministic;
    return layer;
}

fault_layer fault_attention(int32_t dtype, int32_t deterministic) {
    static const dcnv4_msda_level levels[] = {{3, 4, 0, 3}, {2, 2, 12, 2}};
    fault_layer layer = {.attention = true, .attn = DCNV4_MSDA_PROBLEM_INIT};
    dcnv4_msda_problem *const p = &layer.attn;
    p->levels = levels, p->level_count = 2, p->value_length = 16, p->location_unit = DCNV4_MSDA_OFFSETS;
    p->reference_levels = 1, p->batch = 1, p->queries = 5, p->heads = 2, p->head_channels = 8;
    p->dtype = dtype, p->deterministic = deterministic, p->softmax = 1;
    return layer;
}

/* ---- Scenes ------------------------------------------------------------------------------------------------------ */

/* The most buffers of an operator: twelve tensors and the workspace. */
enum { BUFFERS = 13 };

typedef struct listed {
    dcnv4_buffer *buffer;
    size_t bytes;
} listed;

/* The buffers of a scene, the workspace last; returns how many there are. */
static int list_buffers(fault_scene *s, listed list[BUFFERS]) {
    const size_t workspace = dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_BACKWARD);
    dcnv4_sizes c = DCNV4_SIZES_INIT;
    dcnv4_msda_sizes a = DCNV4_MSDA_SIZES_INIT;
    if (s->layer->attention)
        ASSERT_SUCCESS(dcnv4_msda_sizes_get(&s->layer->attn, &a));
    else
        ASSERT_SUCCESS(dcnv4_problem_sizes(&s->layer->conv, &c));
    const size_t conv[] = {c.value,      c.offset_mask,      c.output, c.grad_output,
                           c.grad_value, c.grad_offset_mask, workspace};
    const size_t attn[] = {a.value,        a.locations,       a.weights,     a.references, a.level_shapes,
                           a.level_starts, a.output,          a.grad_output, a.grad_value, a.grad_locations,
                           a.grad_weights, a.grad_references, workspace};
    const int count = s->layer->attention ? BUFFERS : (int)(sizeof conv / sizeof *conv);
    dcnv4_buffer *const first = s->layer->attention ? &s->attn.value : &s->conv.value;
    for (int i = 0; i < count; ++i)
        list[i] = (listed){first + i, (s->layer->attention ? attn : conv)[i]};
    return count;
}

dcnv4_status fault_plan(dcnv4_context *context, const fault_layer *layer, dcnv4_plan **plan) {
    return layer->attention ? dcnv4_msda_plan_create(context, &layer->attn, plan)
                            : dcnv4_plan_create(context, &layer->conv, plan);
}

dcnv4_status fault_prepare(const fault_target *target, const fault_layer *layer, fault_scene *s) {
    listed list[BUFFERS];
    *s = (fault_scene){layer, NULL, NULL, DCNV4_BUFFERS_INIT, DCNV4_MSDA_BUFFERS_INIT};
    dcnv4_status status = dcnv4_context_create(target->device, &s->context);
    if (status == DCNV4_SUCCESS)
        status = fault_plan(s->context, layer, &s->plan);
    const int count = status == DCNV4_SUCCESS ? list_buffers(s, list) : 0;
    for (int i = 0; i < count && status == DCNV4_SUCCESS; ++i)
        status = dcnv4_buffer_create(s->context, list[i].bytes, list[i].buffer);
    return status;
}

dcnv4_status fault_run(const fault_scene *s, dcnv4_pass pass, void *stream) {
    if (s->layer->attention)
        return (pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward : dcnv4_msda_backward)(s->plan, &s->attn, stream);
    return (pass == DCNV4_PASS_FORWARD ? dcnv4_forward : dcnv4_backward)(s->plan, &s->conv, stream);
}

/* Everything that a context is used for, up to the first failure. */
static dcnv4_status play(const fault_target *target, const fault_scene *s) {
    const dcnv4_buffer *const value = s->layer->attention ? &s->attn.value : &s->conv.value;
    const dcnv4_buffer *const output = s->layer->attention ? &s->attn.output : &s->conv.output;
    float number = 1;
    dcnv4_status status = dcnv4_upload(s->context, value, &number, sizeof number);
    if (status == DCNV4_SUCCESS)
        status = fault_run(s, DCNV4_PASS_FORWARD, NULL);
    if (status == DCNV4_SUCCESS)
        status = fault_run(s, DCNV4_PASS_BACKWARD, NULL);
    if (status == DCNV4_SUCCESS && target->play)
        status = target->play(s);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_synchronize(s->context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_download(s->context, output, &number, sizeof number);
    return status;
}

void fault_finish(fault_scene *s) {
    listed list[BUFFERS];
    const int count = s->layer ? list_buffers(s, list) : 0;
    for (int i = 0; i < count; ++i)
        dcnv4_buffer_destroy(s->context, list[i].buffer);
    dcnv4_plan_destroy(s->plan);
    dcnv4_context_destroy(s->context);
}

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

/* A message has words, and no second sentence or line; a compiler's log may follow it in lines of its own. */
static void assert_one_sentence(const char *message) {
    assert_true(strlen(message) > 10);
    const char *const end = strchr(message, '\n');
    for (const char *at = strstr(message, ". "); at && !end; at = strstr(at + 1, ". "))
        if (at[2] >= 'A' && at[2] <= 'Z')
            fail_msg("more than one sentence: %s", message);
}

static void check_current(const fault_target *target) {
    target->control->fail_at = 0;
    if (target->check_current)
        target->check_current();
}

static void one_fault(const fault_target *target, const fault_layer *layer, int64_t n, int32_t error, bool *reached) {
    fault_scene s;
    fake_control *const control = target->control;
    const int64_t live = control->live;
    control->calls = 0, control->fail_at = n, control->error = error;
    dcnv4_status status = fault_prepare(target, layer, &s);
    const bool prepared = status == DCNV4_SUCCESS;
    if (prepared)
        status = play(target, &s);
    *reached = control->calls >= n;
    check_current(target);
    if (status != DCNV4_SUCCESS) {
        assert_string_not_equal(dcnv4_status_name(status), "unknown status");
        assert_one_sentence(dcnv4_last_message());
        if (prepared)
            assert_status(play(target, &s), status == DCNV4_DEVICE_LOST ? DCNV4_DEVICE_LOST : DCNV4_SUCCESS,
                          "the next run");
    }
    fault_finish(&s);
    check_current(target);
    assert_int_equal(control->live, live);
    assert_int_equal(control->misuse, 0);
    count_case();
}

void every_fault(const fault_target *target, const fault_layer *layer) {
    for (size_t e = 0; e < target->error_count; ++e) {
        bool reached = true;
        for (int64_t n = 1; reached; ++n)
            one_fault(target, layer, n, target->errors[e], &reached);
    }
}

void build_log_is_told(const fault_target *target, int32_t error) {
    const fault_layer layer = fault_conv(DCNV4_FLOAT32, 0);
    bool seen = false;
    for (int64_t n = 1; n < 100 && !seen; ++n) {
        fault_scene s;
        target->control->calls = 0, target->control->fail_at = n, target->control->error = error;
        const dcnv4_status status = fault_prepare(target, &layer, &s);
        seen = status != DCNV4_SUCCESS && strstr(dcnv4_last_message(), "line 7: error: no such thing");
        assert_true(seen || status != DCNV4_BUILD_FAILED);
        target->control->fail_at = 0;
        fault_finish(&s);
    }
    assert_true(seen);
    count_case();
}
