/* The command on the golden cases of multi-scale deformable attention, whose files it takes as they are: float64 to 1e-12,
 * float32 to 1e-5. */
#include "../support/golden.h"
#include "command_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const folders[] = {GOLDEN_FOLDERS};
enum { FOLDERS = sizeof folders / sizeof *folders };

/* What problem.txt says of a case. */
typedef struct facts {
    bool packed, softmax;
    char points[64];
    int64_t batch, value_length, heads, head_channels, queries, point_count;
} facts;

static facts read_facts(const char *folder) {
    facts f = {.packed = false};
    char path[512], line[256];
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = {{"batch=", &f.batch},
                   {"value_length=", &f.value_length},
                   {"heads=", &f.heads},
                   {"head_channels=", &f.head_channels},
                   {"queries=", &f.queries}};
    snprintf(path, sizeof path, "%s/problem.txt", folder);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
            if (strncmp(line, numbers[i].key, strlen(numbers[i].key)) == 0)
                *numbers[i].to = atoll(line + strlen(numbers[i].key));
        if (strncmp(line, "points=", 7) == 0)
            snprintf(f.points, sizeof f.points, "%.63s", line + 7);
        f.packed = f.packed || strcmp(line, "form=packed") == 0;
        f.softmax = f.softmax || strcmp(line, "softmax=1") == 0;
    }
    fclose(file);
    for (const char *at = f.points; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        f.point_count += atoll(at);
    return f;
}

/* Whether every level has as many points, so that --points may be left out. */
static bool is_even(const facts *f) {
    const size_t first = strcspn(f->points, ",");
    for (const char *at = f->points; *at; at += first + (at[first] == ','))
        if (strncmp(at, f->points, first) != 0 || (at[first] != ',' && at[first] != '\0'))
            return false;
    return true;
}

static void compare(const char *folder, const char *made, const char *golden, int64_t count, double bound) {
    char what[600];
    double *const numbers = golden_read(".", made, count), *const expected = golden_read(folder, golden, count);
    snprintf(what, sizeof what, "%s: %s", folder, golden);
    assert_close(numbers, expected, count, bound, what);
    free(numbers);
    free(expected);
    snprintf(what, sizeof what, "%s.npy", made);
    assert_int_equal(unlink(what), 0);
}

static void run_case(const char *folder, const char *device, const char *dtype, double bound) {
    const facts f = read_facts(folder);
    const char *const locations = f.packed ? "sampling_loc_attn" : "sampling_locations";
    char common[3072], weights[640] = "", line[4096], gradient[64];
    if (!f.packed)
        snprintf(weights, sizeof weights, "--weights %s/attention_weights.npy", folder);
    snprintf(common, sizeof common,
             "--operator msda --value %s/value.npy --locations %s/%s.npy %s --spatial-shapes %s/spatial_shapes.npy "
             "--level-start-index %s/level_start_index.npy%s%s%s%s --device %s --dtype %s",
             folder, folder, locations, weights, folder, folder, f.packed ? " --packed" : "",
             f.softmax ? " --softmax" : "", is_even(&f) ? "" : " --points ", is_even(&f) ? "" : f.points, device,
             dtype);
    snprintf(line, sizeof line, "forward %s --output o.npy", common);
    assert_command_done(line);
    snprintf(line, sizeof line,
             "backward %s --grad-output %s/grad_output.npy --grad-value gv.npy --grad-locations gl.npy%s", common,
             folder, f.packed ? "" : " --grad-weights gw.npy");
    assert_command_done(line);
    const int64_t channels = f.heads * f.head_channels, rows = f.batch * f.queries, points = f.heads * f.point_count;
    compare(folder, "o", "output", rows * channels, bound);
    compare(folder, "gv", "grad_value", f.batch * f.value_length * channels, bound);
    snprintf(gradient, sizeof gradient, "grad_%s", locations);
    compare(folder, "gl", gradient, rows * points * (f.packed ? 3 : 2), bound);
    if (!f.packed)
        compare(folder, "gw", "grad_attention_weights", rows * points, bound);
    count_case();
}

static void golden_cases(void **state) {
    (void)state;
    enter_folder();
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int i = 0; i < FOLDERS; ++i) {
            if (takes_dtype(*device, DCNV4_FLOAT64))
                run_case(folders[i], *device, "f64", 1e-12);
            if (on_host(*device) || i % 4 == 0) /* compiling takes long */
                run_case(folders[i], *device, "f32", 1e-5);
        }
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_cases)};
    return HARNESS_RUN(argc, argv, tests);
}
