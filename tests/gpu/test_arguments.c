/* Launches' arguments against the kernels' texts: the parameters of a kernel are the list that the host uses. */
#include "../support/harness.h"
#include "../../backends/gpu/runtime/kernel_text.h"
#include "../../backends/gpu/deform_conv/passes.h"
#include "../../backends/gpu/gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A driver that keeps the source of each module, and the name of each kernel ------------------------------------- */

typedef struct kernel {
    const char *source, *name;
} kernel;

static dcnv4_status usable(void *device) {
    (void)device;
    return DCNV4_SUCCESS;
}

static dcnv4_status compile(void *device, const char *source, void **module, dcnv4i_binary *binary,
                            dcnv4i_binary *portable) {
    (void)device, (void)binary, (void)portable;
    *module = strdup(source);
    return DCNV4_SUCCESS;
}

static void give_back(void *device, void *object) {
    (void)device;
    free(object);
}

static dcnv4_status kernel_create(void *device, void *module, const char *name, void **made) {
    (void)device;
    kernel *const k = allocate(sizeof *k);
    *k = (kernel){module, name};
    *made = k;
    return DCNV4_SUCCESS;
}

static void close_device(void *device) {
    (void)device;
}

static const dcnv4i_driver driver = {
    .vocabulary = dcnv4i_vocabulary_opencl,
    .usable = usable,
    .compile = compile,
    .unload = give_back,
    .kernel_create = kernel_create,
    .kernel_destroy = give_back,
    .close = close_device,
};

/* ---- Lists and texts ------------------------------------------------------------------------------------------------ */

/* The value of a constant in the text. */
static int constant(const char *source, const char *name) {
    char line[64];
    snprintf(line, sizeof line, "#define DCN_%s ", name);
    const char *const at = strstr(source, line);
    assert_non_null(at);
    return atoi(at + strlen(line));
}

/* The list that a kernel of this name should have; some have one for each way to scatter. */
static void list_of(const kernel *k, char list[64]) {
    static const struct {
        const char *name, *list;
        bool by_scatter;
    } lists[] = {
        {"dcn_forward", "FORWARD", false},       {"dcn_backward_points", "POINTS", false},
        {"dcn_backward_bounds", "BOUNDS", true}, {"dcn_backward_scatter", "SCATTER", true},
        {"dcn_backward_clear", "CLEAR", false},  {"dcn_backward_convert", "CONVERT", false},
        {"dcn_backward", "BOTH", false},
    };
    static const char *const ways[] = {"BANDS", "TILES", "ATOMIC"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; ++i)
        if (strcmp(lists[i].name, k->name) == 0) {
            const char *const way = lists[i].by_scatter ? ways[constant(k->source, "SCATTER")] : "";
            snprintf(list, 64, "%s%s%s", lists[i].list, *way ? "_" : "", way);
            return;
        }
    fail_msg("no list is known for %s", k->name);
}

/* Whether the text has a kernel of this name whose parameters are this list. */
static bool has_kernel(const char *source, const char *name, const char *list) {
    char head[64], parameters[64];
    snprintf(head, sizeof head, "(%s, DCN_", name);
    snprintf(parameters, sizeof parameters, "(DCN_PARAMETERS(%s)) {", list);
    for (const char *at = source; (at = strstr(at, head)); ++at) {
        const char *const body = strstr(at, ") {"), *const found = strstr(at, parameters);
        if (found && found + strlen(parameters) == body + 3)
            return true;
    }
    snprintf(head, sizeof head, "(%s, 1)", name); /* a work-group of one work-item */
    const char *const at = strstr(source, head);
    return at && strncmp(at + strlen(head) + 1, parameters, strlen(parameters)) == 0;
}

static bool seen[DCNV4I_SIGNATURE_COUNT];

static void check_steps(const dcnv4i_steps *steps) {
    for (const dcnv4i_step *s = steps->step; s < steps->step + DCNV4I_MAX_STEPS; ++s)
        if (s->groups > 0) {
            const kernel *const k = s->kernel;
            const char *const list = s->signature->name;
            char expected[64];
            list_of(k, expected);
            assert_string_equal(list, expected);
            if (!has_kernel(k->source, k->name, list))
                fail_msg("no %s with the parameters %s is in its text", k->name, list);
            seen[s->signature - dcnv4i_signatures] = true;
            count_case();
        }
}

static void check_program(const dcnv4i_limits *limits, int32_t dtype, int32_t deterministic, int64_t batch) {
    static const dcnv4i_identity identity = {.own = "test"};
    static const dcnv4i_choices defaults = {.any = false};
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    dcnv4i_deform_conv problem;
    void *opened;
    asked.dtype = dtype, asked.deterministic = deterministic, asked.batch = batch;
    asked.height = 9, asked.width = 20, asked.groups = 2, asked.group_channels = 16;
    ASSERT_SUCCESS(dcnv4i_deform_conv_check(&asked, &problem));
    ASSERT_SUCCESS(dcnv4i_gpu_open(&driver, NULL, limits, &identity, &opened));
    dcnv4i_deform_conv_program *const made = allocate(sizeof *made);
    ASSERT_SUCCESS(dcnv4i_passes_make(made, opened, &problem, &defaults, DCNV4I_DEFORM_CONV_PARTS));
    for (int i = 0; i < 4; ++i)
        check_steps(&made->base.passes[i / 2][i % 2]);
    /* The points and scatter kernels by themselves, which a CPU otherwise has in one kernel. */
    for (int part = DCNV4_PART_GRAD_OFFSET_MASK; part <= DCNV4_PART_GRAD_VALUE; ++part) {
        ASSERT_SUCCESS(dcnv4i_passes_make(made, opened, &problem, &defaults, part));
        for (int i = 0; i < 4; ++i)
            check_steps(&made->base.passes[i / 2][i % 2]);
    }
    free(made);
    dcnv4i_gpu_close(opened);
}

static void lists_are_the_kernels(void **state) {
    (void)state;
    for (int i = 0; i < 24; ++i) {
        const dcnv4i_limits limits = {
            .cpu = i % 3 == 0, .work_group = 256, .local_memory = i % 3 == 1 ? 1 << 10 : 64 << 10, .units = 8};
        check_program(&limits, i / 3 % 2, i / 6 % 2, i / 12 ? 16 : 1);
    }
    for (int i = 0; i < DCNV4I_SIGNATURE_COUNT; ++i)
        if (!seen[i])
            fail_msg("no launch had the list %s", dcnv4i_signatures[i].name);
    assert_true(has_kernel(dcnv4i_kernel_roofline, "dcn_roofline_memory", "ROOFLINE_MEMORY"));
    assert_true(has_kernel(dcnv4i_kernel_roofline, "dcn_roofline_loads", "ROOFLINE_LOADS"));
}

/* Each argument is at its place in the list; a buffer is two arguments. */
static void arguments_in_order(void **state) {
    (void)state;
    char memory[DCNV4I_MAX_BUFFERS];
    dcnv4i_span spans[DCNV4I_MAX_BUFFERS];
    int64_t numbers[DCNV4I_MAX_NUMBERS];
    for (int i = 0; i < DCNV4I_MAX_BUFFERS; ++i)
        spans[i] = (dcnv4i_span){&memory[i], 4 * (size_t)i, 4};
    for (int i = 0; i < DCNV4I_MAX_NUMBERS; ++i)
        numbers[i] = 1000 + i;
    for (int id = 0; id < DCNV4I_SIGNATURE_COUNT; ++id) {
        const dcnv4i_signature *const s = &dcnv4i_signatures[id];
        dcnv4i_launch launch;
        int at = 0;
        dcnv4i_push_arguments(false, s, spans, numbers, &launch);
        for (int i = 0; i < s->count; ++i) {
            const int what = s->list[i];
            const dcnv4i_argument *const a = &launch.arguments[at];
            assert_int_equal(a->is_handle, what < DCNV4I_MAX_BUFFERS);
            if (a->is_handle) {
                assert_ptr_equal(a->handle, &memory[what]);
                assert_false(a[1].is_handle);
                assert_int_equal(a[1].number, what);
            } else
                assert_int_equal(a->number, 1000 + what - DCNV4I_MAX_BUFFERS);
            at += what < DCNV4I_MAX_BUFFERS ? 2 : 1;
        }
        assert_true(at > 0 && at <= DCNV4I_MAX_ARGUMENTS);
        assert_int_equal(launch.argument_count, at);
        count_case();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_the_kernels),
        cmocka_unit_test(arguments_in_order),
    };
    setenv("DCNV4_CACHE_DIR", "off", 1);
    return HARNESS_RUN(argc, argv, tests);
}
