/* Devices, contexts, plans and buffers: their information, what they refuse, and the orders of destroying them. */
#include "../support/test_layer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_ends(const char *text, size_t room) {
    assert_true(memchr(text, '\0', room) != NULL);
}

static void every_device_describes_itself(void **state) {
    (void)state;
    bool reference = false;
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_device_info_get(i, &info));
        assert_int_equal(info.size, sizeof info);
        assert_ends(info.name, sizeof info.name);
        assert_ends(info.backend, sizeof info.backend);
        assert_ends(info.description, sizeof info.description);
        assert_ends(info.features, sizeof info.features);
        assert_ends(info.reason, sizeof info.reason);
        assert_true(info.available == 0 || info.available == 1);
        assert_true((*info.reason == '\0') == (info.available == 1));
        assert_true(strncmp(info.name, info.backend, strlen(info.backend)) == 0);
        assert_true(info.units >= 0 && info.memory >= 0);
        dcnv4_context *context = NULL;
        const dcnv4_status status = dcnv4_context_create(info.name, &context);
        assert_status(status, info.available ? DCNV4_SUCCESS : DCNV4_DEVICE_UNAVAILABLE, info.name);
        if (info.available) {
            dcnv4_device_info again = DCNV4_DEVICE_INFO_INIT;
            ASSERT_SUCCESS(dcnv4_context_info(context, &again));
            assert_string_equal(again.name, info.name);
            assert_string_equal(again.backend, info.backend);
            assert_int_equal(again.available, 1);
        } else
            assert_null(context);
        dcnv4_context_destroy(context);
        reference = reference || strcmp(info.name, "reference") == 0;
        count_case();
    }
    assert_true(reference);
}

static void no_such_device_number(void **state) {
    (void)state;
    static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX};
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    for (int i = 0; i < 3; ++i)
        assert_refused(dcnv4_device_info_get(wrong[i], &info), DCNV4_INVALID_ARGUMENT, "there is no device number");
    assert_refused(dcnv4_device_info_get(dcnv4_device_count(), &info), DCNV4_INVALID_ARGUMENT,
                   "there is no device number");
    assert_refused(dcnv4_device_info_get(0, NULL), DCNV4_INVALID_ARGUMENT, "info is NULL");
    info.size = sizeof info - 1;
    assert_refused(dcnv4_device_info_get(0, &info), DCNV4_INVALID_ARGUMENT, "dcnv4_device_info.size is");
    assert_string_equal(info.name, "");
}

static void no_such_device_name(void **state) {
    (void)state;
    static const char *const wrong[] = {"",       ":",       "cpp",         "cpux",     "CPU",
                                        "auto:0", " cpu",    "cpu ",        "vulkan:0", "reference:0",
                                        "refer",  "cpu,gpu", "reference\n", "\xff\xfe", "reference:cpu"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        dcnv4_context *context = (dcnv4_context *)&context;
        assert_refused(dcnv4_context_create(wrong[i], &context), DCNV4_INVALID_ARGUMENT, wrong[i]);
        assert_null(context);
    }
    dcnv4_context *context = NULL;
    assert_refused(dcnv4_context_create("cpu:nonsense", &context), DCNV4_DEVICE_UNAVAILABLE, "cpu:nonsense");
    assert_null(context);
    assert_refused(dcnv4_context_create("cpu", NULL), DCNV4_INVALID_ARGUMENT, "context is NULL");
    assert_refused(dcnv4_context_create(NULL, &context), DCNV4_INVALID_ARGUMENT, "device is NULL");
}

static void auto_becomes_a_name(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("auto", &context));
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    ASSERT_SUCCESS(dcnv4_context_info(context, &info));
    assert_true(strcmp(info.name, "auto") != 0 && *info.name);
    assert_true(strcmp(info.backend, "reference") != 0); /* it serves for comparison, not for speed */
    assert_refused(dcnv4_context_info(context, NULL), DCNV4_INVALID_ARGUMENT, "info is NULL");
    assert_refused(dcnv4_context_info(NULL, &info), DCNV4_INVALID_ARGUMENT, "context is NULL");
    info.size = 8;
    assert_refused(dcnv4_context_info(context, &info), DCNV4_INVALID_ARGUMENT, "dcnv4_device_info.size is 8");
    dcnv4_context_destroy(context);
}

static void thread_counts(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        static const int32_t right[] = {1, 2, 7, 1, 0, 3}, wrong[] = {-1, 1025, INT32_MIN, INT32_MAX};
        for (size_t i = 0; i < sizeof right / sizeof *right; ++i)
            ASSERT_SUCCESS(dcnv4_context_set_threads(context, right[i]));
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
            char number[16];
            snprintf(number, sizeof number, "%d", wrong[i]);
            assert_refused(dcnv4_context_set_threads(context, wrong[i]), DCNV4_INVALID_ARGUMENT, number);
        }
        ASSERT_SUCCESS(dcnv4_synchronize(context));
        dcnv4_context_destroy(context);
    }
    assert_refused(dcnv4_context_set_threads(NULL, 1), DCNV4_INVALID_ARGUMENT, "context is NULL");
    assert_refused(dcnv4_synchronize(NULL), DCNV4_INVALID_ARGUMENT, "context is NULL");
}

static void destroying_nothing(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("reference", &context));
    dcnv4_context_destroy(NULL);
    dcnv4_plan_destroy(NULL);
    dcnv4_buffer_destroy(context, NULL);
    dcnv4_buffer empty = dcnv4_host_buffer(NULL, 0);
    dcnv4_buffer_destroy(context, &empty);
    dcnv4_context_destroy(context);
    count_case();
}

static void plans_refuse(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
    for (const char *const *device = devices_to_try(); *device; ++device) {
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        dcnv4_plan *plan = (dcnv4_plan *)context;
        assert_refused(dcnv4_plan_create(NULL, &problem, &plan), DCNV4_INVALID_ARGUMENT, "context is NULL");
        assert_null(plan);
        assert_refused(dcnv4_plan_create(context, NULL, &plan), DCNV4_INVALID_ARGUMENT, "problem is NULL");
        assert_refused(dcnv4_plan_create(context, &problem, NULL), DCNV4_INVALID_ARGUMENT, "plan is NULL");
        problem.kernel_w = 0;
        plan = (dcnv4_plan *)context;
        assert_refused(dcnv4_plan_create(context, &problem, &plan), DCNV4_INVALID_PROBLEM, "kernel_w is 0");
        assert_null(plan);
        problem.kernel_w = 3;
        dcnv4_context_destroy(context);
    }
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    assert_refused(dcnv4_forward(NULL, &buffers, NULL), DCNV4_INVALID_ARGUMENT, "plan is NULL");
    assert_refused(dcnv4_backward(NULL, &buffers, NULL), DCNV4_INVALID_ARGUMENT, "plan is NULL");
    assert_int_equal(dcnv4_plan_workspace_size(NULL, DCNV4_PASS_FORWARD), 0);
}

/* A legal problem may still be too large for a device: the call then says so and does nothing else. */
static void larger_than_a_device(void **state) {
    (void)state;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = DCNV4_FLOAT16;
    problem.batch = problem.width = problem.group_channels = problem.kernel_h = problem.kernel_w = 1;
    problem.height = problem.stride_h = (int64_t)1 << 61;
    problem.pad_h = problem.pad_w = 0;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
    assert_true(sizes.value == (size_t)1 << 62 && sizes.output == 2);
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_context *context = NULL;
        dcnv4_plan *plan = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        const dcnv4_status status = dcnv4_plan_create(context, &problem, &plan);
        if (status != DCNV4_SUCCESS) {
            assert_status(status, DCNV4_UNSUPPORTED, *device);
            assert_null(plan);
        }
        /* The reference sums grad_value in float64, which takes four times as many bytes. */
        assert_true(status == DCNV4_UNSUPPORTED || strcmp(*device, "reference") != 0);
        count_case();
        dcnv4_plan_destroy(plan);
        dcnv4_context_destroy(context);
    }
}

/* A plan keeps its context alive after dcnv4_context_destroy. */
static void a_plan_keeps_its_context(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
        test_layer layer = layer_make(&problem), expected = layer_make(&problem);
        layer_fill(&layer, 5, 2);
        layer_fill(&expected, 5, 2);
        layer_both(&expected, *device);
        if (on_host(*device)) {
            host_run run = host_run_make(&layer, *device);
            dcnv4_plan *second = NULL;
            ASSERT_SUCCESS(dcnv4_plan_create(run.context, &problem, &second));
            dcnv4_context_destroy(run.context);
            for (EACH_PASS(pass))
                ASSERT_SUCCESS(run_pass(run.plan, pass, &run.buffers));
            dcnv4_plan_destroy(run.plan);
            assert_same_bits(&layer, &expected, OUTPUT, *device);
            layer_clear(&layer);
            for (EACH_PASS(pass))
                ASSERT_SUCCESS(run_pass(second, pass, &run.buffers));
            assert_same_bits(&layer, &expected, GRAD_VALUE, *device);
            dcnv4_plan_destroy(second);
            free(run.buffers.workspace.handle);
        }
        layer_free(&layer);
        layer_free(&expected);
    }
}

static void forward_only(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
        problem.forward_only = 1;
        test_layer layer = layer_make(&problem);
        layer_fill(&layer, 5, 2);
        assert_status(layer_forward(&layer, *device), DCNV4_SUCCESS, *device);
        assert_refused(layer_backward(&layer, *device), DCNV4_INVALID_ARGUMENT, "forward_only");
        for (size_t i = 0; i < layer.bytes[GRAD_VALUE]; ++i)
            assert_int_equal(((unsigned char *)layer.tensors[GRAD_VALUE])[i], UNTOUCHED);
        dcnv4_context *context = NULL;
        dcnv4_plan *plan = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
        assert_int_equal(dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD), 0);
        assert_int_equal(dcnv4_plan_workspace_size(plan, (dcnv4_pass)7), 0);
        dcnv4_plan_destroy(plan);
        dcnv4_context_destroy(context);
        layer_free(&layer);
    }
}

static void buffers_of_the_device(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        dcnv4_buffer buffer = {&buffer, 3, 5};
        ASSERT_SUCCESS(dcnv4_buffer_create(context, 0, &buffer));
        assert_true(!buffer.handle && buffer.offset == 0 && buffer.length == 0);
        dcnv4_buffer_destroy(context, &buffer);
        ASSERT_SUCCESS(dcnv4_buffer_create(context, 100, &buffer));
        assert_true(buffer.handle && buffer.offset == 0 && buffer.length == 100);
        char sent[100], received[100] = "";
        for (int i = 0; i < 100; ++i)
            sent[i] = (char)(i * 7);
        ASSERT_SUCCESS(dcnv4_upload(context, &buffer, sent, 100));
        ASSERT_SUCCESS(dcnv4_download(context, &buffer, received, 100));
        assert_memory_equal(sent, received, 100);
        dcnv4_buffer tail = buffer;
        tail.offset = 40, tail.length = 60;
        ASSERT_SUCCESS(dcnv4_download(context, &tail, received, 60));
        assert_memory_equal(sent + 40, received, 60);
        ASSERT_SUCCESS(dcnv4_upload(context, &buffer, NULL, 0));
        ASSERT_SUCCESS(dcnv4_download(context, &buffer, NULL, 0));
        assert_refused(dcnv4_upload(context, &buffer, sent, 101), DCNV4_INVALID_ARGUMENT,
                       "has 100 bytes, 101 were asked");
        assert_refused(dcnv4_download(context, &tail, received, 61), DCNV4_INVALID_ARGUMENT,
                       "has 60 bytes, 61 were asked");
        assert_refused(dcnv4_upload(context, &buffer, NULL, 1), DCNV4_INVALID_ARGUMENT, "source is NULL");
        assert_refused(dcnv4_download(context, &buffer, NULL, 1), DCNV4_INVALID_ARGUMENT, "target is NULL");
        assert_refused(dcnv4_upload(context, NULL, sent, 1), DCNV4_INVALID_ARGUMENT, "buffer is NULL");
        assert_refused(dcnv4_download(context, NULL, received, 1), DCNV4_INVALID_ARGUMENT, "buffer is NULL");
        assert_refused(dcnv4_upload(NULL, &buffer, sent, 1), DCNV4_INVALID_ARGUMENT, "context is NULL");
        assert_refused(dcnv4_download(NULL, &buffer, received, 1), DCNV4_INVALID_ARGUMENT, "context is NULL");
        dcnv4_buffer_destroy(context, &buffer);
        assert_true(!buffer.handle && buffer.length == 0);
        dcnv4_buffer_destroy(context, &buffer);
        assert_refused(dcnv4_upload(context, &buffer, sent, 1), DCNV4_INVALID_ARGUMENT, "the buffer is empty");
        assert_refused(dcnv4_buffer_create(context, 1, NULL), DCNV4_INVALID_ARGUMENT, "buffer is NULL");
        assert_refused(dcnv4_buffer_create(NULL, 1, &buffer), DCNV4_INVALID_ARGUMENT, "context is NULL");
        dcnv4_context_destroy(context);
    }
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Per thread, the cpu's workspace in backward is at most as large as value, with a group's channels rounded up to whole
 * vectors, of up to 16. For small tensors it may be larger: a copy of 16,384 numbers, or of one row with its gradients; where
 * grad_output is copied, 32 pixels of a group; alignment. Copies are in float32, those of float64 in float64. */
static void check_backward_workspace(dcnv4_context *context, size_t threads, const dcnv4_problem *problem) {
    dcnv4_sizes bytes = DCNV4_SIZES_INIT;
    dcnv4_plan *plan = NULL;
    ASSERT_SUCCESS(dcnv4_problem_sizes(problem, &bytes));
    ASSERT_SUCCESS(dcnv4_plan_create(context, problem, &plan));
    const size_t depth = (size_t)problem->group_channels, whole = (depth + 15) / 16 * 16;
    const size_t real = problem->dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
    const size_t pixel = whole * real, row = (size_t)problem->width * pixel;
    const size_t most = larger(bytes.value / depth * whole, larger(16384 * real, 2 * row)) + 32 * pixel + 64;
    assert_true(dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD) <= threads * most + 64);
    dcnv4_plan_destroy(plan);
    count_case();
}

static void backward_workspace_is_as_value(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1},   {1, 3000}, {2, 2},  {3, 1000}, {7, 7},    {14, 14},
                                       {28, 28}, {56, 56},  {97, 3}, {3000, 1}, {200, 320}};
    static const int64_t groups[] = {1, 2, 3, 4, 8, 32}, group_channels[] = {1, 16, 32, 211};
    static const int32_t threads[] = {1, 2, 3, 8, 61};
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    for (size_t t = 0; t < sizeof threads / sizeof *threads; ++t) {
        ASSERT_SUCCESS(dcnv4_context_set_threads(context, threads[t]));
        for (EACH_DTYPE(dtype))
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s)
                for (size_t g = 0; g < sizeof groups / sizeof *groups; ++g)
                    for (size_t d = 0; d < sizeof group_channels / sizeof *group_channels; ++d)
                        for (int64_t batch = 1; batch <= 4; ++batch) {
                            dcnv4_problem problem = DCNV4_PROBLEM_INIT;
                            problem.dtype = dtype, problem.batch = batch;
                            problem.height = sizes[s][0], problem.width = sizes[s][1];
                            problem.groups = groups[g], problem.group_channels = group_channels[d];
                            check_backward_workspace(context, (size_t)threads[t], &problem);
                        }
    }
    dcnv4_context_destroy(context);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_describes_itself),
        cmocka_unit_test(no_such_device_number),
        cmocka_unit_test(no_such_device_name),
        cmocka_unit_test(auto_becomes_a_name),
        cmocka_unit_test(thread_counts),
        cmocka_unit_test(destroying_nothing),
        cmocka_unit_test(plans_refuse),
        cmocka_unit_test(larger_than_a_device),
        cmocka_unit_test(a_plan_keeps_its_context),
        cmocka_unit_test(forward_only),
        cmocka_unit_test(buffers_of_the_device),
        cmocka_unit_test(backward_workspace_is_as_value),
    };
    return HARNESS_RUN(argc, argv, tests);
}
