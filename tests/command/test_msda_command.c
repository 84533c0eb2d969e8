/* The command with --operator msda: units and tables that say the same, what it refuses, its reports and pictures. */
#include "command_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MSDA "--operator msda --value v.npy --locations l.npy --weights w.npy "
#define LEVELS "--levels 4x4,2x2 "
#define FORWARD "forward " MSDA LEVELS "--output o.npy --device reference "
#define BACKWARD "backward " MSDA LEVELS "--grad-output go.npy --grad-value gv.npy --grad-locations gl.npy "

/* Writes a tensor of random numbers between −1 and 1, or with `numbers` of those. */
static void write_floats(const char *name, const char *shape, size_t count, const double *numbers, uint64_t seed) {
    char header[256];
    double *const data = allocate(count * sizeof *data);
    for (size_t i = 0; i < count; ++i)
        data[i] = numbers ? numbers[i] : draw_between(&seed, -1, 1);
    snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }", shape);
    write_npy(name, 1, header, data, count * sizeof *data);
    free(data);
}

static void write_integers(const char *name, const char *shape, const int64_t *numbers, size_t count) {
    char header[256];
    snprintf(header, sizeof header, "{'descr': '<i8', 'fortran_order': False, 'shape': (%s), }", shape);
    write_npy(name, 1, header, numbers, count * sizeof *numbers);
}

enum { QUERIES = 5, HEADS = 2, POINTS = 2, CHANNELS = 3, ROWS = QUERIES * HEADS * 2 * POINTS };

/* N = 1, S = 20 in levels of 4×4 and 2×2, M = 2, D = 3, Q = 5, K = 2. */
static void good_files(void) {
    static const int64_t shapes[] = {4, 4, 2, 2}, starts[] = {0, 16};
    enter_folder();
    write_floats("v.npy", "1, 20, 2, 3", 20 * HEADS * CHANNELS, NULL, 1);
    write_floats("l.npy", "1, 5, 2, 2, 2, 2", ROWS * 2, NULL, 2);
    write_floats("w.npy", "1, 5, 2, 2, 2", ROWS, NULL, 3);
    write_floats("go.npy", "1, 5, 6", QUERIES * HEADS * CHANNELS, NULL, 4);
    write_integers("ss.npy", "2, 2", shapes, 4);
    write_integers("ls.npy", "2,", starts, 2);
}

static void read_all(const char *name, unsigned char bytes[4096], size_t *count) {
    FILE *const file = fopen(name, "rb");
    assert_non_null(file);
    *count = fread(bytes, 1, 4096, file);
    fclose(file);
    assert_int_equal(unlink(name), 0);
}

/* Runs forward with both, which must write the same file. */
static void assert_same(const char *one, const char *other) {
    static unsigned char first[4096], second[4096];
    size_t count, other_count;
    assert_command_done(one);
    read_all("o.npy", first, &count);
    assert_command_done(other);
    read_all("o.npy", second, &other_count);
    assert_int_equal(count, other_count);
    assert_memory_equal(first, second, count);
}

/* Locations in places, as multiples of 1/4, and what they are in the other units: all exact. */
static void units_and_tables(void **state) {
    (void)state;
    static double places[ROWS * 2], normalized[ROWS * 2], offsets[ROWS * 2], boxes[ROWS * 2];
    double points[QUERIES * 2], box[QUERIES * 4];
    uint64_t seed = 9;
    good_files();
    for (int q = 0; q < QUERIES; ++q)
        for (int i = 0; i < 4; ++i) {
            box[4 * q + i] = i < 2 ? (double)draw_integer(&seed, 0, 4) / 4 : 0.5;
            points[2 * q + i % 2] = box[4 * q + i % 2];
        }
    for (int i = 0; i < ROWS * 2; ++i) {
        const int q = i / (HEADS * 2 * POINTS * 2);
        const double size = i / (POINTS * 2) % 2 ? 2 : 4, reference = points[2 * q + i % 2];
        places[i] = (double)draw_integer(&seed, -8, 20) / 4;
        normalized[i] = (places[i] + 0.5) / size;
        offsets[i] = places[i] + 0.5 - reference * size;
        boxes[i] = (normalized[i] - reference) / (0.5 * 0.5 / POINTS);
    }
    write_floats("p.npy", "1, 5, 2, 4, 2", ROWS * 2, places, 0);
    write_floats("l.npy", "1, 5, 2, 2, 2, 2", ROWS * 2, normalized, 0);
    write_floats("off.npy", "1, 5, 2, 4, 2", ROWS * 2, offsets, 0);
    write_floats("box.npy", "1, 5, 2, 4, 2", ROWS * 2, boxes, 0);
    write_floats("r.npy", "1, 5, 2", QUERIES * 2, points, 0);
    write_floats("rb.npy", "1, 5, 1, 4", QUERIES * 4, box, 0);
#define OTHER(locations)                                            \
    "forward --operator msda --value v.npy --weights w.npy " LEVELS \
    "--output o.npy --device reference --locations " locations
    assert_same(FORWARD, OTHER("p.npy --unit places"));
    assert_same(FORWARD, OTHER("off.npy --unit offsets --references r.npy"));
    assert_same(FORWARD, OTHER("box.npy --unit box_offsets --references rb.npy"));
    assert_same(FORWARD, FORWARD "--levels-in-buffers");
    assert_same(FORWARD, FORWARD "--starts 0,16 --points 2 --heads 2");
    assert_same(FORWARD, FORWARD "--points 2,2");
    assert_same(FORWARD,
                "forward " MSDA "--spatial-shapes ss.npy --level-start-index ls.npy --output o.npy --device reference");
    leave_folder();
}

/* Gradients have the shapes of the files. */
static void shapes_of_gradients(void **state) {
    (void)state;
    good_files();
    assert_command_done(BACKWARD "--grad-weights gw.npy");
    static const char *const files[][2] = {
        {"gv.npy", "(1, 20, 2, 3)"}, {"gl.npy", "(1, 5, 2, 2, 2, 2)"}, {"gw.npy", "(1, 5, 2, 2, 2)"}};
    for (int i = 0; i < 3; ++i) {
        static unsigned char bytes[4096];
        size_t count;
        read_all(files[i][0], bytes, &count);
        bytes[127] = '\0';
        assert_non_null(strstr((const char *)bytes + 10, files[i][1]));
    }
    leave_folder();
}

/* A point of a box that is not finite does not count: its gradient is 0, not 0 times the box. */
static void boxes_that_are_not_finite(void **state) {
    (void)state;
    static unsigned char bytes[4096];
    double box[QUERIES * 4];
    size_t count;
    good_files();
    for (int i = 0; i < QUERIES * 4; ++i)
        box[i] = i % 4 < 2 ? 0.5 : i % 3 == 0 ? INFINITY : NAN;
    write_floats("rb.npy", "1, 5, 4", QUERIES * 4, box, 0);
    assert_command_done(BACKWARD
                        "--grad-weights gw.npy --unit box_offsets --references rb.npy --grad-references gr.npy "
                        "--device reference");
    read_all("gl.npy", bytes, &count);
    assert_int_equal(count, 128 + ROWS * 2 * sizeof(double));
    for (size_t i = 128; i < count; ++i)
        assert_int_equal(bytes[i], 0);
    leave_folder();
}

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *arguments, *text;
    } mistakes[] = {
        {"forward " MSDA "--output o.npy", "--levels"},
        {"forward --operator msda --value v.npy --locations l.npy " LEVELS "--output o.npy", "--weights"},
        {"forward --operator nonsense --value v.npy", "--operator is \"nonsense\"; dcnv4 or msda"},
        {"forward --value v.npy --locations l.npy", "--locations is an option of --operator msda"},
        {FORWARD "--groups 2", "--groups is an option of --operator dcnv4"},
        {FORWARD "--level 2x2", "did you mean --levels?"},
        {FORWARD "--starts 0", "--starts has 1 levels, there are 2"},
        {FORWARD "--starts 0,15", "15"},
        {FORWARD "--starts 0,17", "17"},
        {FORWARD "--starts 0,-1", "--starts is \"0,-1\""},
        {FORWARD "--points 3", "l.npy has 4 points of a head; --points of 2 levels are 6"},
        {FORWARD "--points 1,2,1", "--points has 3 levels, there are 2"},
        {FORWARD "--points 1,3", "l.npy is [1, 5, 2, 2, 2, 2]"},
        {FORWARD "--heads 3", "v.npy has 2 heads; --heads is 3"},
        {FORWARD "--packed", "--weights w.npy is not used with --packed"},
        {FORWARD "--unit offsets", "--references is missing"},
        {FORWARD "--references v.npy", "--references v.npy is not used"},
        {FORWARD "--unit pixels", "--unit is \"pixels\""},
        {FORWARD "--spatial-shapes ss.npy", "say the same"},
        {FORWARD "--location-dtype f32", "location_dtype"},
        {"forward " MSDA "--levels 4x4,2x3 --output o.npy", "v.npy"},
        {"forward " MSDA "--levels 4x4 --output o.npy", "l.npy is [1, 5, 2, 2, 2, 2]; [1, 5, 2, 1, 4, 2] is needed"},
        {"forward " MSDA "--levels 4x4,2x --output o.npy", "--levels is \"4x4,2x\""},
        {"forward " MSDA "--levels 4x4,,2x2 --output o.npy", "--levels"},
        {"forward " MSDA "--levels 9223372036854775807x2,2x2 --output o.npy", "9223372036854775807x2"},
        {"forward " MSDA "--levels 4x4,99999999999999999999x2 --output o.npy", "--levels"},
        {"forward --operator msda --value l.npy --locations l.npy --weights w.npy " LEVELS "--output o.npy",
         "l.npy is [1, 5, 2, 2, 2, 2]; [N, S, M, D] is needed"},
        {"forward --operator msda --value v.npy --locations v.npy --weights w.npy " LEVELS "--output o.npy",
         "v.npy is [1, 20, 2, 3]; [N, Q, M, P, 2]"},
        {"forward --operator msda --value v.npy --locations l.npy --weights go.npy " LEVELS "--output o.npy",
         "go.npy is [1, 5, 6]; [1, 5, 2, 4] is needed"},
        {"forward --operator msda --value go.npy --locations l.npy --weights w.npy " LEVELS "--output o.npy",
         "--heads"},
        {"forward " MSDA LEVELS "--output l.npy", "l.npy is the file of --locations l.npy"},
        {BACKWARD, "--grad-weights is missing"},
        {BACKWARD "--grad-weights gl.npy", "are the same file"},
        {BACKWARD "--grad-weights gw.npy --grad-references gr.npy", "--grad-references gr.npy is not used"},
        {"check --operator msda --value v.npy --locations l.npy " LEVELS, "--weights is missing"},
        {"check --operator msda --preset nonsense",
         "known are deformable_detr, dino, rt_detr, mask2former, bevformer, d_fine"},
        {"bench --operator msda --preset paper", "known are deformable_detr"},
        {"bench --operator msda --levels 4x4 --heads 2", "--head-channels is missing"},
        {"bench --operator msda --heads 2", "--heads goes with --levels"},
        {"bench --operator msda --levels 0x4 --heads 2 --head-channels 4 --points 1", "0 places"},
        {"bench --operator msda --levels 4x4 --heads 2 --head-channels 4 --points 0", "0 points"},
        {"compile --operator msda --target sm_90 --output cache", "--heads is missing"},
        {"compile --operator msda --target cpu --preset d_fine --output cache", "does not compile"},
        {"tune --operator msda --preset d_fine --device cpu", "there is nothing to tune"},
    };
    good_files();
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; ++i)
        assert_command_refused(mistakes[i].arguments, 2, mistakes[i].text);
    leave_folder();
}

/* Tables of levels that are no such tables. */
static void hostile_tables(void **state) {
    (void)state;
    static const int64_t good[] = {4, 4, 2, 2}, negative[] = {4, 4, -2, 2}, huge[] = {INT64_MAX, INT64_MAX, 2, 2};
    static const int64_t many[130] = {1};
    static const char line[] = "forward " MSDA "--spatial-shapes t.npy --output o.npy";
    good_files();
    assert_command_refused(line, 2, "t.npy");
    write_integers("t.npy", "4,", good, 4);
    assert_command_refused(line, 2, "t.npy is [4]; [L, 2] is needed");
    write_integers("t.npy", "1, 4", good, 4);
    assert_command_refused(line, 2, "t.npy is [1, 4]; [L, 2] is needed");
    write_integers("t.npy", "0, 2", good, 0);
    assert_command_refused(line, 2, "t.npy has 0 levels; 1 to 64");
    write_integers("t.npy", "65, 2", many, 130);
    assert_command_refused(line, 2, "t.npy has 65 levels; 1 to 64");
    write_integers("t.npy", "2, 2", negative, 4);
    assert_command_refused(line, 2, "t.npy has -2 for level 1");
    write_integers("t.npy", "2, 2", huge, 4);
    assert_command_refused(line, 2, "larger than can be addressed");
    write_integers("t.npy", "2, 2", good, 3);
    assert_command_refused(line, 2, "t.npy is cut short");
    write_floats("t.npy", "2, 2", 4, NULL, 1);
    assert_command_refused(line, 2, "t.npy holds \"<f8\"; int64 (\"<i8\") is needed");
    write_npy("t.npy", 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }", good, 16);
    assert_command_refused(line, 2, "t.npy holds \"<i4\"; int64");
    write_npy("t.npy", 1, "{'descr': '>i8', 'fortran_order': False, 'shape': (2, 2), }", good, 32);
    assert_command_refused(line, 2, "t.npy is big-endian");
    assert_command_refused("forward --operator msda --value ss.npy --locations l.npy --weights w.npy " LEVELS
                           "--output o.npy",
                           2, "ss.npy holds \"<i8\"; float16");
    write_integers("t.npy", "3,", good, 3);
    assert_command_refused("forward " MSDA LEVELS "--level-start-index t.npy --output o.npy", 2,
                           "t.npy has 3 levels, there are 2");
    leave_folder();
}

static void reports(void **state) {
    (void)state;
    enter_folder();
    static const char
        size[] = "bench --operator msda --levels 4x5,2x3 --points 3,1 --heads 2 --head-channels 4 --device cpu ";
    char line[512];
    snprintf(line, sizeof line, "%s--list", size);
    assert_string_equal(assert_command_done(line)->out, "1×26 · 2×4 · 2×3,1 of 26\n");
    snprintf(line, sizeof line, "%s--runs 1 --queries 9 --batch 2 --format json", size);
    const char *const json = assert_command_done(line)->out;
    assert_non_null(strstr(json,
                           "\"dtype\": \"f32\", \"operator\": \"msda\", \"batch\": 2, \"queries\": 9, \"places\": 26, "
                           "\"heads\": 2, \"head_channels\": 4, \"levels\": [[4, 5], [2, 3]], \"points\": [3, 1], "));
    assert_non_null(strstr(json, "\"pass\": \"backward\""));
    assert_non_null(strstr(json, "\"floor_ms\": "));
    snprintf(line, sizeof line, "%s--runs 1 --format csv --output t.csv --plot t.svg --packed --softmax", size);
    assert_command_done(line);
    assert_true(file_exists("t.csv") && file_exists("t.svg"));
    const char *const
        list = assert_command_done("bench --operator msda --list --format csv --preset deformable_detr,d_fine")->out;
    assert_non_null(strstr(list, "\nf32,1,17821,17821,8,32,100x134 50x67 25x34 13x17,4 4 4 4\n"));
    assert_non_null(strstr(list, "\nf32,1,300,8400,8,32,80x80 40x40 20x20,3 6 3\n"));
    leave_folder();
}

static void check(void **state) {
    (void)state;
    const char *const out = assert_command_done("check --operator msda --cases 40 --seed 3 --device reference,cpu")
                                ->out;
    assert_non_null(strstr(out, "grad_references"));
    assert_non_null(strstr(out, " ok"));
    good_files();
    assert_non_null(strstr(assert_command_done("check " MSDA LEVELS "--device cpu")->out, " ok"));
    leave_folder();
}

static void plot(void **state) {
    (void)state;
    static const struct {
        const char *arguments, *text;
    } mistakes[] = {
        {"", "--query Q or --at Y,X is needed"},     {"--query 5", "--query 5 is not there; there are 5 queries"},
        {"--query 1x", "--query is \"1x\""},         {"--query -1", "--query"},
        {"--at 4,0", "--at 4,0 is outside"},         {"--at 1", "--at is \"1\""},
        {"--query 99999999999999999999", "--query"}, {"--query 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0", "more than 16"},
    };
    good_files();
    const command_result *const first = run_command("plot " MSDA LEVELS "--query 0 --output p.png");
    const bool has_png = first->status != 3;
    assert_int_equal(first->status, has_png ? 0 : 3);
    count_case();
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes && has_png; ++i) {
        char line[512];
        snprintf(line, sizeof line, "plot " MSDA LEVELS "--output q.png %s", mistakes[i].arguments);
        assert_command_refused(line, 2, mistakes[i].text);
    }
    if (has_png) {
        assert_command_done("plot " MSDA LEVELS "--query 1,3 --at 2,2 --softmax --image p.png --output q.png");
        assert_command_refused("plot " MSDA LEVELS "--query 1 --image p.png --output p.png", 2, "is an input");
    }
    leave_folder();
}

static void help(void **state) {
    (void)state;
    static const char *const commands[] = {"forward", "backward", "check", "bench", "plot", "compile", "tune"};
    char line[64];
    assert_non_null(strstr(assert_command_done("--help")->out, "--operator msda   multi-scale deformable attention\n"));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        snprintf(line, sizeof line, "%s --operator msda --help", commands[i]);
        assert_non_null(strstr(assert_command_done(line)->out, "\nMSDA:\n"));
        assert_null(strstr(assert_command_done(line)->out, "--groups"));
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_and_tables),
        cmocka_unit_test(shapes_of_gradients),
        cmocka_unit_test(boxes_that_are_not_finite),
        cmocka_unit_test(refusals),
        cmocka_unit_test(hostile_tables),
        cmocka_unit_test(reports),
        cmocka_unit_test(check),
        cmocka_unit_test(plot),
        cmocka_unit_test(help),
    };
    return HARNESS_RUN(argc, argv, tests);
}
