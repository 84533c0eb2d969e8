/* The caller's floating-point environment: whatever the rounding mode, flushing of subnormals or trapping, the results are
 * the same bits, and the environment is the caller's again afterwards. */
#include "../support/test_layer.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The control and status register, where we know how to reach it. */
#if defined(__x86_64__)
#include <xmmintrin.h>
static uint64_t control_get(void) {
    return _mm_getcsr();
}
static void control_set(uint64_t bits) {
    _mm_setcsr((unsigned)bits);
}
enum { FLUSH = 0x8040, TRAPS = 0x1f80 };
static uint64_t with_traps(uint64_t bits) {
    return bits & ~(uint64_t)TRAPS;
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
enum { FLUSH = 1 << 24, TRAPS = 0x9f00 };
static uint64_t with_traps(uint64_t bits) {
    return bits | TRAPS;
}
#else
static uint64_t control_get(void) {
    return (uint64_t)fegetround();
}
static void control_set(uint64_t bits) {
    fesetround((int)bits);
}
enum { FLUSH = 0 };
static uint64_t with_traps(uint64_t bits) {
    return bits;
}
#endif

typedef enum disturbance { UPWARD, DOWNWARD, TOWARD_ZERO, FLUSHING, TRAPPING, FLAGS, DISTURBANCES } disturbance;
static const char *const names[] = {"upward", "downward", "toward zero", "flushing", "trapping", "raised flags"};

static void disturb(disturbance kind) {
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    if (kind <= TOWARD_ZERO)
        fesetround(modes[kind]);
    else if (kind == FLUSHING)
        control_set(control_get() | FLUSH);
    else if (kind == TRAPPING)
        control_set(with_traps(control_get()));
    else
        feraiseexcept(FE_DIVBYZERO | FE_INEXACT);
}

/* Numbers of every size, subnormals among them, some infinite and no numbers at all: every exception is raised. */
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

/* Everything from the making of the context on happens in the disturbed environment, so that threads inherit it. */
static dcnv4_status run_disturbed(test_layer *layer, const char *device, disturbance kind, bool *restored) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = layer_buffers(layer);
    dcnv4_status status = DCNV4_SUCCESS;
    fenv_t mine;
    fegetenv(&mine);
    disturb(kind);
    const uint64_t before = control_get();
    const int flags = fetestexcept(FE_ALL_EXCEPT);
    status = dcnv4_context_create(device, &context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_context_set_threads(context, 3);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_plan_create(context, &layer->problem, &plan);
    for (EACH_PASS(pass)) {
        const size_t workspace = dcnv4_plan_workspace_size(plan, pass);
        if (status == DCNV4_SUCCESS)
            status = dcnv4_buffer_create(context, workspace, &buffers.workspace);
        if (status == DCNV4_SUCCESS)
            status = run_pass(plan, pass, &buffers);
        dcnv4_buffer_destroy(context, &buffers.workspace);
    }
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    *restored = control_get() == before && fetestexcept(FE_ALL_EXCEPT) == flags;
    fesetenv(&mine);
    return status;
}

static void disturbed(void **state) {
    (void)state;
    static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype))
            for (int softmax = 0; softmax < 2; ++softmax) {
                dcnv4_problem problem = small_problem(dtype);
                problem.softmax = softmax;
                test_layer layer = layer_make(&problem), expected = layer_make(&problem);
                fill_extremes(&layer);
                fill_extremes(&expected);
                layer_both(&expected, *device);
                for (int kind = 0; kind < DISTURBANCES; ++kind) {
                    char what[96];
                    bool restored = false;
                    snprintf(what, sizeof what, "%s, %s, %s", *device, dtype_name(dtype), names[kind]);
                    layer_clear(&layer);
                    assert_status(run_disturbed(&layer, *device, (disturbance)kind, &restored), DCNV4_SUCCESS, what);
                    if (!restored)
                        fail_msg("%s: the environment is not the caller's again", what);
                    for (int r = 0; r < 3; ++r)
                        assert_same_bits(&layer, &expected, results[r], what);
                }
                layer_free(&layer);
                layer_free(&expected);
            }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(disturbed)};
    return HARNESS_RUN(argc, argv, tests);
}
