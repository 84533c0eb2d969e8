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
    A_REFERENCES,
    A_OUTPUT,
    A_GRAD_OUTPUT,
    A_GRAD_VALUE,
    A_GRAD_LOCATIONS,
    A_GRAD_WEIGHTS,
    A_GRAD_REFERENCES,
    A_TENSORS
};
static const int results[] = {A_OUTPUT, A_GRAD_VALUE, A_GRAD_LOCATIONS, A_GRAD_WEIGHTS, A_GRAD_REFERENCES};
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
        "value",      "sampling_locations",      "attention_weights",      NULL, "output", "grad_output",
        "grad_value", "grad_sampling_locations", "grad_attention_weights", NULL};
    static const char *const packed[A_TENSORS] = {
        "value",      "sampling_loc_attn",      NULL, NULL, "output", "grad_output",
        "grad_value", "grad_sampling_loc_attn", NULL, NULL};
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
    const size_t bytes[A_TENSORS] = {sizes.value,        sizes.locations,      sizes.weights,    sizes.references,
                                     sizes.output,       sizes.grad_output,    sizes.grad_value, sizes.grad_locations,
                                     sizes.grad_weights, sizes.grad_references};
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
    dcnv4_buffer *const each[A_TENSORS] = {&buffers.value,          &buffers.locations,      &buffers.weights,
                                           &buffers.references,     &buffers.output,         &buffers.grad_output,
                                           &buffers.grad_value,     &buffers.grad_locations, &buffers.grad_weights,
                                           &buffers.grad_references};
    const bool half = dtype == DCNV4_FLOAT16 || dtype == DCNV4_BFLOAT16;
    c.problem.levels = c.levels;
    c.problem.dtype = dtype;
    c.problem.location_dtype = half ? DCNV4_FLOAT32 : dtype;
    c.problem.weight_dtype = half && c.problem.packed ? DCNV4_FLOAT32 : dtype;
    ASSERT_SUCCESS(dcnv4_context_create(device, &context));
    ASSERT_SUCCESS(dcnv4_msda_plan_create(context, &c.problem, &plan));
    for (int i = 0; i < A_TENSORS; ++i) {
        const bool location = i == A_LOCATIONS || i == A_GRAD_LOCATIONS || i == A_REFERENCES || i == A_GRAD_REFERENCES,
                   weight = i == A_WEIGHTS || i == A_GRAD_WEIGHTS;
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
        const bool location = i == A_GRAD_LOCATIONS || i == A_GRAD_REFERENCES, weight = i == A_GRAD_WEIGHTS;
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

/* Runs a case and compares all results. */
static void compare(const attention *a, const char *device, const char *folder, int32_t dtype, double bound) {
    double *got[A_TENSORS];
    run(a, device, dtype, got);
    for (int r = 0; r < RESULTS; ++r) {
        const char *const name = name_of(a, results[r]) ? name_of(a, results[r]) : "grad_reference_points";
        char what[512];
        if (!a->numbers[results[r]])
            continue;
        snprintf(what, sizeof what, "%s, %s, %s, %s", device, dtype_name(dtype), folder, name);
        assert_close(got[results[r]], a->numbers[results[r]], a->count[results[r]], bound, what);
    }
    free_results(got);
}

static void against_the_numbers(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int f = 0; f < FOLDERS && takes_dtype(*device, DCNV4_FLOAT64); ++f) {
            attention a = attention_of(folders[f]);
            compare(&a, *device, folders[f], DCNV4_FLOAT64, 1e-12);
            attention_free(&a);
        }
}

static void in_float32(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int f = 0; f < FOLDERS && takes_dtype(*device, DCNV4_FLOAT32); ++f) {
            attention a = attention_of(folders[f]);
            compare(&a, *device, folders[f], DCNV4_FLOAT32, 1e-5);
            attention_free(&a);
        }
}

/* Replaces a case's locations by offsets from references that this draws, and its gradients accordingly: with X = RX + offset·factor,
 * the gradient by the offset is factor·∂X, by RX the sum of ∂X over heads and points, and by RW that of ∂X·offset·factor/RW.
 * References and factors are powers of two where a level's size is, so that points on a border stay there. */
static void use_references(attention *a, int unit, int64_t reference_levels) {
    dcnv4_msda_problem *const p = &a->problem;
    const int numbers = unit == DCNV4_MSDA_BOX_OFFSETS ? 4 : 2;
    const int64_t rows = p->batch * p->queries, row = reference_levels * numbers;
    p->location_unit = unit, p->reference_levels = reference_levels;
    p->box_scale = a->levels[0].points > 0 ? 0.5 * (double)a->levels[0].points : 0.5;
    a->count[A_REFERENCES] = a->count[A_GRAD_REFERENCES] = rows * row;
    double *const references = a->numbers[A_REFERENCES] = allocate((size_t)(rows * row) * sizeof(double));
    double *const sums = a->numbers[A_GRAD_REFERENCES] = allocate((size_t)(rows * row) * sizeof(double));
    for (int64_t i = 0; i < rows * row; ++i)
        sums[i] = 0, references[i] = i % numbers >= 2 ? 0.5 : i / row % 2 ? 0.25 : 0.5;
    double *location = a->numbers[A_LOCATIONS], *gradient = a->numbers[A_GRAD_LOCATIONS];
    for (int64_t block = 0; block < rows * p->heads; ++block) {
        int64_t points = 0;
        for (int l = 0; l < p->level_count; points += a->levels[l++].points)
            for (int64_t k = 0; k < 2 * a->levels[l].points; ++k, ++location, ++gradient) {
                const int64_t at = block / p->heads * row + (reference_levels == 1 ? 0 : l * numbers) + k % 2;
                const double size = (double)(k % 2 ? a->levels[l].height : a->levels[l].width);
                const double factor = numbers == 2 ? 1 / size
                                                   : references[at + 2] * p->box_scale / (double)a->levels[l].points;
                const double offset = (*location - references[at]) / factor;
                sums[at] += *gradient;
                if (numbers == 4 && *gradient != 0)
                    sums[at + 2] += *gradient * offset * factor / references[at + 2];
                *location = offset, *gradient *= factor;
            }
        location += p->packed ? points : 0, gradient += p->packed ? points : 0;
    }
}

static void with_references(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        /* where each case is compiled: some of them, with all four kinds of references */
        for (int f = 0; f < 4 * FOLDERS; f += on_host(*device) ? 1 : 9) {
            attention a = attention_of(folders[f / 4]);
            use_references(&a, f % 2 ? DCNV4_MSDA_BOX_OFFSETS : DCNV4_MSDA_OFFSETS,
                           f / 2 % 2 ? 1 : a.problem.level_count);
            if (takes_dtype(*device, DCNV4_FLOAT64))
                compare(&a, *device, folders[f / 4], DCNV4_FLOAT64, 1e-12);
            if (takes_dtype(*device, DCNV4_FLOAT32))
                compare(&a, *device, folders[f / 4], DCNV4_FLOAT32, 1e-5);
            attention_free(&a);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_numbers),
        cmocka_unit_test(in_float32),
        cmocka_unit_test(with_references),
    };
    return HARNESS_RUN(argc, argv, tests);
}
