/* Every golden case of multi-scale deformable attention on every device: float64 against the golden numbers, the other dtypes
 * against the reference in float64 on the same rounded inputs. */
#include "../support/golden.h"
#include "../support/device_run.h"

#include <dcnv4/ms_deform_attn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const folders[] = {GOLDEN_FOLDERS};
enum { FOLDERS = sizeof folders / sizeof *folders };

enum {
    A_VALUE,
    A_LOCATIONS,
    A_WEIGHTS,
    A_OUTPUT,
    A_GRAD_OUTPUT,
    A_GRAD_VALUE,
    A_GRAD_LOCATIONS,
    A_GRAD_WEIGHTS,
    A_TENSORS
};
static const int results[] = {A_OUTPUT, A_GRAD_VALUE, A_GRAD_LOCATIONS, A_GRAD_WEIGHTS};
enum { RESULTS = sizeof results / sizeof *results };

/* A case: its problem, whose levels are beside it, and its tensors in float64; NULL for what the layout does not have. */
typedef struct attention {
    dcnv4_msda_problem problem;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    int64_t count[A_TENSORS];
    double *numbers[A_TENSORS];
} attention;

static const char *name_of(const attention *a, int tensor) {
    static const char *const classic[A_TENSORS] = {
        "value",       "sampling_locations", "attention_weights",       "output",
        "grad_output", "grad_value",         "grad_sampling_locations", "grad_attention_weights"};
    static const char *const packed[A_TENSORS] = {"value",      "sampling_loc_attn",      NULL, "output", "grad_output",
                                                  "grad_value", "grad_sampling_loc_attn", NULL};
    return a->problem.packed ? packed[tensor] : classic[tensor];
}

/* Fills in what a line key=value says. */
static void take_line(attention *a, const char *line) {
    dcnv4_msda_problem *const p = &a->problem;
    const char *const value = strchr(line, '=') + 1;
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = {{"batch=", &p->batch},     {"value_length=", &p->value_length},
                   {"heads=", &p->heads},     {"head_channels=", &p->head_channels},
                   {"queries=", &p->queries}, {"levels=", &p->level_count}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        if (strncmp(line, numbers[i].key, strlen(numbers[i].key)) == 0)
            *numbers[i].to = atoll(value);
    if (strncmp(line, "form=", 5) == 0)
        p->packed = strncmp(value, "packed", 6) == 0;
    if (strncmp(line, "softmax=", 8) == 0)
        p->softmax = atoi(value);
    const char *at = value;
    for (int l = 0; l < DCNV4_MSDA_MAX_LEVELS && at && *at; ++l) {
        if (strncmp(line, "level_shapes=", 13) == 0) {
            a->levels[l].height = atoll(at);
            a->levels[l].width = atoll(strchr(at, 'x') + 1);
        } else if (strncmp(line, "level_starts=", 13) == 0)
            a->levels[l].start = atoll(at);
        else if (strncmp(line, "points=", 7) == 0)
            a->levels[l].points = atoll(at);
        else
            break;
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
}

static attention attention_of(const char *folder) {
    attention a = {.problem = DCNV4_MSDA_PROBLEM_INIT};
    char path[512], line[256];
    snprintf(path, sizeof path, "%s/problem.txt", folder);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strchr(line, '='))
            take_line(&a, line);
    fclose(file);
    a.problem.dtype = DCNV4_FLOAT64;
    a.problem.levels = a.levels;
    dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_msda_sizes_get(&a.problem, &sizes));
    const size_t bytes[A_TENSORS] = {sizes.value,       sizes.locations,  sizes.weights,        sizes.output,
                                     sizes.grad_output, sizes.grad_value, sizes.grad_locations, sizes.grad_weights};
    for (int i = 0; i < A_TENSORS; ++i) {
        a.count[i] = (int64_t)(bytes[i] / sizeof(double));
        a.numbers[i] = name_of(&a, i) ? golden_read(folder, name_of(&a, i), a.count[i]) : NULL;
    }
    return a;
}

static void attention_free(attention *a) {
    for (int i = 0; i < A_TENSORS; ++i)
        free(a->numbers[i]);
}

/* Both passes on a device, in a dtype: results in float64, to be freed. The inputs are rounded to the dtype, locations to
 * float32. */
static void run(const attention *a, const char *device, int32_t dtype, double *got[A_TENSORS]) {
    attention c = *a;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_msda_buffers buffers = DCNV4_MSDA_BUFFERS_INIT;
    dcnv4_buffer *const each[A_TENSORS] = {&buffers.value,          &buffers.locations,   &buffers.weights,
                                           &buffers.output,         &buffers.grad_output, &buffers.grad_value,
                                           &buffers.grad_locations, &buffers.grad_weights};
    const bool half = dtype == DCNV4_FLOAT16 || dtype == DCNV4_BFLOAT16;
    c.problem.levels = c.levels;
    c.problem.dtype = dtype;
    c.problem.location_dtype = half ? DCNV4_FLOAT32 : dtype;
    c.problem.weight_dtype = half && c.problem.packed ? DCNV4_FLOAT32 : dtype;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &c.problem, &plan));
    for (int i = 0; i < A_TENSORS; ++i) {
        const bool location = i == A_LOCATIONS || i == A_GRAD_LOCATIONS, weight = i == A_WEIGHTS || i == A_GRAD_WEIGHTS;
        const int32_t type = location ? c.problem.location_dtype : weight ? c.problem.weight_dtype : dtype;
        const size_t bytes = (size_t)c.count[i] * item_size(type);
        void *const stored = allocate(bytes);
        memset(stored, 0xff, bytes);
        if (i != A_OUTPUT && i < A_GRAD_VALUE && c.numbers[i])
            ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, c.numbers[i], type, stored, (size_t)c.count[i]));
        ASSERT_SUCCESS(dcnv4_buffer_create(context, bytes, each[i]));
        ASSERT_SUCCESS(dcnv4_upload(context, each[i], stored, bytes));
        free(stored);
    }
    for (int pass = 0; pass < 2; ++pass) {
        dcnv4_buffer_destroy(context, &buffers.workspace);
        ASSERT_SUCCESS(
            dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, (dcnv4_pass)pass), &buffers.workspace));
        ASSERT_SUCCESS((pass ? dcnv4_msda_backward : dcnv4_msda_forward)(plan, &buffers, NULL));
        ASSERT_SUCCESS(dcnv4_synchronize(context));
    }
    for (int r = 0; r < RESULTS; ++r) {
        const int i = results[r];
        const bool location = i == A_GRAD_LOCATIONS, weight = i == A_GRAD_WEIGHTS;
        const int32_t type = location ? c.problem.location_dtype : weight ? c.problem.weight_dtype : dtype;
        const size_t bytes = (size_t)c.count[i] * item_size(type);
        void *const stored = allocate(bytes);
        got[i] = allocate((size_t)c.count[i] * sizeof(double));
        ASSERT_SUCCESS(dcnv4_download(context, each[i], stored, bytes));
        ASSERT_SUCCESS(dcnv4_convert(type, stored, DCNV4_FLOAT64, got[i], (size_t)c.count[i]));
        free(stored);
    }
    for (int i = 0; i < A_TENSORS; ++i)
        dcnv4_buffer_destroy(context, each[i]);
    dcnv4_buffer_destroy(context, &buffers.workspace);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

static void free_results(double *got[A_TENSORS]) {
    for (int r = 0; r < RESULTS; ++r)
        free(got[results[r]]);
}

static void against_the_numbers(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int f = 0; f < FOLDERS && takes_dtype(*device, DCNV4_FLOAT64); ++f) {
            attention a = attention_of(folders[f]);
            double *got[A_TENSORS];
            run(&a, *device, DCNV4_FLOAT64, got);
            for (int r = 0; r < RESULTS; ++r) {
                char what[512];
                if (!a.numbers[results[r]])
                    continue;
                snprintf(what, sizeof what, "%s, %s, %s", *device, folders[f], name_of(&a, results[r]));
                assert_close(got[results[r]], a.numbers[results[r]], a.count[results[r]], 1e-12, what);
            }
            free_results(got);
            attention_free(&a);
        }
}

static void in_float32(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int f = 0; f < FOLDERS && takes_dtype(*device, DCNV4_FLOAT32); ++f) {
            attention a = attention_of(folders[f]);
            double *got[A_TENSORS];
            run(&a, *device, DCNV4_FLOAT32, got);
            for (int r = 0; r < RESULTS; ++r) {
                char what[512];
                if (!a.numbers[results[r]])
                    continue;
                snprintf(what, sizeof what, "%s, float32, %s, %s", *device, folders[f], name_of(&a, results[r]));
                assert_close(got[results[r]], a.numbers[results[r]], a.count[results[r]], 1e-5, what);
            }
            free_results(got);
            attention_free(&a);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_numbers),
        cmocka_unit_test(in_float32),
    };
    return HARNESS_RUN(argc, argv, tests);
}
