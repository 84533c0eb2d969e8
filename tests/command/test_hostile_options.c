/* Invalid command lines: one line that names the option, exit status 2, nothing written; status 3 for a device that is
 * missing. */
#include "command_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES "--value v.npy --offset-mask om.npy --output o.npy"
#define FORWARD "forward " FILES " --groups 2 "
#define BACKWARD \
    "backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy --grad-offset-mask gom.npy"

static void good_files(void) {
    static const int64_t value_shape[4] = {1, 5, 4, 8}, row_shape[4] = {1, 5, 4, 56};
    enter_folder();
    write_tensor("v.npy", DCNV4_FLOAT32, value_shape, 1);
    write_tensor("om.npy", DCNV4_FLOAT32, row_shape, 2);
    write_tensor("go.npy", DCNV4_FLOAT32, value_shape, 3);
}

typedef struct mistake {
    const char *arguments, *text;
} mistake;

static void refuse_all(const mistake *mistakes, size_t count) {
    good_files();
    for (size_t i = 0; i < count; ++i)
        assert_command_refused(mistakes[i].arguments, 2, mistakes[i].text);
    leave_folder();
}
#define REFUSE_ALL(mistakes) refuse_all(mistakes, sizeof(mistakes) / sizeof *(mistakes))

static void words(void **state) {
    (void)state;
    static const mistake mistakes[] = {
        {"nonsense", "nonsense"},
        {"Forward", "Forward"},
        {"forwar", "forwar"},
        {"--nonsense", "--nonsense"},
        {"-x", "-x"},
        {"forward", "--value"},
        {"backward", "--value"},
        {"plot", "--value"},
        {"forward --value v.npy", "--offset-mask"},
        {"forward --value v.npy --offset-mask om.npy", "--output"},
        {"forward " FILES, "--groups"},
        {BACKWARD, "--groups"},
        {"backward --value v.npy --offset-mask om.npy --grad-value gv.npy --grad-offset-mask gom.npy --groups 2",
         "--grad-output"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-offset-mask gom.npy --groups 2",
         "--grad-value"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy --groups 2",
         "--grad-offset-mask"},
        {FORWARD "--nonsense", "--nonsense"},
        {FORWARD "--kernels 3", "--kernels"},
        {FORWARD "--kern 3", "unknown option --kern; did you mean --kernel?"},
        {FORWARD "-k 3", "unknown option -k; did you mean --kernel?"},
        {FORWARD "-k3", "unknown option -k3; did you mean --kernel?"},
        {"forward -o o.npy", "unknown option -o; did you mean --output?"},
        {"forward -o=o.npy", "unknown option -o; did you mean --output?"},
        {"forward -output o.npy", "unknown option -output; did you mean --output?"},
        {"forward --ouptut o.npy", "unknown option --ouptut; did you mean --output?"},
        {"forward --Offset_Mask om.npy", "unknown option --Offset_Mask; did you mean --offset-mask?"},
        {"backward -o o.npy", "unknown option -o; did you mean --offset-mask?"},
        {"compile -o kernels", "unknown option -o; did you mean --output?"},
        {"bench -f json", "unknown option -f; did you mean --format?"},
        {"info -j", "unknown option -j; did you mean --json?"},
        {FORWARD "-d cpu", "unknown option -d; did you mean --device?"},
        {FORWARD "-9", "unknown option -9; dcnv4 forward --help"},
        {FORWARD "-", "takes no argument \"-\""},
        {"foward", "there is no command \"foward\"; did you mean forward?"},
        {"-v", "did you mean --version?"},
        {"help nonsense", "there is no command \"nonsense\""},
        {"help foward", "did you mean forward?"},
        {"help forward backward", "backward"},
        {FORWARD "extra", "extra"},
        {FORWARD "--", "--"},
        {FORWARD "--groups 2", "--groups"},
        {FORWARD "--softmax --softmax", "--softmax"},
        {FORWARD "--softmax=1", "--softmax"},
        {FORWARD "--softmax 1", "1"},
        {FORWARD "--remove-center=no", "--remove-center"},
        {FORWARD "--kernel", "--kernel"},
        {FORWARD "--kernel=", "--kernel"},
        {FORWARD "--kernel --softmax", "--kernel"},
        {FORWARD "--grad-output go.npy", "--grad-output"},
        {FORWARD "--cases 3", "--cases"},
        {FORWARD "--json", "--json"},
        {FORWARD "--at 1,1", "--at"},
        {"info --value v.npy", "--value"},
        {"info all", "all"},
        {"info --json=1", "--json"},
        {"info --json --json", "--json"},
        {"check --output o.npy", "--output"},
    };
    REFUSE_ALL(mistakes);
}

static void numbers(void **state) {
    (void)state;
    static const mistake mistakes[] = {
        {"forward " FILES " --groups 0", "--groups"},
        {"forward " FILES " --groups -2", "--groups"},
        {"forward " FILES " --groups 2.0", "--groups"},
        {"forward " FILES " --groups 2x2", "--groups"},
        {"forward " FILES " --groups two", "--groups"},
        {"forward " FILES " --groups 0x2", "--groups"},
        {"forward " FILES " --groups +2", "--groups"},
        {"forward " FILES " --groups 2e0", "--groups"},
        {"forward " FILES " --groups 2;", "--groups"},
        {"forward " FILES " --groups 9223372036854775808", "--groups"},
        {"forward " FILES " --groups 18446744073709551618", "--groups"},
        {"forward " FILES " --groups 3", "3"},
        {"forward " FILES " --groups 9223372036854775807", "9223372036854775807"},
        {FORWARD "--kernel 0", "--kernel"},
        {FORWARD "--kernel -3", "--kernel"},
        {FORWARD "--kernel 3x", "--kernel"},
        {FORWARD "--kernel x3", "--kernel"},
        {FORWARD "--kernel 3x3x3", "--kernel"},
        {FORWARD "--kernel 3X3", "--kernel"},
        {FORWARD "--kernel 3,3", "--kernel"},
        {FORWARD "--kernel 3x0", "--kernel"},
        {FORWARD "--kernel 0x3", "--kernel"},
        {FORWARD "--kernel 3.5", "--kernel"},
        {FORWARD "--kernel 99999999999999999999", "--kernel"},
        {FORWARD "--kernel 4", "om.npy"},
        {FORWARD "--kernel 9", "9"},
        {FORWARD "--kernel 4294967296", "4294967296"},
        {FORWARD "--kernel 9223372036854775807", "9223372036854775807"},
        {FORWARD "--stride 0", "--stride"},
        {FORWARD "--stride -1", "--stride"},
        {FORWARD "--stride 1x0", "--stride"},
        {FORWARD "--stride 2", "om.npy"},
        {FORWARD "--stride one", "--stride"},
        {FORWARD "--pad -1", "--pad"},
        {FORWARD "--pad 1x-1", "--pad"},
        {FORWARD "--pad 2", "om.npy"},
        {FORWARD "--pad 0", "om.npy"},
        {FORWARD "--pad 9223372036854775807", "9223372036854775807"},
        {FORWARD "--pad one", "--pad"},
        {FORWARD "--dilation 0", "--dilation"},
        {FORWARD "--dilation -2", "--dilation"},
        {FORWARD "--dilation 9", "19"},
        {FORWARD "--dilation 9223372036854775807", "9223372036854775807"},
        {FORWARD "--dilation 2x", "--dilation"},
        {FORWARD "--offset-scale one", "--offset-scale"},
        {FORWARD "--offset-scale 1x2", "--offset-scale"},
        {FORWARD "--offset-scale 1.0.0", "--offset-scale"},
        {FORWARD "--offset-scale 0x1p3", "--offset-scale"},
        {FORWARD "--offset-scale 1e999", "--offset-scale"},
        {FORWARD "--offset-scale=", "--offset-scale"},
        {FORWARD "--offset-scale 1,5", "--offset-scale"},
        {FORWARD "--threads 0", "--threads"},
        {FORWARD "--threads -1", "--threads"},
        {FORWARD "--threads 1025", "--threads"},
        {FORWARD "--threads many", "--threads"},
        {FORWARD "--dtype f8", "--dtype"},
        {FORWARD "--dtype F32", "--dtype"},
        {FORWARD "--dtype float32", "--dtype"},
        {FORWARD "--dtype f32,f64", "--dtype"},
        {FORWARD "--dtype=", "--dtype"},
        {"check --cases 0", "--cases"},
        {"check --cases -1", "--cases"},
        {"check --cases many", "--cases"},
        {"check --seed -1", "--seed"},
        {"check --seed 1.5", "--seed"},
        {"check --dtype nonsense", "--dtype"},
        {"check --kernel 0", "--kernel"},
    };
    REFUSE_ALL(mistakes);
}

static void bench(void **state) {
    (void)state;
#define SIZE "bench --size 1x8x8 --groups 2 --group-channels 4 "
    static const mistake mistakes[] = {
        {"bench --preset nonsense", "nonsense"},
        {"bench --preset small --groups 3", "--groups"},
        {"bench --list --plot times.svg", "--list"},
        {"bench --size 0x1x1 --groups 2 --group-channels 4", "--size"},
        {"bench --size 1x1 --groups 2 --group-channels 4", "--size"},
        {"bench --size 1x8x8x8 --groups 2 --group-channels 4", "--size"},
        {"bench --size 1x8x-8 --groups 2 --group-channels 4", "--size"},
        {"bench --size 1x8x8 --groups 2", "--group-channels"},
        {"bench --size 1x8x8 --group-channels 4", "--groups"},
        {"bench --size 1x8x8 --groups 2 --group-channels 0", "--group-channels"},
        {"bench --size 1x4294967296x4294967296 --groups 2 --group-channels 4", "4294967296"},
        {"bench --value v.npy", "--value"},
        {"tune --preset nonsense", "nonsense"},
        {"tune --size 1x8x8 --groups 2", "--group-channels"},
        {"tune --dry-run=1", "--dry-run"},
        {"tune --format csv", "csv"},
        {"tune --threads 2", "--threads"},
        {"tune --runs 4", "--runs"},
        {"tune --device cpu", "--device cpu: there is nothing to tune"},
        {"tune --device cpu,reference --format json", "there is nothing to tune"},
        {SIZE "--kernel 20", "20"},
        {SIZE "--pass sideways", "--pass"},
        {SIZE "--format xml", "--format"},
        {SIZE "--runs 0", "--runs"},
        {SIZE "--spread wide", "--spread"},
        {SIZE "--threads 0", "--threads"},
        {SIZE "--dtype f8", "--dtype"},
        {SIZE "--device nonsense", "nonsense"},
        {SIZE "--output missing/times.csv", "missing/times.csv"},
        {SIZE "--plot times.gif", "times.gif"},
    };
    REFUSE_ALL(mistakes);
}

static void devices(void **state) {
    (void)state;
    good_files();
    assert_command_refused(FORWARD "--device nonsense", 2, "nonsense");
    assert_command_refused(FORWARD "--device CPU", 2, "CPU");
    assert_command_refused(FORWARD "--device cpu:0:0", 3, "cpu:0:0");
    assert_command_refused(FORWARD "--device cpu:nonsense", 3, "cpu:nonsense");
    assert_command_refused(FORWARD "--device all", 2, "all");
    assert_command_refused(FORWARD "--device reference,cpu", 2, "reference,cpu");
    assert_command_refused(FORWARD "--device reference:1", 2, "reference:1");
    assert_command_refused(FORWARD "--device=", 2, "--device");
    assert_command_refused("check --cases 1 --device nonsense", 2, "nonsense");
    assert_command_refused("check --cases 1 --device cpu:nonsense", 3, "cpu:nonsense");
    leave_folder();
}

static void output_places(void **state) {
    (void)state;
    good_files();
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("v.npy", "link.npy"), 0);
    assert_int_equal(symlink("g.npy", "to_g.npy"), 0); /* there is no g.npy yet */
    assert_int_equal(symlink("missing/g.npy", "nowhere.npy"), 0);
    assert_int_equal(symlink("loop.npy", "loop.npy"), 0);
    assert_int_equal(link("om.npy", "hard.npy"), 0);
    assert_int_equal(mkfifo("fifo.npy", 0600), 0);
    static const mistake mistakes[] = {
        {"forward --value v.npy --offset-mask om.npy --output hard.npy --groups 2", "hard.npy"},
        {"forward --value v.npy --offset-mask om.npy --output nowhere.npy --groups 2", "the folder is missing"},
        {"forward --value v.npy --offset-mask om.npy --output loop.npy --groups 2", "loop.npy"},
        {"forward --value v.npy --offset-mask om.npy --output folder/ --groups 2", "a directory"},
        {"forward --value v.npy --offset-mask om.npy --output folder/.. --groups 2", "a directory"},
        {"forward --value v.npy --offset-mask om.npy --output new/ --groups 2", "new/"},
        {"forward --value v.npy --offset-mask om.npy --output fifo.npy --groups 2", "a FIFO or pipe"},
        {"forward --value v.npy --offset-mask om.npy --output /dev/null --groups 2", "a device"},
        {"forward --value v.npy --offset-mask om.npy --output /dev/stdout --groups 2", "the file that stdout goes to"},
        {"bench --list --output /dev/stderr", "the file that stderr goes to"},
        {"bench --list --output nowhere.npy", "the folder is missing"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value to_g.npy --grad-offset-mask "
         "g.npy"
         " --groups 2",
         "the same file"},
        {"forward --value v.npy --offset-mask om.npy --output folder --groups 2", "folder"},
        {"forward --value v.npy --offset-mask om.npy --output missing/o.npy --groups 2", "missing/o.npy"},
        {"forward --value v.npy --offset-mask om.npy --output v.npy/o.npy --groups 2", "v.npy/o.npy"},
        {"forward --value v.npy --offset-mask om.npy --output v.npy --groups 2", "v.npy"},
        {"forward --value v.npy --offset-mask om.npy --output ./v.npy --groups 2", "./v.npy"},
        {"forward --value v.npy --offset-mask om.npy --output folder/../om.npy --groups 2", "om.npy"},
        {"forward --value v.npy --offset-mask om.npy --output link.npy --groups 2", "link.npy"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value go.npy --grad-offset-mask "
         "gom.npy"
         " --groups 2",
         "go.npy"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value g.npy --grad-offset-mask g.npy"
         " --groups 2",
         "g.npy"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value g.npy --grad-offset-mask "
         "./g.npy"
         " --groups 2",
         "g.npy"},
        {"backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy"
         " --grad-offset-mask missing/gom.npy --groups 2",
         "missing/gom.npy"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; ++i)
        assert_command_refused(mistakes[i].arguments, 2, mistakes[i].text);
    /* The inputs are as they were. */
    static const int64_t value_shape[4] = {1, 5, 4, 8};
    uint64_t seed = 1;
    double *numbers = read_tensor("v.npy", "<f4", value_shape);
    for (int i = 0; i < 160; ++i)
        assert_true(numbers[i] == (float)draw_between(&seed, -1, 1));
    free(numbers);
    leave_folder();
}

static void assert_text(const char *name, const char *expected) {
    char bytes[64] = "";
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    assert_true(fread(bytes, 1, sizeof bytes - 1, file) > 0);
    fclose(file);
    assert_string_equal(bytes, expected);
}

/* A result that cannot be written whole is not written at all, and what was there before stays. */
static void full_disks(void **state) {
    (void)state;
    good_files();
    write_file("o.npy", "before", 6);
    write_file("gom.npy", "before", 6);
    assert_command_refused(FORWARD "--kernel 7", 2, "7");
#ifndef COUNTS_COVERAGE /* its counters are written to files, too */
    limit_file_size(512);
    assert_command_refused(FORWARD, 1, "o.npy");
    assert_command_refused(BACKWARD " --groups 2", 1, "npy");
    limit_file_size(1024); /* enough for grad_value, not for grad_offset_mask: neither is written */
    assert_command_refused(BACKWARD " --groups 2", 1, "gom.npy");
    limit_file_size(0);
#endif
    assert_text("o.npy", "before");
    assert_text("gom.npy", "before");
    assert_true(!file_exists("gv.npy"));
    leave_folder();
}

/* Without arguments the command prints its usage to stderr. */
static void nothing(void **state) {
    (void)state;
    const command_result *result = run_command("");
    assert_int_equal(result->status, 2);
    assert_non_null(strstr(result->err, "forward"));
    assert_string_equal(result->out, "");
    count_case();
}

/* With stdout closed, a command that prints fails and says so. A silent command, or closed stdin or stderr, does not
 * fail. */
static void closed_streams(void **state) {
    (void)state;
    static const char *const talk[] = {"--version", "--help", "info", "bench --list", "check --device cpu --cases 1"};
    good_files();
    for (int bits = 0; bits < 8; ++bits) {
        close_descriptors(bits);
        for (size_t i = 0; i < sizeof talk / sizeof *talk; ++i) {
            const command_result *result = run_command(talk[i]);
            if (result->status != (bits & 2 ? 1 : 0))
                fail_msg("dcnv4 %s ended with %d without %d", talk[i], result->status, bits);
            assert_string_equal(result->err, (bits & 6) == 2 ? "dcnv4: stdout: Bad file descriptor\n" : "");
            assert_true(!*result->out == !!(bits & 2));
            count_case();
        }
        assert_int_equal(run_command(FORWARD)->status, 0);
        assert_true(file_exists("o.npy"));
        remove("o.npy");
    }
    close_descriptors(0);
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_streams), cmocka_unit_test(words),   cmocka_unit_test(numbers),
        cmocka_unit_test(bench),          cmocka_unit_test(devices), cmocka_unit_test(output_places),
        cmocka_unit_test(full_disks),     cmocka_unit_test(nothing),
    };
    return HARNESS_RUN(argc, argv, tests);
}
