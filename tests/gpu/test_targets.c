/* Contexts that only compile, and what they say of kernels; nothing here needs a device or a compiler. */
#include "../support/harness.h"

#include <stdlib.h>
#include <string.h>

static dcnv4_problem small_problem(void) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.groups = 2, problem.group_channels = 4;
    return problem;
}

static void targets_compile_and_do_not_run(void **state) {
    (void)state;
    static const char *const targets[][2] = {{"cuda:sm_75", "sm_75"},
                                             {"cuda:sm_120", "sm_120"},
                                             {"cuda:sm_90a", "sm_90a"},
                                             {"cuda:sm_100f", "sm_100f"},
                                             {"cuda:sm_107", "sm_107"},
                                             {"hip:gfx1250", "gfx1250"},
                                             {"hip:gfx10-3-generic", "gfx10-3-generic"},
                                             {"hip:gfx906", "gfx906"},
                                             {"hip:gfx942", "gfx942"},
                                             {"hip:gfx1201", "gfx1201"}};
    const dcnv4_problem problem = small_problem();
    for (size_t i = 0; i < sizeof targets / sizeof *targets; ++i) {
        dcnv4_context *context = NULL;
        dcnv4_plan *plan = NULL;
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        dcnv4_buffer buffer;
        ASSERT_SUCCESS(dcnv4_context_create(targets[i][0], &context));
        ASSERT_SUCCESS(dcnv4_context_info(context, &info));
        assert_string_equal(info.name, targets[i][0]);
        assert_non_null(strstr(info.description, targets[i][1]));
        assert_refused(dcnv4_buffer_create(context, 64, &buffer), DCNV4_DEVICE_UNAVAILABLE, "only compiles");
        assert_refused(dcnv4_synchronize(context), DCNV4_DEVICE_UNAVAILABLE, "only compiles");
        assert_refused(dcnv4_plan_create(context, &problem, &plan), DCNV4_COMPILER_UNAVAILABLE,
                       "DCNV4_COMPILER is off");
        dcnv4_context_destroy(context);
        count_case();
    }
}

static void no_such_target(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"cuda:sm_61", "sm_75"}, {"cuda:gfx942", "sm_90"}, {"hip:gfx9", "gfx942"},
        {"hip:-1", "hip:0"},     {"cuda:0x1", "cuda:0"},   {"cuda: 0", "cuda:0"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        dcnv4_context *context = NULL;
        assert_refused(dcnv4_context_create(names[i][0], &context), DCNV4_INVALID_ARGUMENT, names[i][1]);
        assert_null(context);
        count_case();
    }
}

/* A plan whose kernels are not compiled has none to list. */
static void kernels_of_plans(void **state) {
    (void)state;
    const dcnv4_problem problem = small_problem();
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_kernel_info info = DCNV4_KERNEL_INFO_INIT;
    ASSERT_SUCCESS(dcnv4_context_create("cpu", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    assert_int_equal(dcnv4_kernel_count(NULL), 0);
    assert_int_equal(dcnv4_kernel_count(plan), 0);
    assert_refused(dcnv4_kernel_info_get(plan, 0, &info), DCNV4_INVALID_ARGUMENT, "kernel number 0, the plan has 0");
    assert_refused(dcnv4_kernel_info_get(plan, -1, &info), DCNV4_INVALID_ARGUMENT, "kernel number -1");
    assert_refused(dcnv4_kernel_info_get(NULL, 0, &info), DCNV4_INVALID_ARGUMENT, "plan is NULL");
    assert_refused(dcnv4_kernel_info_get(plan, 0, NULL), DCNV4_INVALID_ARGUMENT, "info is NULL");
    info.size = 8;
    assert_refused(dcnv4_kernel_info_get(plan, 0, &info), DCNV4_INVALID_ARGUMENT, "dcnv4_kernel_info.size is 8");
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_compile_and_do_not_run),
        cmocka_unit_test(no_such_target),
        cmocka_unit_test(kernels_of_plans),
    };
    setenv("DCNV4_COMPILER", "off", 1);
    setenv("DCNV4_CACHE_DIR", "off", 1);
    return HARNESS_RUN(argc, argv, tests);
}
