/* Runs the passes whose instructions are counted, one after the other, each collected and dumped under its name by
 * callgrind: valgrind --tool=callgrind --instr-atstart=no count_instructions DEVICE. */
#include "../support/test_layer.h"

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
    return 0;
}
