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

dcnv4_problem fault_problem(int32_t dtype, int32_t deterministic) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.groups = 2, problem.group_channels = 8;
    problem.dtype = dtype, problem.deterministic = deterministic;
    return problem;
}

/* The seven buffers, the workspace last. */
enum { BUFFERS = 7 };

static dcnv4_buffer *buffers_of(fault_scene *scene) {
    return &scene->buffers.value;
}

dcnv4_status fault_prepare(const fault_target *target, const dcnv4_problem *problem, fault_scene *s) {
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    *s = (fault_scene){NULL, NULL, DCNV4_BUFFERS_INIT};
    ASSERT_SUCCESS(dcnv4_problem_sizes(problem, &sizes));
    size_t bytes[BUFFERS] = {
        sizes.value, sizes.offset_mask, sizes.output, sizes.grad_output, sizes.grad_value, sizes.grad_offset_mask, 0};
    dcnv4_status status = dcnv4_context_create(target->device, &s->context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_plan_create(s->context, problem, &s->plan);
    bytes[BUFFERS - 1] = dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_BACKWARD);
    for (int i = 0; i < BUFFERS && status == DCNV4_SUCCESS; ++i)
        status = dcnv4_buffer_create(s->context, bytes[i], &buffers_of(s)[i]);
    return status;
}

/* Everything that a context is used for, up to the first failure. */
static dcnv4_status play(const fault_target *target, const fault_scene *s) {
    float number = 1;
    dcnv4_status status = dcnv4_upload(s->context, &s->buffers.value, &number, sizeof number);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_forward(s->plan, &s->buffers, NULL);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_backward(s->plan, &s->buffers, NULL);
    if (status == DCNV4_SUCCESS && target->play)
        status = target->play(s);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_synchronize(s->context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_download(s->context, &s->buffers.output, &number, sizeof number);
    return status;
}

void fault_finish(fault_scene *s) {
    for (int i = 0; i < BUFFERS; ++i)
        dcnv4_buffer_destroy(s->context, &buffers_of(s)[i]);
    dcnv4_plan_destroy(s->plan);
    dcnv4_context_destroy(s->context);
}

static void check_current(const fault_target *target) {
    target->control->fail_at = 0;
    if (target->check_current)
        target->check_current();
}

static void one_fault(const fault_target *target, const dcnv4_problem *problem, int64_t n, int32_t error,
                      bool *reached) {
    fault_scene s;
    fake_control *const control = target->control;
    const int64_t live = control->live;
    control->calls = 0, control->fail_at = n, control->error = error;
    dcnv4_status status = fault_prepare(target, problem, &s);
    const bool prepared = status == DCNV4_SUCCESS;
    if (prepared)
        status = play(target, &s);
    *reached = control->calls >= n;
    check_current(target);
    if (status != DCNV4_SUCCESS) {
        assert_string_not_equal(dcnv4_status_name(status), "unknown status");
        assert_true(strlen(dcnv4_last_message()) > 10);
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

void every_fault(const fault_target *target, const dcnv4_problem *problem) {
    for (size_t e = 0; e < target->error_count; ++e) {
        bool reached = true;
        for (int64_t n = 1; reached; ++n)
            one_fault(target, problem, n, target->errors[e], &reached);
    }
}

void build_log_is_told(const fault_target *target, int32_t error) {
    const dcnv4_problem problem = fault_problem(DCNV4_FLOAT32, 0);
    bool seen = false;
    for (int64_t n = 1; n < 100 && !seen; ++n) {
        fault_scene s;
        target->control->calls = 0, target->control->fail_at = n, target->control->error = error;
        const dcnv4_status status = fault_prepare(target, &problem, &s);
        seen = status != DCNV4_SUCCESS && strstr(dcnv4_last_message(), "line 7: error: no such thing");
        assert_true(seen || status != DCNV4_BUILD_FAILED);
        target->control->fail_at = 0;
        fault_finish(&s);
    }
    assert_true(seen);
    count_case();
}
