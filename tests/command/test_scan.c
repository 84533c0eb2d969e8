/* dcnv4 bench --scan: its axes, the rule for what is slow, and its reports, with simulated times: the linker redirects
 * each sample to this file, so that no real time decides. */
#include "command_run.h"
#include "../../tools/bench/scan_chart.h"
#include "../../tools/bench/scan_command.h"
#include "../../tools/cli/options.h"
#include "../../tools/devices/sample.h"
#include "../../tools/output/output_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The rule ------------------------------------------------------------------------------------------------------- */

static void expect(const dcnv4i_scan_time *times, int64_t count, int64_t i, dcnv4i_scan_mark mark, double ratio) {
    double got;
    assert_int_equal(dcnv4i_scan_judge(times, count, i, &got), mark);
    assert_true(isnan(ratio) ? isnan(got) : fabs(got - ratio) < 1e-12);
}

static void rule(void **state) {
    (void)state;
    /* Twice as long from the third on: the first of these is one, those after it are not. */
    const dcnv4i_scan_time step[] = {{1, 100}, {2, 200}, {6, 300}, {8, 400}};
    expect(step, 4, 0, DCNV4I_SCAN_EVEN, 1);
    expect(step, 4, 1, DCNV4I_SCAN_EVEN, 1);
    expect(step, 4, 2, DCNV4I_SCAN_CLIFF, 2);
    expect(step, 4, 3, DCNV4I_SCAN_EVEN, 1);
    /* At most 1.5 times. */
    const dcnv4i_scan_time limit[] = {{1, 100}, {3, 200}, {2, 200}};
    expect(limit, 3, 1, DCNV4I_SCAN_EVEN, 1.5);
    expect(limit, 3, 2, DCNV4I_SCAN_EVEN, 2. / 3);
    /* Alone, and first of as much work. */
    expect(step, 1, 0, DCNV4I_SCAN_EVEN, NAN);
    const dcnv4i_scan_time first[] = {{3, 10}, {1, 10}};
    expect(first, 2, 0, DCNV4I_SCAN_CLIFF, 3);
    expect(first, 2, 1, DCNV4I_SCAN_EVEN, 1. / 3);
    /* Half the work in the same time, which is what a call takes at least; in more time. */
    const dcnv4i_scan_time fixed[] = {{1.05, 10}, {1, 20}}, slower[] = {{1.2, 10}, {1, 20}};
    expect(fixed, 2, 0, DCNV4I_SCAN_FIXED, 2.1);
    expect(slower, 2, 0, DCNV4I_SCAN_CLIFF, 2.4);
    /* A larger neighbour is no excuse for the other one, on either side. */
    const dcnv4i_scan_time both[] = {{1, 10}, {4, 20}, {5, 100}}, turned[] = {{5, 100}, {4, 20}, {1, 10}};
    expect(both, 3, 1, DCNV4I_SCAN_CLIFF, 4);
    expect(turned, 3, 1, DCNV4I_SCAN_CLIFF, 4);
}

/* ---- The axes ------------------------------------------------------------------------------------------------------- */

static dcnv4i_settings settings_of(const char *line) {
    static char copy[512]; /* the settings point into it */
    char *words[64] = {NULL};
    int count = 0;
    dcnv4i_settings settings;
    dcnv4i_request wish;
    snprintf(copy, sizeof copy, "dcnv4 bench %s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        words[count++] = word;
    assert_int_equal(dcnv4i_options_parse(count, words, &wish, &settings), DCNV4I_DONE);
    return settings;
}

static dcnv4i_scan_items axes_of(const dcnv4i_settings *settings) {
    dcnv4i_scan_items items;
    assert_int_equal(dcnv4i_scan_choose(settings, &items), DCNV4I_DONE);
    return items;
}

/* All problems can be run, and an axis has no value twice in turn. */
static void problems(void **state) {
    (void)state;
    const dcnv4i_settings settings = settings_of("--scan");
    const dcnv4i_scan_items items = axes_of(&settings);
    assert_true(items.count > 40);
    for (int i = 0; i < items.count; ++i) {
        const dcnv4i_scan_axis axis = dcnv4i_scan_axis_here(items.items[i].axis);
        assert_true(axis.count >= 1 && axis.count <= DCNV4I_SCAN_MOST);
        for (int v = 0; v < axis.count; ++v) {
            dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
            const dcnv4i_scan_problem problem = dcnv4i_scan_problem_at(&settings, &items.items[i], axis.values[v]);
            count_case();
            assert_int_equal(dcnv4i_task_lay_out(&problem.task, "it", layouts), DCNV4I_DONE);
            assert_string_equal(problem.task.op->idle(&problem.task), "");
            assert_true(dcnv4i_scan_work(&problem) > 0);
            assert_true(v == 0 || axis.values[v] != axis.values[v - 1]);
        }
    }
}

static double work_at(const char *line, double value) {
    const dcnv4i_settings settings = settings_of(line);
    const dcnv4i_scan_items items = axes_of(&settings);
    assert_int_equal(items.count, 1);
    const dcnv4i_scan_problem problem = dcnv4i_scan_problem_at(&settings, &items.items[0], value);
    return dcnv4i_scan_work(&problem);
}

static void work(void **state) {
    (void)state;
    assert_true(work_at("--operator dcnv4 --scan channels", 17) == 48. * 48 * 4 * 9 * 17);
    assert_true(work_at("--operator dcnv4 --scan kernel", 17) == 24. * 24 * 289 * 16);
    assert_true(work_at("--operator dcnv4 --scan stride", 4) == 24. * 24 * 4 * 9 * 16);
    assert_true(work_at("--operator dcnv4 --scan height", 1) == 48. * 48 * 4 * 9 * 16);
    assert_true(work_at("--operator msda --scan points", 3) == 500. * 4 * 6 * 16);
    assert_true(work_at("--operator msda --scan queries", 7) == 7. * 4 * 8 * 16);
}

static void choice(void **state) {
    (void)state;
    dcnv4i_settings settings = settings_of("--scan --pass forward");
    const int all = axes_of(&settings).count;
    settings = settings_of("--scan all --operator msda");
    const int msda = axes_of(&settings).count;
    settings = settings_of("--scan=all --operator dcnv4");
    assert_int_equal(axes_of(&settings).count + msda, all);
    settings = settings_of("--scan channels,kernel --scan heads");
    assert_int_equal(axes_of(&settings).count, 4); /* both have channels */
}

/* ---- Simulated times ------------------------------------------------------------------------------------------------ */

static int64_t slow_rows; /* a problem with so many rows of value takes twice its time, */
static int64_t slow_most; /* in so many samples, the first ones */
static int64_t samples;
static bool idle; /* nothing is run: the results are 0 */

dcnv4i_exit __wrap_dcnv4i_sample_run(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4i_sampled what, int64_t repeats,
                                     double (*clock)(void), double *ms);
dcnv4i_exit __real_dcnv4i_sample_run(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4i_sampled what, int64_t repeats,
                                     double (*clock)(void), double *ms);

static dcnv4i_exit clear_results(dcnv4i_runner *runner) {
    for (int i = 0; i < runner->op->tensor_count; ++i) {
        const size_t bytes = dcnv4i_is_input(&runner->op->tensors[i]) ? 0 : runner->layouts[i].bytes;
        void *const zeros = calloc(1, bytes + 1);
        assert_non_null(zeros);
        if (runner->tensors[i].handle)
            ASSERT_SUCCESS(dcnv4_upload(runner->context, &runner->tensors[i], zeros, bytes));
        free(zeros);
    }
    return DCNV4I_DONE;
}

/* One run, which takes 1 ms for each pixel of the output. */
dcnv4i_exit __wrap_dcnv4i_sample_run(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4i_sampled what, int64_t repeats,
                                     double (*clock)(void), double *ms) {
    (void)repeats;
    const dcnv4i_exit verdict = idle ? clear_results(runner)
                                     : __real_dcnv4i_sample_run(runner, pass, what, 1, clock, ms);
    *ms = (double)runner->layouts[2].rows;
    if (runner->layouts[0].rows == slow_rows && ++samples <= slow_most)
        *ms *= 2;
    return verdict;
}

static dcnv4i_device cpu = {.name = "cpu", .named = true};

static dcnv4i_exit scan(const char *line, FILE *file, dcnv4i_scan_records *records) {
    const dcnv4i_settings settings = settings_of(line);
    const dcnv4i_scan_items items = axes_of(&settings);
    const dcnv4i_devices devices = {&cpu, 1, 1};
    *records = (dcnv4i_scan_records){NULL, 0};
    samples = 0;
    count_case();
    return dcnv4i_scan_run(&settings, &devices, &items, file, records);
}

static char *text_of(FILE *file) {
    char *const text = calloc(1, 65536);
    assert_non_null(text);
    rewind(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

#define STRIDES "--operator dcnv4 --scan stride --runs 2 "
enum { STRIDE_3 = 72 * 72, STRIDE_2 = 48 * 48 };

static void records(void **state) {
    (void)state;
    dcnv4i_scan_records found;
    FILE *const file = tmpfile();
    assert_non_null(file);
    slow_rows = STRIDE_3, slow_most = INT64_MAX;
    assert_int_equal(scan(STRIDES, file, &found), DCNV4I_DONE);
    assert_int_equal(found.count, 8); /* both passes */
    for (int64_t i = 0; i < found.count; ++i) {
        const dcnv4i_scan_record *const r = &found.items[i];
        const bool slow = i % 4 == 2;
        assert_true(r->value == (double)(i % 4 + 1));
        assert_int_equal(r->pass, i < 4 ? DCNV4_PASS_FORWARD : DCNV4_PASS_BACKWARD);
        assert_true(r->right);
        assert_true(r->error >= 0 && r->error < 1e-5);
        assert_int_equal(r->mark, slow ? DCNV4I_SCAN_CLIFF : DCNV4I_SCAN_EVEN);
        assert_true(r->ms == (slow ? 2 : 1) * 24. * 24);
        assert_true(fabs(r->ns - (slow ? 2 : 1) * 1e6 / (4 * 9 * 16)) < 1e-6);
        assert_true(fabs(r->of_base - (slow ? 2 : 1)) < 1e-12);
        assert_true(fabs(r->of_neighbours - (slow ? 2 : i % 4 == 3 ? 0.5 : 1)) < 1e-12 || i % 4 == 3);
    }
    char *const text = text_of(file);
    assert_non_null(strstr(text, "2 cliffs among 8 measurements:"));
    free(text);
    free(found.items);
}

/* What looks like a cliff is measured again: one that was noise is gone then. */
static void noise(void **state) {
    (void)state;
    dcnv4i_scan_records found;
    FILE *const file = tmpfile();
    assert_non_null(file);
    slow_rows = STRIDE_3, slow_most = 0;
    assert_int_equal(scan(STRIDES "--pass forward", file, &found), DCNV4I_DONE);
    const int64_t quiet = samples;
    free(found.items);
    slow_most = quiet; /* all of the first rounds */
    assert_int_equal(scan(STRIDES "--pass forward", file, &found), DCNV4I_DONE);
    assert_true(samples > quiet);
    assert_int_equal(found.items[2].mark, DCNV4I_SCAN_EVEN);
    free(found.items);
    fclose(file);
}

/* Times of several threads are those of all of them. */
static void threads(void **state) {
    (void)state;
    dcnv4i_scan_records found;
    FILE *const file = tmpfile();
    assert_non_null(file);
    slow_rows = 0;
    assert_int_equal(scan("--operator dcnv4 --scan softmax --pass forward --threads 3", file, &found), DCNV4I_DONE);
    assert_int_equal(found.items[0].threads, 3);
    assert_true(fabs(found.items[0].ns - 3e6 / (4 * 9 * 16)) < 1e-6);
    free(found.items);
    fclose(file);
}

static void wrong_results(void **state) {
    (void)state;
    dcnv4i_scan_records found;
    FILE *const file = tmpfile();
    assert_non_null(file);
    idle = true;
    assert_int_equal(scan("--operator dcnv4 --scan softmax", file, &found), DCNV4I_BROKEN);
    idle = false;
    assert_non_null(strstr(dcnv4i_verdict_line(), "axis softmax"));
    free(found.items);
    fclose(file);
}

/* ---- Reports -------------------------------------------------------------------------------------------------------- */

/* Moves past a JSON value; NULL if there is none. */
static const char *skip_json(const char *at) {
    at += strspn(at, " \n");
    if (*at == '"')
        return (at = strchr(at + 1, '"')) ? at + 1 : NULL; /* no escapes are expected */
    if (*at != '{' && *at != '[') {
        const size_t word = strspn(at, "0123456789.eE+-nul");
        return word ? at + word : NULL;
    }
    const char open = *at, close = open == '{' ? '}' : ']';
    for (++at; at; ++at) {
        at += strspn(at, " \n");
        if (*at == close)
            return at + 1;
        if (open == '{') {
            at = *at == '"' ? skip_json(at) : NULL;
            if (!at || *at++ != ':')
                return NULL;
        }
        at = skip_json(at);
        at = at ? at + strspn(at, " \n") : NULL;
        if (at && *at == close)
            return at + 1;
        if (!at || *at != ',')
            return NULL;
    }
    return NULL;
}

static void formats(void **state) {
    (void)state;
    static const char *const lines[] = {STRIDES "--format json", "--scan softmax,dtype --format json --runs 1"};
    dcnv4i_scan_records found;
    for (size_t i = 0; i < 2; ++i) {
        FILE *const file = tmpfile();
        assert_non_null(file);
        slow_rows = STRIDE_2, slow_most = INT64_MAX;
        assert_int_equal(scan(lines[i], file, &found), DCNV4I_DONE);
        char *const text = text_of(file);
        const char *const end = skip_json(text);
        assert_non_null(end);
        assert_string_equal(end, "\n");
        assert_non_null(
            strstr(text, i ? "\"operator\": \"msda\", \"axis\": \"dtype\", \"value\": \"bf16\""
                           : "\"value\": \"2\", \"pass\": \"forward\", \"mark\": \"cliff\", \"threads\": 1"));
        free(text);
        free(found.items);
    }
    FILE *const file = tmpfile();
    assert_non_null(file);
    assert_int_equal(scan(STRIDES "--pass backward --format csv", file, &found), DCNV4I_DONE);
    char *const text = text_of(file);
    assert_non_null(strstr(text, ",mark\ncpu,cpu,dcnv4,stride,1,backward,f32,1,"));
    assert_non_null(strstr(text, ",cliff\n"));
    free(text);
    free(found.items);
}

static void chart(void **state) {
    (void)state;
    dcnv4i_scan_records found;
    FILE *const file = tmpfile();
    assert_non_null(file);
    enter_folder();
    slow_rows = STRIDE_3, slow_most = INT64_MAX;
    assert_int_equal(scan("--scan stride,softmax --runs 1", file, &found), DCNV4I_DONE);
    assert_int_equal(dcnv4i_scan_chart_write("scan.svg", &found), DCNV4I_DONE);
    assert_int_equal(dcnv4i_outputs_commit(), DCNV4I_DONE);
    fclose(file);
    FILE *const drawn = fopen("scan.svg", "r");
    assert_non_null(drawn);
    char *const text = text_of(drawn);
    assert_non_null(strstr(text, "dcnv4 stride: stride, output 24×24"));
    assert_non_null(strstr(text, "msda softmax"));
    assert_non_null(strstr(text, ">2.0</text>"));
    assert_non_null(strstr(text, "</svg>"));
    free(text);
    free(found.items);
    leave_folder();
}

static void command(void **state) {
    (void)state;
    enter_folder();
    const command_result *result = assert_command_done("bench --scan --list --operator msda");
    assert_non_null(strstr(result->out, "msda: levels of 40×40"));
    assert_null(strstr(result->out, "dcnv4"));
    result = assert_command_done("bench --scan --list --format json");
    const char *const end = skip_json(result->out);
    assert_non_null(end);
    assert_string_equal(end, "\n");
    assert_non_null(strstr(result->out, "\"axis\": \"infinite\""));
    result = assert_command_done("bench --scan kernel --list --format csv");
    assert_string_equal(result->out, "operator,axis,values\n"
                                     "dcnv4,kernel,1×1 2×2 3×3 4×4 5×5 7×7 9×9 11×11 13×13 15×15 16×16 17×17 19×19\n");
    result = assert_command_done(
        "bench --scan softmax,threads --device cpu --runs 1 --format json --output scan.json --plot scan.svg");
    assert_string_equal(result->out, "");
    assert_true(file_exists("scan.json"));
    assert_true(file_exists("scan.svg"));
    assert_int_equal(remove("scan.json"), 0);
    assert_int_equal(remove("scan.svg"), 0);
    static const struct {
        const char *arguments, *text;
    } mistakes[] = {
        {"bench --scan nonsense", "nonsense"},
        {"bench --scan channels,nonsense", "nonsense"},
        {"bench --scan channels, ", "\"\""},
        {"bench --scan heads --operator dcnv4", "heads"},
        {"bench --scan --kernel 5", "--kernel does not go with it"},
        {"bench --scan --preset paper", "--preset does not go with it"},
        {"bench --scan --spread 2", "--spread does not go with it"},
        {"bench --scan= ", "--scan is empty"},
        {"bench --scan --list --plot scan.svg", "--list runs nothing"},
        {"bench --scan --plot scan.gif", "scan.gif"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; ++i)
        assert_command_refused(mistakes[i].arguments, 2, mistakes[i].text);
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule),          cmocka_unit_test(problems), cmocka_unit_test(work),
        cmocka_unit_test(choice),        cmocka_unit_test(records),  cmocka_unit_test(noise),
        cmocka_unit_test(threads),       cmocka_unit_test(formats),  cmocka_unit_test(chart),
        cmocka_unit_test(wrong_results), cmocka_unit_test(command),
    };
    return HARNESS_RUN(argc, argv, tests);
}
