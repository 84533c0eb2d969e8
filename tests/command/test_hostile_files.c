/* Files that are not tensors, or tensors that do not fit: each is refused with one line that names the file, and exit
 * status 2. */
#include "command_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The problem of the good files: D = 4, P = 56. */
static const int64_t value_shape[4] = {1, 5, 4, 8}, row_shape[4] = {1, 5, 4, 56};
enum { VALUE_BYTES = 5 * 4 * 8 * 4 };

static void good_files(void) {
    enter_folder();
    write_tensor("v.npy", DCNV4_FLOAT32, value_shape, 1);
    write_tensor("om.npy", DCNV4_FLOAT32, row_shape, 2);
    write_tensor("go.npy", DCNV4_FLOAT32, value_shape, 3);
}

/* Passes bad.npy in place of each input in turn. It is refused with --dtype, too. */
static void assert_bad_refused(const char *text) {
    static const char *const ways[] = {
        "forward --value bad.npy --offset-mask om.npy --output o.npy --groups 2",
        "backward --value v.npy --offset-mask om.npy --grad-output bad.npy --grad-value gv.npy --grad-offset-mask "
        "gom.npy"
        " --groups 2",
        "forward --value v.npy --offset-mask bad.npy --output o.npy --groups 2",
        "forward --value bad.npy --offset-mask om.npy --output o.npy --groups 2 --dtype f64",
    };
    static unsigned turn;
    assert_command_refused(ways[turn++ % 4], 2, text);
}

static void the_good_files_are_good(void **state) {
    (void)state;
    good_files();
    assert_command_done("forward --value v.npy --offset-mask om.npy --output o.npy --groups 2");
    assert_command_done("backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy"
                        " --grad-offset-mask gom.npy --groups 2");
    assert_true(file_exists("o.npy") && file_exists("gv.npy") && file_exists("gom.npy"));
    leave_folder();
}

/* Headers of .npy files that must be refused. */
#define SHAPE "'shape': (1, 5, 4, 8)"
#define ORDER "'fortran_order': False"
#define DESCR "'descr': '<f4'"
static const char *const bad_headers[] = {
    "",
    "hello",
    "{",
    "{}",
    "}",
    "[]",
    "{" DESCR ", " ORDER "}",
    "{" DESCR ", " SHAPE "}",
    "{" ORDER ", " SHAPE "}",
    "{" DESCR ", " ORDER ", " SHAPE,
    "{" DESCR ", " ORDER ", " SHAPE "} {}",
    "{" DESCR ", " ORDER ", " SHAPE "}x",
    "{" DESCR ", " DESCR ", " ORDER ", " SHAPE "}",
    "{" DESCR ", " ORDER ", " SHAPE ", " SHAPE "}",
    "{" DESCR ", " ORDER ", " SHAPE ", 'more': 1}",
    "{" DESCR " " ORDER ", " SHAPE "}",
    "{'descr' '<f4', " ORDER ", " SHAPE "}",
    "{descr: '<f4', " ORDER ", " SHAPE "}",
    "{'descr: '<f4', " ORDER ", " SHAPE "}",
    "{'descr\": '<f4', " ORDER ", " SHAPE "}",
    "{'de\\x73cr': '<f4', " ORDER ", " SHAPE "}",
    "{, " DESCR ", " ORDER ", " SHAPE "}",
    "{" DESCR ",, " ORDER ", " SHAPE "}",
    /* dtypes */
    "{'descr': '>f4', " ORDER ", " SHAPE "}",
    "{'descr': '>f2', " ORDER ", " SHAPE "}",
    "{'descr': '=f4', " ORDER ", " SHAPE "}",
    "{'descr': 'f4', " ORDER ", " SHAPE "}",
    "{'descr': '<f', " ORDER ", " SHAPE "}",
    "{'descr': '<f44', " ORDER ", " SHAPE "}",
    "{'descr': '<f16', " ORDER ", " SHAPE "}",
    "{'descr': '<f1', " ORDER ", " SHAPE "}",
    "{'descr': '<F4', " ORDER ", " SHAPE "}",
    "{'descr': '', " ORDER ", " SHAPE "}",
    "{'descr': '<i4', " ORDER ", " SHAPE "}",
    "{'descr': '<i8', " ORDER ", " SHAPE "}",
    "{'descr': '|u1', " ORDER ", " SHAPE "}",
    "{'descr': '|b1', " ORDER ", " SHAPE "}",
    "{'descr': '<c8', " ORDER ", " SHAPE "}",
    "{'descr': '|O', " ORDER ", " SHAPE "}",
    "{'descr': '|S4', " ORDER ", " SHAPE "}",
    "{'descr': '<U4', " ORDER ", " SHAPE "}",
    "{'descr': '<M8[ns]', " ORDER ", " SHAPE "}",
    "{'descr': [('a', '<f4')], " ORDER ", " SHAPE "}",
    "{'descr': 4, " ORDER ", " SHAPE "}",
    "{'descr': None, " ORDER ", " SHAPE "}",
    "{'descr': ('<f4',), " ORDER ", " SHAPE "}",
    "{'descr': '%s%n%s', " ORDER ", " SHAPE "}",
    /* order */
    "{" DESCR ", 'fortran_order': True, " SHAPE "}",
    "{" DESCR ", 'fortran_order': 'False', " SHAPE "}",
    "{" DESCR ", 'fortran_order': 0, " SHAPE "}",
    "{" DESCR ", 'fortran_order': false, " SHAPE "}",
    "{" DESCR ", 'fortran_order': , " SHAPE "}",
    "{" DESCR ", 'fortran_order': Falsehood, " SHAPE "}",
    /* shapes */
    "{" DESCR ", " ORDER ", 'shape': 160}",
    "{" DESCR ", " ORDER ", 'shape': (160)}",
    "{" DESCR ", " ORDER ", 'shape': ()}",
    "{" DESCR ", " ORDER ", 'shape': (160,)}",
    "{" DESCR ", " ORDER ", 'shape': (20, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1, 1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1, 1, 1, 1, 1, 1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': [1, 5, 4, 8]}",
    "{" DESCR ", " ORDER ", 'shape': {1, 5, 4, 8}}",
    "{" DESCR ", " ORDER ", 'shape': '(1, 5, 4, 8)'}",
    "{" DESCR ", " ORDER ", 'shape': None}",
    "{" DESCR ", " ORDER ", 'shape': (1, 5, 4, 8}",
    "{" DESCR ", " ORDER ", 'shape': (1, 5, 4, 8",
    "{" DESCR ", " ORDER ", 'shape': (, 1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1,, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1 5 4 8)}",
    "{" DESCR ", " ORDER ", 'shape': (-1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (-1, -5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (+1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1L, 5L, 4L, 8L)}",
    "{" DESCR ", " ORDER ", 'shape': (1.0, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1e0, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (0x1, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1, 5, 4, 9)}",
    "{" DESCR ", " ORDER ", 'shape': (2, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (4294967296, 4294967296, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (4294967297, 4294967296, 1, 160)}",
    "{" DESCR ", " ORDER ", 'shape': (9223372036854775807, 2, 1, 80)}",
    "{" DESCR ", " ORDER ", 'shape': (9223372036854775808, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (18446744073709551617, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (4611686018427387905, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': (1000000000000000000000000000000000000000000000000000000000000, 5, 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': ((1, 5), 4, 8)}",
    "{" DESCR ", " ORDER ", 'shape': ((((((((((((((((((((((((((((((((",
};

static void headers(void **state) {
    (void)state;
    static const char data[VALUE_BYTES] = "";
    good_files();
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; ++i)
        for (int version = 1; version <= 3; version += 1 + (i % 2)) {
            write_npy("bad.npy", version, bad_headers[i], data, VALUE_BYTES);
            assert_bad_refused("bad.npy");
        }
    leave_folder();
}

/* The messages about common mistakes name the mistake. */
static void reasons(void **state) {
    (void)state;
    static const struct {
        const char *header, *text;
    } table[] = {
        {"{" DESCR ", 'fortran_order': True, " SHAPE "}", "Fortran"},
        {"{'descr': '>f4', " ORDER ", " SHAPE "}", "big-endian"},
        {"{'descr': '>f8', " ORDER ", " SHAPE "}", "big-endian"},
        {"{'descr': '|O', " ORDER ", " SHAPE "}", "objects"},
        {"{'descr': '<i4', " ORDER ", " SHAPE "}", "<i4"},
        {"{'descr': [('a', '<f4')], " ORDER ", " SHAPE "}", "structures"},
        {"{" DESCR ", " ORDER ", 'shape': (1L, 5L, 4L, 8L)}", "Python 2"},
        {"{" DESCR ", " ORDER ", 'shape': (20, 8)}", "[20, 8]"},
        {"{" DESCR ", " ORDER ", 'shape': (1, 5, 4, 9)}", "720 bytes"},
        {"{" DESCR ", " SHAPE "}", "fortran_order"},
        {"{" DESCR ", " ORDER ", " SHAPE ", 'extra': 1}", "extra"},
        {"{'new\nline': '<f4', " ORDER ", " SHAPE "}", "bad.npy"},
        {"{'descr': '<\n\033[2J4', " ORDER ", " SHAPE "}", "bad.npy"},
        {"\n\n\r\x07", "bad.npy"},
    };
    static const char data[VALUE_BYTES] = "";
    good_files();
    for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
        write_npy("bad.npy", 1, table[i].header, data, VALUE_BYTES);
        assert_bad_refused(table[i].text);
    }
    assert_command_refused("forward --value no\nfile.npy --offset-mask om.npy --output o.npy --groups 2", 2,
                           "file.npy");
    assert_command_refused("forward --value v.npy --offset-mask om.npy --output no\033[2Jfolder/o --groups 2", 2,
                           "folder");
    assert_command_refused("forward --value v.npy --offset-mask om.npy --output o.npy --groups 2 --new\nline", 2,
                           "line");
    leave_folder();
}

static void damaged_files(void **state) {
    (void)state;
    static const char header[] = "{" DESCR ", " ORDER ", " SHAPE "}";
    static char data[VALUE_BYTES + 1];
    static const struct {
        const char *bytes;
        size_t count;
    } starts[] = {
        {"", 0},
        {"\x93", 1},
        {"\x93NUMPY", 6},
        {"\x93NUMPY\x01", 7},
        {"\x93NUMPY\x01\x00", 8},
        {"\x93NUMPY\x01\x00\x76", 9},
        {"\x93NUMPY\x01\x00\x76\x00", 10},
        {"\x93NUMPY\x01\x00\x00\x00", 10},
        {"\x93NUMPY\x01\x00\xff\xff", 10},
        {"\x93NUMPY\x02\x00\xff\xff\xff\xff", 12},
        {"\x93NUMPY\x02\x00\x00\x00\x00\x40", 12},
        {"\x93NUMPY\x03\x00\x00\x00", 10},
        {"\x94NUMPY\x01\x00\x76\x00", 10},
        {"\x93numpy\x01\x00\x76\x00", 10},
        {"PK\x03\x04 a .npz is a zip", 20},
        {"a text\n", 7},
    };
    good_files();
    for (size_t i = 0; i < sizeof starts / sizeof *starts; ++i) {
        write_file("bad.npy", starts[i].bytes, starts[i].count);
        assert_bad_refused("bad.npy");
    }
    /* Too little data, or too much. */
    static const size_t lengths[] = {0, 1, VALUE_BYTES / 2, VALUE_BYTES - 1, VALUE_BYTES + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i) {
        write_npy("bad.npy", 1, header, data, lengths[i]);
        assert_bad_refused("bad.npy");
    }
    /* Format versions that do not exist. */
    for (int version = 0; version < 256; version += version < 5 ? 1 : 50) {
        if (version >= 1 && version <= 3)
            continue;
        write_npy("bad.npy", version, header, data, VALUE_BYTES);
        assert_bad_refused("bad.npy");
    }
    /* A zero byte in the middle of the header, at every place in turn. */
    write_npy("bad.npy", 1, header, data, VALUE_BYTES);
    for (long at = 10; at < 10 + (long)strlen(header); at += 3) {
        write_npy("bad.npy", 1, header, data, VALUE_BYTES);
        FILE *file = fopen("bad.npy", "r+b");
        assert_non_null(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        fputc('\0', file);
        assert_int_equal(fclose(file), 0);
        assert_command_refused("forward --value bad.npy --offset-mask om.npy --output o.npy --groups 2", 2, "bad.npy");
    }
    leave_folder();
}

static void not_files(void **state) {
    (void)state;
    good_files();
    assert_bad_refused("bad.npy"); /* not there */
    assert_int_equal(mkdir("bad.npy", 0700), 0);
    assert_bad_refused("bad.npy");
    assert_int_equal(rmdir("bad.npy"), 0);
    assert_int_equal(symlink("bad.npy", "bad.npy"), 0);
    assert_bad_refused("bad.npy");
    assert_int_equal(unlink("bad.npy"), 0);
    assert_int_equal(mkfifo("bad.npy", 0600), 0);
    assert_bad_refused("bad.npy");
    assert_int_equal(unlink("bad.npy"), 0);
    if (getuid() != 0) { /* root may read everything */
        write_tensor("bad.npy", DCNV4_FLOAT32, value_shape, 4);
        assert_int_equal(chmod("bad.npy", 0), 0);
        assert_bad_refused("bad.npy");
    }
    assert_command_refused("forward --value /dev/null --offset-mask om.npy --output o.npy --groups 2", 2, "/dev/null");
    assert_command_refused("forward --value /dev/zero --offset-mask om.npy --output o.npy --groups 2", 2, "/dev/zero");
    assert_command_refused("forward --value om.npy/v.npy --offset-mask om.npy --output o.npy --groups 2", 2,
                           "om.npy/v.npy");
    leave_folder();
}

/* Tensors that do not match; the message has both numbers. */
static void shapes_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        int64_t value[4], row[4], grad[4];
        const char *first, *second;
    } table[] = {
        {{1, 5, 4, 9}, {1, 5, 4, 56}, {1, 5, 4, 9}, "9", "2"},
        {{1, 5, 4, 8}, {1, 5, 4, 53}, {1, 5, 4, 8}, "53", "54"},
        {{1, 5, 4, 8}, {1, 4, 4, 56}, {1, 5, 4, 8}, "4", "5"},
        {{1, 5, 4, 8}, {1, 5, 5, 56}, {1, 5, 4, 8}, "5", "4"},
        {{1, 5, 4, 8}, {2, 5, 4, 56}, {1, 5, 4, 8}, "2", "1"},
        {{1, 5, 4, 0}, {1, 5, 4, 56}, {1, 5, 4, 0}, "0", "2"},
        {{1, 5, 4, 8}, {1, 5, 4, 56}, {1, 5, 4, 10}, "10", "8"},
        {{1, 5, 4, 8}, {1, 5, 4, 56}, {1, 4, 4, 8}, "4", "5"},
        {{1, 5, 4, 8}, {1, 5, 4, 56}, {1, 5, 3, 8}, "3", "4"},
        {{1, 5, 4, 8}, {1, 5, 4, 56}, {3, 5, 4, 8}, "3", "1"},
        {{1, 5, 4, 8}, {1, 5, 4, 0}, {1, 5, 4, 8}, "0", "54"},
    };
    static const char
        arguments[] = "backward --value v.npy --offset-mask om.npy --grad-output go.npy --grad-value gv.npy"
                      " --grad-offset-mask gom.npy --groups 2";
    good_files();
    for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
        write_tensor("v.npy", DCNV4_FLOAT32, table[i].value, 1);
        write_tensor("om.npy", DCNV4_FLOAT32, table[i].row, 2);
        write_tensor("go.npy", DCNV4_FLOAT32, table[i].grad, 3);
        assert_command_refused(arguments, 2, table[i].first);
        assert_command_refused(arguments, 2, table[i].second);
    }
    leave_folder();
}

static void dtypes_that_differ(void **state) {
    (void)state;
    static const int32_t dtypes[] = {DCNV4_FLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64};
    good_files();
    for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b) {
            if (a == b || (dtypes[a] == DCNV4_FLOAT16 && dtypes[b] == DCNV4_FLOAT32)) /* a supported pair */
                continue;
            write_tensor("v.npy", dtypes[a], value_shape, 1);
            write_tensor("om.npy", dtypes[b], row_shape, 2);
            assert_command_refused("forward --value v.npy --offset-mask om.npy --output o.npy --groups 2", 2,
                                   dtype_name(dtypes[a]));
            assert_command_refused("forward --value v.npy --offset-mask om.npy --output o.npy --groups 2", 2,
                                   dtype_name(dtypes[b]));
            assert_command_done("forward --value v.npy --offset-mask om.npy --output o.npy --groups 2 --dtype f32");
            assert_int_equal(unlink("o.npy"), 0);
        }
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_files_are_good),
        cmocka_unit_test(headers),
        cmocka_unit_test(reasons),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(not_files),
        cmocka_unit_test(shapes_that_do_not_fit),
        cmocka_unit_test(dtypes_that_differ),
    };
    return HARNESS_RUN(argc, argv, tests);
}
