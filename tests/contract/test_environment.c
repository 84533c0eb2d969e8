/* The caller's floating-point environment: with any rounding mode, subnormals flushed or exceptions trapped, every
 * public function returns the same, results have the same bits, and the environment is restored afterwards. */
#include "../support/test_layer.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The control registers, where we know how to reach them. */
#if defined(__x86_64__)
#include <xmmintrin.h>
enum { STATUS = 0x3f, FLUSH = 0x8040, TRAPS = 0x1f80, X87_TRAPS = 0x3f };
static unsigned short x87_get(void) {
    unsigned short bits;
    __asm__ volatile("fnstcw %0" : "=m"(bits));
    return bits;
}
static void x87_set(unsigned short bits) {
    __asm__ volatile("fldcw %0" : : "m"(bits));
}
static uint64_t control_get(void) {
    return (_mm_getcsr() & ~(unsigned)STATUS) | (uint64_t)x87_get() << 32;
}
static void flush(void) {
    _mm_setcsr(_mm_getcsr() | FLUSH);
}
static void trap(void) {
    x87_set(x87_get() & (unsigned short)~X87_TRAPS);
    _mm_setcsr(_mm_getcsr() & ~(unsigned)TRAPS);
}
static void narrow(void) { /* the x87 unit computes in float32 */
    x87_set(x87_get() & 0xfcff);
}
#elif defined(__aarch64__)
static uint64_t control_get(void) {
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
}
static void control_set(uint64_t bits) {
    __asm__ volatile("msr fpcr, %0" : : "r"(bits));
}
static void flush(void) {
    control_set(control_get() | 1 << 24);
}
static void trap(void) {
    control_set(control_get() | 0x9f00);
}
static void narrow(void) {
}
#else
static uint64_t control_get(void) {
    return (uint64_t)fegetround();
}
static void flush(void) {
}
static void trap(void) {
}
static void narrow(void) {
}
#endif

typedef enum disturbance {
    NONE,
    UPWARD,
    DOWNWARD,
    TOWARD_ZERO,
    FLUSHING,
    TRAPPING,
    FLAGS,
    NARROW,
    EVERYTHING,
    DISTURBANCES
} disturbance;
static const char *const names[] = {"nothing",  "upward",       "downward", "toward zero", "flushing",
                                    "trapping", "raised flags", "narrow",   "everything"};

static void disturb(disturbance kind) {
    feclearexcept(FE_ALL_EXCEPT);
    if (kind == FLAGS || kind == EVERYTHING)
        feraiseexcept(FE_DIVBYZERO | (kind == FLAGS ? FE_INEXACT : 0)); /* an unmasked x87 exception would trap here */
    if (kind == UPWARD || kind == EVERYTHING)
        fesetround(FE_UPWARD);
    if (kind == DOWNWARD || kind == TOWARD_ZERO)
        fesetround(kind == DOWNWARD ? FE_DOWNWARD : FE_TOWARDZERO);
    if (kind == NARROW || kind == EVERYTHING)
        narrow();
    if (kind == FLUSHING || kind == EVERYTHING)
        flush();
    if (kind == TRAPPING || kind == EVERYTHING)
        trap();
}

/* The environment that calls must preserve, and the first call that changed it. */
static uint64_t expected_control;
static int expected_flags;
static const char *culprit;

static void watch(const char *call) {
    if (!culprit && (control_get() != expected_control || fetestexcept(FE_ALL_EXCEPT) != expected_flags))
        culprit = call;
}

static void begin(disturbance kind) {
    disturb(kind);
    expected_control = control_get();
    expected_flags = fetestexcept(FE_ALL_EXCEPT);
    culprit = NULL;
}

/* mine is the environment from before begin(); no floating-point arithmetic until it is restored. */
static void end(const fenv_t *mine, const char *what) {
    fesetenv(mine);
    if (culprit)
        fail_msg("%s: the environment is not the caller's again after %s", what, culprit);
    count_case();
}

/* Numbers of every magnitude, with subnormals, infinities and NaN, so that every exception is raised. */
static void fill_extremes(test_layer *layer) {
    uint64_t seed = 53;
    layer_fill(layer, 53, 3);
    static const int inputs[] = {VALUE, GRAD_OUTPUT};
    for (int i = 0; i < 2; ++i)
        for (int64_t row = 0; row < layer_pixels(layer, inputs[i]); ++row)
            for (int64_t e = 0; e < layer_row(layer, inputs[i]); ++e) {
                const double magnitude = ldexp(draw_between(&seed, -1, 1), (int)draw_integer(&seed, -149, 0));
                layer_set(layer, inputs[i], row, e, draw_integer(&seed, 0, 9) ? magnitude : ldexp(magnitude, 126));
            }
    layer_set(layer, VALUE, 3, 1, INFINITY);
    layer_set(layer, GRAD_OUTPUT, 5, 2, -INFINITY);
    layer_set(layer, OFFSET_MASK, 7, 3, NAN);
    layer_set(layer, OFFSET_MASK, 8, 4, 1e38);
}

/* ---- Every public function ------------------------------------------------------------------------------------------- */

/* What all calls returned, apart from the results. */
typedef struct answers {
    dcnv4_status status[40];
    int calls;
    int64_t devices, kernels, tactics;
    size_t workspace[2];
    dcnv4_device_info device, context;
    dcnv4_kernel_info kernel;
    dcnv4_tactic_info tactic;
    uint16_t halves[4];
    char message[512];
} answers;

#define CALL(call) (a->status[a->calls++] = (call), watch(#call))
#define ASK(call) ((call), watch(#call))

static void run_everything(const dcnv4_plan *plan, dcnv4_context *context, test_layer *layer, bool host, answers *a) {
    dcnv4_buffers buffers = layer_buffers(layer);
    for (int i = 0; i < TENSORS && !host; ++i) {
        CALL(dcnv4_buffer_create(context, layer->bytes[i], buffer_of(&buffers, i)));
        CALL(dcnv4_upload(context, buffer_of(&buffers, i), layer->tensors[i], layer->bytes[i]));
    }
    for (EACH_PASS(pass)) {
        ASK(a->workspace[pass] = dcnv4_plan_workspace_size(plan, pass));
        CALL(dcnv4_buffer_create(context, a->workspace[pass], &buffers.workspace));
        CALL(run_pass(plan, pass, &buffers));
        CALL(dcnv4_synchronize(context));
        ASK(dcnv4_buffer_destroy(context, &buffers.workspace));
    }
    for (int i = 0; i < TENSORS && !host; ++i) {
        ASK(dcnv4_download(context, buffer_of(&buffers, i), layer->tensors[i], layer->bytes[i]));
        ASK(dcnv4_buffer_destroy(context, buffer_of(&buffers, i)));
    }
}

static void ask_plan(const dcnv4_plan *plan, answers *a) {
    dcnv4_plan *tactic = NULL;
    ASK(a->kernels = dcnv4_kernel_count(plan));
    CALL(dcnv4_kernel_info_get(plan, 0, &a->kernel));
    ASK(a->tactics = dcnv4_tactic_count(plan, DCNV4_PART_OUTPUT));
    CALL(dcnv4_tactic_info_get(plan, DCNV4_PART_OUTPUT, 0, &a->tactic));
    CALL(dcnv4_tactic_create(plan, DCNV4_PART_OUTPUT, 0, &tactic));
    CALL(dcnv4_tactic_save(plan, DCNV4_PART_OUTPUT, 0));
    ASK(dcnv4_plan_destroy(tactic));
}

static void call_everything(test_layer *layer, const char *device, answers *a) {
    static const double numbers[] = {0.1, 1e-7, 65519.99, 3e-320};
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers none = DCNV4_BUFFERS_INIT;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    memset(a, 0, sizeof *a);
    a->device.size = a->context.size = sizeof a->device;
    a->kernel.size = sizeof a->kernel, a->tactic.size = sizeof a->tactic;
    ASK(a->devices = dcnv4_device_count());
    CALL(dcnv4_device_info_get(a->devices - 1, &a->device));
    CALL(dcnv4_context_create(device, &context));
    CALL(dcnv4_context_set_threads(context, 3));
    CALL(dcnv4_context_info(context, &a->context));
    CALL(dcnv4_problem_sizes(&layer->problem, &sizes));
    CALL(dcnv4_plan_create(context, &layer->problem, &plan));
    run_everything(plan, context, layer, on_host(device), a);
    ask_plan(plan, a);
    CALL(dcnv4_roofline_run(plan, DCNV4_PASS_FORWARD, DCNV4_ROOFLINE_LOADS, &none,
                            NULL)); /* refused: buffers are missing */
    CALL(dcnv4_convert(DCNV4_FLOAT64, numbers, DCNV4_FLOAT16, a->halves, 4));
    CALL(dcnv4_context_create("nonsense", &(dcnv4_context *){NULL}));
    ASK(snprintf(a->message, sizeof a->message, "%s", dcnv4_last_message()));
    ASK(dcnv4_plan_destroy(plan));
    ASK(dcnv4_context_destroy(context));
}

/* Threads start in the disturbed environment. Devices that compile must find the kernels that they compiled before,
 * since the cache's keys must not depend on the environment. */
static void disturbed_layer(const dcnv4_problem *problem, const char *device) {
    static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    test_layer layer = layer_make(problem), expected = layer_make(problem);
    answers undisturbed, others;
    fill_extremes(&layer);
    fill_extremes(&expected);
    call_everything(&expected, device, &undisturbed);
    if (!on_host(device))
        setenv("DCNV4_COMPILER", "off", 1);
    for (int kind = 0; kind < DISTURBANCES; ++kind) {
        char what[96];
        fenv_t mine;
        snprintf(what, sizeof what, "%s, %s, %s", device, dtype_name(problem->dtype), names[kind]);
        layer_clear(&layer);
        fegetenv(&mine);
        begin((disturbance)kind);
        call_everything(&layer, device, &others);
        end(&mine, what);
        for (int i = 0; i < undisturbed.calls; ++i)
            if (others.status[i] != undisturbed.status[i])
                fail_msg("%s: call %d gave %d, not %d", what, i, others.status[i], undisturbed.status[i]);
        if (memcmp(&others, &undisturbed, sizeof others) != 0)
            fail_msg("%s: other answers (workspace %zu and %zu, not %zu and %zu)", what, others.workspace[0],
                     others.workspace[1], undisturbed.workspace[0], undisturbed.workspace[1]);
        for (int r = 0; r < 3; ++r)
            assert_same_bits(&layer, &expected, results[r], what);
    }
    unsetenv("DCNV4_COMPILER");
    layer_free(&layer);
    layer_free(&expected);
}

static void disturbed(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype))
            for (int softmax = 0; softmax < 2; ++softmax) {
                if (!tries_dtype(*device, dtype))
                    continue;
                dcnv4_problem problem = small_problem(dtype);
                problem.softmax = softmax;
                problem.offset_scale = 0.1;
                problem.deterministic = 1;
                disturbed_layer(&problem, *device);
            }
}

/* ---- Sizes ----------------------------------------------------------------------------------------------------------- */

/* Layers for which the last bit of offset_scale decides how many rows a kernel spans. */
static dcnv4_problem on_the_edge(uint64_t *seed) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = (int32_t)draw_integer(seed, DCNV4_FLOAT16, DCNV4_BFLOAT16);
    problem.batch = 1, problem.height = draw_integer(seed, 40, 120), problem.width = 128, problem.group_channels = 64;
    problem.kernel_h = 2 * draw_integer(seed, 1, 6) + 1, problem.kernel_w = 1, problem.pad_w = 0;
    problem.dilation_h = draw_integer(seed, 1, 3);
    const int64_t half = problem.dilation_h * (problem.kernel_h - 1) / 2;
    problem.pad_h = half;
    problem.offset_scale = (double)draw_integer(seed, 1, 3 * half) / (double)half;
    for (int64_t steps = draw_integer(seed, -3, 3); steps != 0; steps += steps < 0 ? 1 : -1)
        problem.offset_scale = nextafter(problem.offset_scale, steps < 0 ? 0 : 9);
    return problem;
}

static void sizes(void **state) {
    (void)state;
    uint64_t seed = 71;
    for (const char *const *device = devices_to_try(); *device && strncmp(*device, "cpu", 3) == 0; ++device) {
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        for (int i = 0; i < 500; ++i) {
            const dcnv4_problem problem = on_the_edge(&seed);
            dcnv4_plan *plan = NULL, *other = NULL;
            ASSERT_SUCCESS(dcnv4_context_set_threads(context, 1 + i % 3));
            ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
            for (int kind = 0; kind < DISTURBANCES; ++kind)
                for (EACH_PASS(pass)) {
                    const size_t bytes = dcnv4_plan_workspace_size(plan, pass);
                    fenv_t mine;
                    fegetenv(&mine);
                    begin((disturbance)kind);
                    const dcnv4_status status = dcnv4_plan_create(context, &problem, &other);
                    const size_t now = dcnv4_plan_workspace_size(plan, pass);
                    const size_t then = dcnv4_plan_workspace_size(other, pass);
                    end(&mine, names[kind]);
                    assert_status(status, DCNV4_SUCCESS, names[kind]);
                    if (now != bytes || then != bytes)
                        fail_msg("%s, %s, offset_scale %a: %zu bytes of workspace, and %zu of a new plan, not %zu",
                                 *device, names[kind], problem.offset_scale, now, then, bytes);
                    dcnv4_plan_destroy(other);
                }
            dcnv4_plan_destroy(plan);
        }
        dcnv4_context_destroy(context);
    }
}

/* A run writes nothing past the workspace size that the plan gave, though every band has the most rows possible. */
static void workspace_is_enough(void **state) {
    (void)state;
    enum { GUARD = 1 << 17 };
    static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    uint64_t seed = 72;
    for (const char *const *device = devices_to_try(); *device && strncmp(*device, "cpu", 3) == 0; ++device)
        for (int i = 0; i < 24; ++i) {
            const dcnv4_problem problem = on_the_edge(&seed);
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, seed, 3);
            host_run run = host_run_make(&layer, *device);
            ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 1 + i % 2));
            fesetround(modes[i % 4]);
            const size_t bytes = dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_FORWARD);
            unsigned char *const memory = malloc(bytes + GUARD);
            dcnv4_status status = DCNV4_OUT_OF_MEMORY;
            if (memory) {
                memset(memory + bytes, UNTOUCHED, GUARD);
                dcnv4_buffers buffers = run.buffers;
                buffers.workspace = dcnv4_host_buffer(memory, bytes);
                status = dcnv4_forward(run.plan, &buffers, NULL);
            }
            fesetround(FE_TONEAREST);
            assert_status(status, DCNV4_SUCCESS, *device);
            for (size_t byte = bytes; byte < bytes + GUARD; ++byte)
                if (memory[byte] != UNTOUCHED)
                    fail_msg("%s: byte %zu behind a workspace of %zu was written", *device, byte - bytes, bytes);
            count_case();
            free(memory);
            host_run_free(&run);
            layer_free(&layer);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(disturbed), cmocka_unit_test(sizes),
                                       cmocka_unit_test(workspace_is_enough)};
    return HARNESS_RUN(argc, argv, tests);
}
