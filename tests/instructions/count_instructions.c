/* Runs the passes whose instructions are counted, one after the other, each collected and dumped under its name by
 * callgrind: valgrind --tool=callgrind --instr-atstart=no count_instructions DEVICE. */
#include "../support/test_layer.h"

#include <dcnv4/ms_deform_attn.h>

#include <valgrind/callgrind.h>

#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77 };

static const struct counted {
    dcnv4_pass pass;
    int32_t dtype;
    int64_t size; /* height and width */
    int64_t groups, group_channels;
} all_counted[] = {
    {DCNV4_PASS_FORWARD, DCNV4_FLOAT32, 28, 8, 16},  {DCNV4_PASS_FORWARD, DCNV4_FLOAT32, 14, 8, 32},
    {DCNV4_PASS_FORWARD, DCNV4_FLOAT16, 28, 8, 16},  {DCNV4_PASS_BACKWARD, DCNV4_FLOAT32, 28, 8, 16},
    {DCNV4_PASS_BACKWARD, DCNV4_FLOAT32, 14, 8, 32},
};

/* Approximately normal, of deviation 1; the same everywhere, since libm is not used. */
static double draw_normal(uint64_t *seed) {
    double sum = 0;
    for (int i = 0; i < 12; ++i)
        sum += draw_between(seed, -0.5, 0.5);
    return sum;
}

static void fill(test_layer *layer) {
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
    uint64_t seed = 1;
    for (int i = 0; i < 3; ++i) {
        const size_t count = (size_t)(layer_pixels(layer, inputs[i]) * layer_row(layer, inputs[i]));
        double *numbers = allocate(count * sizeof *numbers);
        for (size_t e = 0; e < count; ++e)
            numbers[e] = draw_normal(&seed);
        layer_write(layer, inputs[i], numbers);
        free(numbers);
    }
}

/* The first run includes work that is done once, such as the dynamic linker's look-ups; the second is counted. */
static void count_one(const char *device, const struct counted *c) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = c->dtype;
    problem.batch = 1, problem.height = problem.width = c->size;
    problem.groups = c->groups, problem.group_channels = c->group_channels;
    test_layer layer = layer_make(&problem);
    fill(&layer);
    host_run run = host_run_make(&layer, device);
    ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 1));
    ASSERT_SUCCESS(run_pass(run.plan, c->pass, &run.buffers));

    CALLGRIND_START_INSTRUMENTATION;
    const dcnv4_status status = run_pass(run.plan, c->pass, &run.buffers);
    CALLGRIND_STOP_INSTRUMENTATION;
    ASSERT_SUCCESS(status);

    char name[96];
    snprintf(name, sizeof name, "%s %s 1x%dx%d %dx%d", c->pass == DCNV4_PASS_FORWARD ? "forward" : "backward",
             dtype_name(c->dtype), (int)c->size, (int)c->size, (int)c->groups, (int)c->group_channels);
    CALLGRIND_DUMP_STATS_AT(name);
    host_run_free(&run);
    layer_free(&layer);
}

/* Attention of 8 heads with 32 channels, 4 points in each of two levels. */
static const struct counted_attention {
    const char *name;
    dcnv4_pass pass;
    int32_t dtype;
    int64_t size;    /* height and width of the first level; the second has half of them */
    int64_t queries; /* anywhere */
} attentions[] = {
    {"forward float32 16x16+8x8 encoder", DCNV4_PASS_FORWARD, DCNV4_FLOAT32, 16, 320},
    {"backward float32 16x16+8x8 encoder", DCNV4_PASS_BACKWARD, DCNV4_FLOAT32, 16, 320},
    {"forward float32 32x32+16x16 decoder", DCNV4_PASS_FORWARD, DCNV4_FLOAT32, 32, 40},
    {"forward float16 32x32+16x16 decoder", DCNV4_PASS_FORWARD, DCNV4_FLOAT16, 32, 40},
    {"backward float32 32x32+16x16 decoder", DCNV4_PASS_BACKWARD, DCNV4_FLOAT32, 32, 40},
};

/* A host tensor of `bytes` bytes: count numbers between low and high, in a dtype. */
static dcnv4_buffer filled(size_t bytes, int32_t dtype, double low, double high, uint64_t *seed) {
    const size_t count = bytes / item_size(dtype);
    double *const numbers = allocate(count * sizeof *numbers);
    void *const stored = allocate(bytes);
    for (size_t i = 0; i < count; ++i)
        numbers[i] = draw_between(seed, low, high);
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, numbers, dtype, stored, count));
    free(numbers);
    return dcnv4_host_buffer(stored, bytes);
}

static void count_attention(const char *device, const struct counted_attention *c) {
    const int64_t size = c->size, half = size / 2;
    const dcnv4_msda_level levels[] = {{size, size, 0, 4}, {half, half, size * size, 4}};
    dcnv4_msda_problem p = DCNV4_MSDA_PROBLEM_INIT;
    dcnv4_msda_sizes s = DCNV4_MSDA_SIZES_INIT;
    dcnv4_msda_buffers b = DCNV4_MSDA_BUFFERS_INIT;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    uint64_t seed = 1;
    p.dtype = c->dtype, p.levels = levels, p.level_count = 2, p.batch = 1, p.queries = c->queries;
    p.value_length = size * size + half * half, p.heads = 8, p.head_channels = 32;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(&p, &s));
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_context_set_threads(context, 1));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &p, &plan));
    const size_t workspace = dcnv4_plan_workspace_size(plan, c->pass);
    struct {
        dcnv4_buffer *buffer;
        size_t bytes;
        double low, high;
    } const tensors[] = {
        {&b.value, s.value, -1, 1},
        {&b.locations, s.locations, 0, 1},
        {&b.weights, s.weights, 0, 1},
        {&b.output, s.output, 0, 0},
        {&b.grad_output, s.grad_output, -1, 1},
        {&b.grad_value, s.grad_value, 0, 0},
        {&b.grad_locations, s.grad_locations, 0, 0},
        {&b.grad_weights, s.grad_weights, 0, 0},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; ++i)
        *tensors[i].buffer = filled(tensors[i].bytes, c->dtype, tensors[i].low, tensors[i].high, &seed);
    ASSERT_SUCCESS(dcnv4_buffer_create(context, workspace, &b.workspace));
    dcnv4_status (*const run)(const dcnv4_plan *, const dcnv4_msda_buffers *,
                              void *) = c->pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward : dcnv4_msda_backward;
    ASSERT_SUCCESS(run(plan, &b, NULL));

    CALLGRIND_START_INSTRUMENTATION;
    const dcnv4_status status = run(plan, &b, NULL);
    CALLGRIND_STOP_INSTRUMENTATION;
    ASSERT_SUCCESS(status);

    CALLGRIND_DUMP_STATS_AT(c->name);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; ++i)
        free(tensors[i].buffer->handle);
    dcnv4_buffer_destroy(context, &b.workspace);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

int main(int argc, char **argv) {
    if (argc != 2 || !RUNNING_ON_VALGRIND) {
        fprintf(stderr, "usage: valgrind --tool=callgrind --instr-atstart=no count_instructions DEVICE\n");
        return 2;
    }
    dcnv4_context *context = NULL;
    const dcnv4_status status = dcnv4_context_create(argv[1], &context);
    dcnv4_context_destroy(context);
    if (status == DCNV4_DEVICE_UNAVAILABLE) {
        printf("%s\n", dcnv4_last_message());
        return SKIPPED;
    }
    ASSERT_SUCCESS(status);
    for (size_t i = 0; i < sizeof all_counted / sizeof *all_counted; ++i)
        count_one(argv[1], &all_counted[i]);
    for (size_t i = 0; i < sizeof attentions / sizeof *attentions; ++i)
        count_attention(argv[1], &attentions[i]);
    return 0;
}
