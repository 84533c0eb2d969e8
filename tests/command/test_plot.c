/* dcnv4 plot: a picture from valid input; images, pixels and tensors that cannot be drawn are refused. Without libpng
 * the command says so. */
#include "command_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLOT "plot --value v.npy --offset-mask om.npy --groups 2 --output p.png "

static void files_of(int64_t batch, int64_t height, int64_t width, int64_t out_height, int64_t out_width) {
    const int64_t value_shape[4] = {batch, height, width, 8}, row_shape[4] = {batch, out_height, out_width, 56};
    write_tensor("v.npy", DCNV4_FLOAT32, value_shape, 1);
    write_tensor("om.npy", DCNV4_FLOAT32, row_shape, 2);
}

/* The width and height that a PNG file says it has. */
static void read_png_size(const char *name, unsigned long *width, unsigned long *height) {
    unsigned char front[24];
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    assert_int_equal(fread(front, 1, sizeof front, file), sizeof front);
    fclose(file);
    assert_memory_equal(front, "\x89PNG\r\n\x1a\n", 8);
    *width = (unsigned long)front[16] << 24 | (unsigned long)front[17] << 16 | (unsigned long)front[18] << 8 |
             front[19];
    *height = (unsigned long)front[20] << 24 | (unsigned long)front[21] << 16 | (unsigned long)front[22] << 8 |
              front[23];
}

static bool has_png(void) {
    const command_result *result = run_command(PLOT "--at 1,1");
    if (result->status == 3 && strstr(result->err, "libpng"))
        return false;
    assert_int_equal(result->status, 0);
    return true;
}

static void pictures(void) {
    unsigned long width = 0, height = 0;
    read_png_size("p.png", &width, &height);
    assert_true(width >= 100 && height >= 100 && width < 10000 && height < 10000);
    assert_command_done(PLOT "--at 1,1");
    assert_command_done(PLOT "--at 0,0;4,3");
    assert_command_done(PLOT "--at 0,0 --at 4,3 --at 2,2");
    assert_command_done(
        "plot --value v.npy --offset-mask om.npy --groups 2 --output q.png --image p.png --at 2,2 --softmax");
    read_png_size("q.png", &width, &height);
    assert_true(width > 0 && height > 0);
}

static void bad_pixels(void) {
    static const char *const wrong[] = {"5,0",
                                        "0,4",
                                        "-1,0",
                                        "0,-1",
                                        "1",
                                        "1,",
                                        ",1",
                                        "1,1,1",
                                        "x,1",
                                        "1;1",
                                        "1x1",
                                        "1.5,1",
                                        "1,1+",
                                        ";",
                                        "1,1,",
                                        "0x1,1",
                                        "99999999999999999999,1",
                                        "1,1;5,0",
                                        "2147483648,0",
                                        "0,4294967296"};
    char arguments[256];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        snprintf(arguments, sizeof arguments, PLOT "--at %s", wrong[i]);
        assert_command_refused(arguments, 2, "--at");
    }
    assert_command_refused(PLOT, 2, "--at");
    assert_command_refused(PLOT "--at=", 2, "--at");
}

static void bad_images(const char *good) {
    static char bytes[1 << 20];
    FILE *file = fopen(good, "rb");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(count > 100 && count < sizeof bytes);
    assert_int_equal(remove("p.png"), 0);
    static const char arguments[] = PLOT "--at 1,1 --image bad.png";
    assert_command_refused(arguments, 2, "bad.png"); /* not there */
    static const size_t lengths[] = {0, 1, 8, 20, 33, 60};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i) {
        write_file("bad.png", bytes, lengths[i]);
        assert_command_refused(arguments, 2, "bad.png");
    }
    write_file("bad.png", bytes, count / 2);
    assert_command_refused(arguments, 2, "bad.png");
    write_file("bad.png", "P6 1 1 255 abc", 14);
    assert_command_refused(arguments, 2, "bad.png");
    memcpy(bytes + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8); /* a picture of 2^62 pixels, and a wrong checksum */
    write_file("bad.png", bytes, count);
    assert_command_refused(arguments, 2, "bad.png");
    assert_command_refused(PLOT "--at 1,1 --image v.npy", 2, "v.npy");
    assert_command_refused(PLOT "--at 1,1 --image .", 2, ".");
    assert_int_equal(remove("bad.png"), 0);
}

/* Nothing to draw: an image of no pixels, or no image at all, though there are output pixels beside it. */
static void empty_tensors(void) {
    static const struct {
        int64_t batch, height, width, out_height, out_width;
    } shapes[] = {{1, 0, 4, 2, 6}, {1, 5, 0, 7, 2}, {0, 5, 4, 7, 6}, {0, 0, 0, 2, 2}, {1, 0, 0, 2, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
        files_of(shapes[i].batch, shapes[i].height, shapes[i].width, shapes[i].out_height, shapes[i].out_width);
        assert_command_refused(PLOT "--pad 2 --at 1,1", 2, "v.npy");
    }
}

/* Huge and NaN positions and weights can be drawn: their points do not count. */
static void strange_numbers(void) {
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 5, 4, 56), }";
    static float data[5 * 4 * 56];
    static const float strange[] = {0.f / 1.f, 1e30f, -1e30f, 3.4e38f, 1e-45f};
    files_of(1, 5, 4, 5, 4);
    for (size_t i = 0; i < 5; ++i) {
        for (size_t j = 0; j < sizeof data / sizeof *data; ++j)
            data[j] = strange[i];
        write_npy("om.npy", 1, header, data, sizeof data);
        assert_command_done(PLOT "--at 1,1");
    }
    memset(data, 0xff, sizeof data); /* NaNs */
    write_npy("om.npy", 1, header, data, sizeof data);
    assert_command_done(PLOT "--at 1,1 --softmax");
    write_npy("v.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 5, 4, 8), }", data, 5 * 4 * 8 * 4);
    assert_command_done(PLOT "--at 1,1");
    assert_command_done(PLOT "--at 1,1 --offset-scale nan");
    assert_command_done(PLOT "--at 1,1 --offset-scale inf");
}

static void plots(void **state) {
    (void)state;
    enter_folder();
    files_of(1, 5, 4, 5, 4);
    if (has_png()) {
        pictures();
        bad_pixels();
        bad_images("q.png");
        strange_numbers();
        if (file_exists("p.png"))
            assert_int_equal(remove("p.png"), 0);
        empty_tensors();
    } else
        assert_command_refused(PLOT "--at 1,1", 3, "libpng");
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plots)};
    return HARNESS_RUN(argc, argv, tests);
}
