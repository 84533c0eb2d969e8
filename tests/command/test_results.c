/* The dcnv4 command on valid input: its files hold what the library computes, in every dtype. */
#include "../support/test_layer.h"
#include "command_run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The small problem of the library's tests, as files of a dtype, and as options. */
static const char
    options[] = "--groups 3 --kernel 3x2 --pad 2x1 --stride 1x2 --dilation 2x1 --offset-scale 0.5 --softmax";

static dcnv4_problem the_problem(int32_t dtype) {
    dcnv4_problem problem = small_problem(dtype);
    problem.offset_scale = 0.5;
    problem.softmax = 1;
    return problem;
}

static const char *descr_of(int32_t dtype) {
    return dtype == DCNV4_FLOAT64 ? "<f8" : dtype == DCNV4_FLOAT16 ? "<f2" : "<f4";
}

static void shape_of(const test_layer *layer, int tensor, int64_t shape[4]) {
    const bool input = tensor == VALUE || tensor == GRAD_VALUE;
    shape[0] = layer->problem.batch;
    shape[1] = input ? layer->problem.height : layer->sizes.output_height;
    shape[2] = input ? layer->problem.width : layer->sizes.output_width;
    shape[3] = layer_row(layer, tensor);
}

/* Writes the inputs as v.npy, om.npy and go.npy. */
static void write_inputs(const test_layer *layer) {
    static const struct {
        int tensor;
        const char *name;
    } files[] = {{VALUE, "v.npy"}, {OFFSET_MASK, "om.npy"}, {GRAD_OUTPUT, "go.npy"}};
    for (int i = 0; i < 3; ++i) {
        char header[256];
        int64_t s[4];
        shape_of(layer, files[i].tensor, s);
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }",
                 descr_of(layer_dtype(layer, files[i].tensor)), (int)s[0], (int)s[1], (int)s[2], (int)s[3]);
        write_npy(files[i].name, 1, header, layer->tensors[files[i].tensor], layer->bytes[files[i].tensor]);
    }
}

/* Fails unless the file holds exactly the numbers of the layer's tensor. */
static void assert_file(const char *name, const test_layer *layer, int tensor) {
    int64_t shape[4];
    shape_of(layer, tensor, shape);
    double *numbers = read_tensor(name, descr_of(layer_dtype(layer, tensor)), shape),
           *expected = layer_read(layer, tensor);
    assert_close(numbers, expected, layer_pixels(layer, tensor) * layer_row(layer, tensor), 0, name);
    free(numbers);
    free(expected);
    assert_int_equal(unlink(name), 0);
}

static void run_both(const char *more) {
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "forward --value v.npy --offset-mask om.npy --output o.npy %s %s", options,
             more);
    assert_command_done(arguments);
    snprintf(arguments, sizeof arguments,
             "backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy"
             " --grad-offset-mask gom.npy %s %s",
             options, more);
    assert_command_done(arguments);
}

static void assert_files(const test_layer *layer) {
    assert_file("o.npy", layer, OUTPUT);
    assert_file("gv.npy", layer, GRAD_VALUE);
    assert_file("gom.npy", layer, GRAD_OFFSET_MASK);
}

/* The library's results, to the bit, on each device by its name. */
static void every_dtype(void **state) {
    (void)state;
    static const int32_t dtypes[] = {DCNV4_FLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64};
    enter_folder();
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int d = 0; d < 3 && on_host(*device); ++d) {
            const dcnv4_problem problem = the_problem(dtypes[d]);
            char more[64];
            test_layer layer = layer_make(&problem);
            layer_fill(&layer, 67, 2);
            layer_both(&layer, *device);
            write_inputs(&layer);
            snprintf(more, sizeof more, "--device %s", *device);
            run_both(more);
            assert_files(&layer);
            snprintf(more, sizeof more, "--device=%s --threads=3", *device);
            run_both(more);
            assert_files(&layer);
            layer_free(&layer);
        }
    leave_folder();
}

/* --dtype converts the inputs; bfloat16 results are float32 files. */
static void conversions(void **state) {
    (void)state;
    static const char *const names[] = {"f32", "f16", "bf16", "f64"};
    enter_folder();
    for (EACH_DTYPE(from))
        for (EACH_DTYPE(to)) {
            if (from == DCNV4_BFLOAT16)
                continue;
            const dcnv4_problem problem = the_problem(from);
            test_layer given = layer_make(&problem);
            layer_fill(&given, 71, 2);
            test_layer layer = layer_as(&given, to);
            layer_both(&layer, "reference");
            write_inputs(&given);
            char more[64];
            snprintf(more, sizeof more, "--device reference --dtype %s", names[to]);
            run_both(more);
            assert_files(&layer);
            layer_free(&given);
            layer_free(&layer);
        }
    leave_folder();
}

/* A float32 offset_mask beside a float16 value is used as it is; --offset-mask-dtype keeps it so beside bfloat16. */
static void float32_offsets(void **state) {
    (void)state;
    dcnv4_problem problem = the_problem(DCNV4_FLOAT16);
    problem.offset_mask_dtype = DCNV4_FLOAT32;
    test_layer layer = layer_make(&problem);
    layer_fill(&layer, 73, 2);
    layer_both(&layer, "cpu");
    enter_folder();
    write_inputs(&layer);
    run_both("--device cpu");
    assert_files(&layer);
    test_layer narrow = layer_as(&layer, DCNV4_BFLOAT16);
    layer_both(&narrow, "cpu");
    run_both("--device cpu --dtype bf16 --offset-mask-dtype f32");
    assert_files(&narrow);
    assert_command_refused("forward --value om.npy --offset-mask v.npy --output o.npy --groups 1", 2, "--dtype says");
    leave_folder();
    layer_free(&layer);
    layer_free(&narrow);
}

/* Versions 2 and 3 of the format, quotes of the other kind, keys in another order, and blanks are all the same file. */
static void every_way_to_write_a_header(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 3, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 3, 2)}",
        "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (1, 3, 3, 2)}",
        "{'shape':(1,3,3,2),'fortran_order':False,'descr':'<f4'}",
        "  { 'shape' : ( 1 , 3 , 3 , 2 , ) , 'fortran_order' : False , 'descr' : '<f4' , }  ",
    };
    static const float data[18] = {1, 2, 3};
    static const int64_t row_shape[4] = {1, 3, 3, 32};
    enter_folder();
    write_tensor("om.npy", DCNV4_FLOAT32, row_shape, 1);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; ++i)
        for (int version = 1; version <= 3; ++version) {
            write_npy("v.npy", version, headers[i], data, sizeof data);
            assert_command_done("forward --value v.npy --offset-mask om.npy --output o.npy --groups 1");
        }
    leave_folder();
}

/* Tensors without elements take no time, however many rows or images they have. */
static void empty_tensors(void **state) {
    (void)state;
    enum { MANY = 1000000000 };
    static const int64_t sizes[][3] = {{0, 3, 3}, {1, (int64_t)MANY * MANY / 64, 0}, {(int64_t)MANY * MANY / 64, 0, 3}};
    static const char *const devices[] = {"cpu", "reference"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int d = 0; d < 2; ++d) {
            const int64_t value_shape[4] = {sizes[i][0], sizes[i][1], sizes[i][2], 2};
            const int64_t row_shape[4] = {sizes[i][0], sizes[i][1], sizes[i][2], 8};
            char arguments[256];
            enter_folder();
            write_tensor("v.npy", DCNV4_FLOAT32, value_shape, 1);
            write_tensor("om.npy", DCNV4_FLOAT32, row_shape, 1);
            write_tensor("go.npy", DCNV4_FLOAT32, value_shape, 1);
            snprintf(
                arguments, sizeof arguments,
                "forward --value v.npy --offset-mask om.npy --output o.npy --kernel 1 --pad 0 --groups 1 --device %s",
                devices[d]);
            assert_command_done(arguments);
            snprintf(arguments, sizeof arguments,
                     "backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy"
                     " --grad-offset-mask gom.npy --kernel 1 --pad 0 --groups 1 --device %s",
                     devices[d]);
            assert_command_done(arguments);
            free(read_tensor("o.npy", "<f4", value_shape));
            free(read_tensor("gv.npy", "<f4", value_shape));
            free(read_tensor("gom.npy", "<f4", row_shape));
            leave_folder();
        }
}

static void help_and_version(void **state) {
    (void)state;
    static const char *const commands[] = {"info", "forward", "backward", "check", "bench", "plot", "compile", "tune"};
    char text[64];
    snprintf(text, sizeof text, "dcnv4 %s\n", dcnv4_version());
    assert_string_equal(assert_command_done("--version")->out, text);
    char whole[65536];
    strcpy(whole, assert_command_done("--help")->out);
    assert_string_equal(assert_command_done("help")->out, whole);
    assert_string_equal(assert_command_done("-h")->out, whole);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        assert_non_null(strstr(assert_command_done("--help")->out, commands[i]));
        snprintf(text, sizeof text, "%s --help", commands[i]);
        strcpy(whole, assert_command_done(text)->out);
        assert_non_null(strstr(whole, commands[i]));
        static const char *const ways[][2] = {
            {"help ", ""}, {"--help ", ""}, {"-h ", ""}, {"", " -h"}, {"", " --nonsense --help"}};
        for (size_t way = 0; way < sizeof ways / sizeof *ways; ++way) {
            snprintf(text, sizeof text, "%s%s%s", ways[way][0], commands[i], ways[way][1]);
            assert_string_equal(assert_command_done(text)->out, whole);
        }
    }
}

static void info(void **state) {
    (void)state;
    char line[128];
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info device = DCNV4_DEVICE_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_device_info_get(i, &device));
        assert_non_null(strstr(assert_command_done("info")->out, device.name));
        snprintf(line, sizeof line, "\"name\": \"%s\"", device.name);
        assert_non_null(strstr(assert_command_done("info --json")->out, line));
    }
}

static void check(void **state) {
    (void)state;
    const command_result *result = assert_command_done("check --cases 8 --seed 5");
    assert_non_null(strstr(result->out, "cpu"));
    assert_non_null(strstr(result->out, "ok"));
    assert_command_done("check --cases 3 --device cpu --dtype bf16 --threads 2");
    /* With tensors: these, on every device. */
    enter_folder();
    const dcnv4_problem problem = the_problem(DCNV4_FLOAT16);
    test_layer layer = layer_make(&problem);
    layer_fill(&layer, 73, 2);
    write_inputs(&layer);
    char arguments[512];
    snprintf(arguments, sizeof arguments, "check --value v.npy --offset-mask om.npy %s", options);
    result = assert_command_done(arguments);
    assert_non_null(strstr(result->out, "reference"));
    assert_non_null(strstr(result->out, "cpu"));
    layer_free(&layer);
    leave_folder();
}

static void bench(void **state) {
    (void)state;
    enter_folder();
    static const char size[] = "bench --size 1x8x8 --groups 2 --group-channels 4 --runs 1";
    char arguments[256];
    assert_non_null(strstr(assert_command_done(size)->out, "cpu"));
    snprintf(arguments, sizeof arguments, "%s --format json --device all --pass backward", size);
    assert_non_null(strstr(assert_command_done(arguments)->out, "\"pass\": \"backward\""));
    snprintf(arguments, sizeof arguments, "%s --format csv --output times.csv --dtype bf16", size);
    assert_string_equal(assert_command_done(arguments)->out, "");
    assert_true(file_exists("times.csv"));
    snprintf(arguments, sizeof arguments, "%s --plot times.svg", size);
    assert_command_done(arguments);
    assert_true(file_exists("times.svg"));
    leave_folder();
}

static void problems_of_bench(void **state) {
    (void)state;
    enter_folder();
    static const char *const words = "1×8×9 · 2×4\n";
    const command_result *result = assert_command_done("bench --list --size 1x8x9 --groups 2 --group-channels 4");
    assert_string_equal(result->out, words);
    result = assert_command_done("bench --list --preset paper --format csv --dtype f16");
    assert_non_null(strstr(result->out, "\nf16,64,56,56,4,32,3,3\n"));
    result = assert_command_done("bench --list --preset detection,paper --format json --kernel 5x3");
    assert_non_null(strstr(result->out, "{\"dtype\": \"f32\", \"size\": [1, 200, 320], \"groups\": 4, "
                                        "\"group_channels\": 16, \"kernel\": [5, 3]},\n"));
    assert_command_done("bench --list --output problems.csv --format csv");
    assert_true(file_exists("problems.csv"));
    leave_folder();
}

static void longest_output_name(void **state) {
    (void)state;
    enter_folder();
    char name[NAME_MAX + 1], arguments[NAME_MAX + 128];
    memset(name, 'o', NAME_MAX);
    memcpy(name + NAME_MAX - 4, ".csv", sizeof ".csv");
    snprintf(arguments, sizeof arguments, "bench --size 1x4x4 --groups 1 --group-channels 4 --runs 1 --output %s",
             name);
    assert_command_done(arguments);
    assert_true(file_exists(name));
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype),
        cmocka_unit_test(conversions),
        cmocka_unit_test(float32_offsets),
        cmocka_unit_test(every_way_to_write_a_header),
        cmocka_unit_test(empty_tensors),
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(info),
        cmocka_unit_test(check),
        cmocka_unit_test(bench),
        cmocka_unit_test(problems_of_bench),
        cmocka_unit_test(longest_output_name),
    };
    return HARNESS_RUN(argc, argv, tests);
}
