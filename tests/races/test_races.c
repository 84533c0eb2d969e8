/* The kernels' barriers: with all of them there is no race in local memory, and results have the same bits whatever the order
 * of work-items; and each of them is needed, since without it there is a race that is found.
 *
 *     test_races cuda BARRIERS     how many there are in the kernels' texts; every one must have been reached
 */
#include "../fakes/faults.h"
#include "../support/device_run.h"
#include "watched_kernels.h"

#include <dcnv4/ms_deform_attn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RESULTS = 4, MOST_BARRIERS = 64, ORDERS = 2 };

static const char *const device = "cuda:0";
static watch_control *control;
static long barriers_in_texts;

/* The barriers reached in all problems. A text may lack those that its layer does not need, which are the last of their
 * functions: so a barrier is known by its function and its number there. */
static struct {
    char function[WATCH_MOST_LETTERS];
    int number;
    bool is_needed; /* by some problem */
} barriers[MOST_BARRIERS];
static int barrier_count;

/* ---- A plan, run again and again ------------------------------------------------------------------------------------ */

typedef struct scene {
    const char *name;
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers deform;
    dcnv4_msda_buffers attention;
    bool is_attention;
    dcnv4_buffer results[MOST_RESULTS]; /* those of the same bits in every run */
    int result_count;
} scene;

static dcnv4_buffer upload(const scene *s, const void *bytes, size_t size) {
    dcnv4_buffer made = {NULL, 0, 0};
    ASSERT_SUCCESS(dcnv4_buffer_create(s->context, size, &made));
    if (bytes)
        ASSERT_SUCCESS(dcnv4_upload(s->context, &made, bytes, size));
    return made;
}

static size_t workspace_of(const scene *s) {
    const size_t forward = dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_FORWARD);
    const size_t backward = dcnv4_plan_workspace_size(s->plan, DCNV4_PASS_BACKWARD);
    return forward > backward ? forward : backward;
}

static void run(const scene *s) {
    if (s->is_attention) {
        ASSERT_SUCCESS(dcnv4_msda_forward(s->plan, &s->attention, NULL));
        ASSERT_SUCCESS(dcnv4_msda_backward(s->plan, &s->attention, NULL));
    } else
        for (EACH_PASS(pass))
            ASSERT_SUCCESS(run_pass(s->plan, pass, &s->deform));
    ASSERT_SUCCESS(dcnv4_synchronize(s->context));
}

/* All results one after the other, to be freed. */
static unsigned char *download(const scene *s, size_t *size) {
    *size = 0;
    for (int i = 0; i < s->result_count; ++i)
        *size += s->results[i].length;
    unsigned char *const bytes = allocate(*size), *at = bytes;
    for (int i = 0; i < s->result_count; at += s->results[i++].length)
        ASSERT_SUCCESS(dcnv4_download(s->context, &s->results[i], at, s->results[i].length));
    return bytes;
}

/* ---- What is checked ------------------------------------------------------------------------------------------------ */

static void check_orders(const scene *s) {
    unsigned char *first = NULL;
    for (uint64_t order = 0; order < ORDERS; ++order) {
        size_t size;
        control->seed = order;
        run(s);
        if (control->faults > 0)
            fail_msg("%s: %s", s->name, control->report);
        unsigned char *const results = download(s, &size);
        if (first && memcmp(first, results, size) != 0)
            fail_msg("%s: another order of work-items gives other bits", s->name);
        if (first)
            free(results);
        else
            first = results;
        count_case();
    }
    free(first);
}

/* Where a barrier of the current problem stands among those of all. */
static int find_barrier(const watched_barrier *barrier) {
    int first = barrier->number, at = 0;
    for (int i = 0; i < control->barriers; ++i) {
        const watched_barrier *const other = &control->barrier[i];
        if (other->library == barrier->library && other->number < first &&
            strcmp(other->function, barrier->function) == 0)
            first = other->number;
    }
    const int number = barrier->number - first;
    while (at < barrier_count &&
           (strcmp(barriers[at].function, barrier->function) != 0 || barriers[at].number != number))
        ++at;
    assert_true(at < MOST_BARRIERS);
    if (at == barrier_count) {
        snprintf(barriers[barrier_count].function, sizeof barriers[0].function, "%s", barrier->function);
        barriers[barrier_count++].number = number;
    }
    return at;
}

/* Whether a fault is found without a barrier. */
static bool is_needed(const scene *s, int barrier) {
    control->left_out = barrier;
    for (control->seed = 0; control->seed < ORDERS && control->faults == 0; ++control->seed)
        run(s);
    const bool found = control->faults > 0;
    if (getenv("RACES_VERBOSE"))
        print_message("%s, without barrier %d of the text, in %.60s: %s\n", s->name, control->barrier[barrier].number,
                      control->barrier[barrier].function, found ? control->report : "no fault");
    control->faults = 0, control->left_out = WATCH_EVERY_BARRIER;
    return found;
}

static void check_each_barrier(const scene *s) {
    assert_true(control->barriers > 0);
    for (int b = 0; b < control->barriers; ++b) {
        const int at = find_barrier(&control->barrier[b]);
        if (!barriers[at].is_needed)
            barriers[at].is_needed = is_needed(s, b);
    }
}

static void check(scene *s) {
    check_orders(s);
    check_each_barrier(s);
    dcnv4_plan_destroy(s->plan);
    dcnv4_context_destroy(s->context);
    control->barriers = 0;
}

/* ---- Problems ------------------------------------------------------------------------------------------------------- */

static void check_layer(const char *name, const dcnv4_problem *problem) {
    scene s = {.name = name, .deform = DCNV4_BUFFERS_INIT};
    test_layer layer = layer_make(problem);
    layer_fill(&layer, 3, 2);
    ASSERT_SUCCESS(dcnv4_context_create(device, &s.context));
    ASSERT_SUCCESS(dcnv4_plan_create(s.context, problem, &s.plan));
    for (int i = 0; i < TENSORS; ++i) {
        *buffer_of(&s.deform, i) = upload(&s, layer.tensors[i], layer.bytes[i]);
        if (i == OUTPUT || i == GRAD_OFFSET_MASK || i == GRAD_VALUE)
            s.results[s.result_count++] = *buffer_of(&s.deform, i);
    }
    s.deform.workspace = upload(&s, NULL, workspace_of(&s));
    check(&s);
    layer_free(&layer);
}

/* The image is wide enough for two spans of chunks; the last tiles have none in the first. */
static void deform_conv_tiles(void **state) {
    (void)state;
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.batch = 1, p.height = 1, p.width = 1100, p.groups = 1, p.group_channels = 4;
    p.kernel_h = 1, p.pad_h = 0;
    check_layer("DCNv4, tiles", &p);
}

/* More points than a round has. */
static void deform_conv_rounds(void **state) {
    (void)state;
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.batch = 1, p.height = 9, p.width = 11, p.groups = 1, p.group_channels = 8, p.softmax = 1;
    p.kernel_h = p.kernel_w = 5, p.pad_h = p.pad_w = 2;
    check_layer("DCNv4, rounds", &p);
}

/* locations follow the queries down the levels, with what `spread` adds. */
static float *draw_locations(const dcnv4_msda_problem *p, int64_t points, double spread) {
    float *const numbers = allocate((size_t)(p->queries * points) * 2 * sizeof *numbers);
    uint64_t seed = 4;
    for (int64_t q = 0; q < p->queries; ++q)
        for (int64_t k = 0; k < points; ++k) {
            float *const location = numbers + 2 * (q * points + k);
            location[0] = (float)draw_between(&seed, 0, 1);
            location[1] = (float)((double)q / (double)p->queries + draw_between(&seed, -spread, spread));
        }
    return numbers;
}

static float *draw_numbers(size_t bytes) {
    float *const numbers = allocate(bytes);
    uint64_t seed = 5;
    for (size_t i = 0; i < bytes / sizeof *numbers; ++i)
        numbers[i] = (float)draw_between(&seed, -1, 1);
    return numbers;
}

static void check_attention(const char *name, const dcnv4_msda_problem *p) {
    scene s = {.name = name, .attention = DCNV4_MSDA_BUFFERS_INIT, .is_attention = true};
    dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(p, &sizes));
    ASSERT_SUCCESS(dcnv4_context_create(device, &s.context));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(s.context, p, &s.plan));
    float *const value = draw_numbers(sizes.value), *const weights = draw_numbers(sizes.weights);
    float *const grad = draw_numbers(sizes.grad_output), *const locations = draw_locations(p, sizes.points, 0.01);
    s.attention.value = upload(&s, value, sizes.value);
    s.attention.weights = upload(&s, weights, sizes.weights);
    s.attention.grad_output = upload(&s, grad, sizes.grad_output);
    s.attention.locations = upload(&s, locations, sizes.locations);
    s.results[0] = s.attention.output = upload(&s, NULL, sizes.output);
    s.results[1] = s.attention.grad_locations = upload(&s, NULL, sizes.grad_locations);
    s.results[2] = s.attention.grad_weights = upload(&s, NULL, sizes.grad_weights);
    s.results[3] = s.attention.grad_value = upload(&s, NULL, sizes.grad_value);
    s.result_count = p->deterministic ? 4 : 3; /* atomic additions come in any order */
    s.attention.workspace = upload(&s, NULL, workspace_of(&s));
    check(&s);
    free(value), free(weights), free(grad), free(locations);
}

/* Enough queries for two spans of chunks; the last tiles have no hits in the first. */
static void attention_tiles(void **state) {
    (void)state;
    dcnv4_msda_problem p = DCNV4_MSDA_PROBLEM_INIT;
    const dcnv4_msda_level level = {.height = 90, .width = 2, .points = 2};
    p.levels = &level, p.level_count = 1, p.value_length = 180, p.deterministic = 1;
    p.batch = 1, p.queries = 3100, p.head_channels = 8;
    check_attention("attention, tiles", &p);
}

/* More points than a round has; with softmax, whose barriers make up for another, and without. */
static void attention_rounds(void **state) {
    (void)state;
    dcnv4_msda_problem p = DCNV4_MSDA_PROBLEM_INIT;
    const dcnv4_msda_level levels[] = {{.height = 6, .width = 5, .points = 12},
                                       {.height = 3, .width = 3, .points = 9, .start = 30}};
    p.levels = levels, p.level_count = 2, p.value_length = 39;
    p.batch = 1, p.queries = 70, p.head_channels = 16;
    for (p.softmax = 0; p.softmax <= 1; ++p.softmax)
        check_attention(p.softmax ? "attention, softmax" : "attention, rounds", &p);
}

/* A barrier that was not reached needs a problem here that reaches it; one that is not needed costs time. */
static void every_barrier_is_needed(void **state) {
    (void)state;
    int missed = 0;
    for (int i = 0; i < barrier_count; ++i) {
        if (!barriers[i].is_needed)
            print_error("no problem has a fault without barrier %d of %.80s\n", barriers[i].number + 1,
                        barriers[i].function);
        missed += !barriers[i].is_needed;
        count_case();
    }
    assert_int_equal(missed, 0);
    assert_int_equal(barrier_count, barriers_in_texts);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deform_conv_tiles),       cmocka_unit_test(deform_conv_rounds),
        cmocka_unit_test(attention_tiles),         cmocka_unit_test(attention_rounds),
        cmocka_unit_test(every_barrier_is_needed),
    };
    watch_control *(*entry)(void);
    barriers_in_texts = argc > 2 ? strtol(argv[2], NULL, 10) : -1;
    fault_entry("libcuda.so.1", "watch_driver_control", &entry);
    control = entry();
    return HARNESS_RUN(2, argv, tests);
}
