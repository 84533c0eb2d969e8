#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_in(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be read", path);
    return file;
}

static void set_field(dcnv4_problem *p, const char *key, double number) {
    const struct {
        const char *name;
        int64_t *field;
    } fields[] = {
        {"batch", &p->batch},
        {"height", &p->height},
        {"width", &p->width},
        {"groups", &p->groups},
        {"group_channels", &p->group_channels},
        {"kernel_h", &p->kernel_h},
        {"kernel_w", &p->kernel_w},
        {"stride_h", &p->stride_h},
        {"stride_w", &p->stride_w},
        {"pad_h", &p->pad_h},
        {"pad_w", &p->pad_w},
        {"dilation_h", &p->dilation_h},
        {"dilation_w", &p->dilation_w},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        if (strcmp(fields[i].name, key) == 0) {
            *fields[i].field = (int64_t)number;
            return;
        }
    if (strcmp(key, "remove_center") == 0)
        p->remove_center = (int32_t)number;
    else if (strcmp(key, "softmax") == 0)
        p->softmax = (int32_t)number;
    else if (strcmp(key, "offset_scale") == 0)
        p->offset_scale = number;
    else
        fail_msg("problem.txt has an unknown key \"%s\"", key);
}

dcnv4_problem golden_problem(const char *folder) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = DCNV4_FLOAT64;
    FILE *file = open_in(folder, "problem.txt");
    char key[64];
    double number;
    int lines = 0;
    while (fscanf(file, " %63[^=]=%lf", key, &number) == 2) {
        set_field(&problem, key, number);
        ++lines;
    }
    fclose(file);
    assert_int_equal(lines, 16);
    return problem;
}

/* A .npy file of version 1: the header is padded to a whole line, then the numbers follow. */
double *golden_read(const char *folder, const char *name, int64_t count) {
    char file_name[64];
    snprintf(file_name, sizeof file_name, "%s.npy", name);
    FILE *file = open_in(folder, file_name);
    unsigned char start[10];
    char header[512] = "";
    assert_int_equal(fread(start, 1, sizeof start, file), sizeof start);
    assert_memory_equal(start, "\x93NUMPY\x01\x00", 8);
    const size_t length = (size_t)start[8] + 256u * start[9];
    assert_true(length < sizeof header);
    assert_int_equal(fread(header, 1, length, file), length);
    const bool wide = strstr(header, "'<f8'") != NULL;
    if (!wide && !strstr(header, "'<f4'"))
        fail_msg("%s/%s holds neither float32 nor float64: %s", folder, file_name, header);
    const size_t item = wide ? 8 : 4;
    char *bytes = allocate((size_t)count * item);
    double *numbers = allocate((size_t)count * sizeof *numbers);
    assert_int_equal(fread(bytes, item, (size_t)count, file), count);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    ASSERT_SUCCESS(dcnv4_convert(wide ? DCNV4_FLOAT64 : DCNV4_FLOAT32, bytes, DCNV4_FLOAT64, numbers, (size_t)count));
    free(bytes);
    return numbers;
}

test_layer golden_layer(const char *folder, int32_t dtype) {
    dcnv4_problem problem = golden_problem(folder);
    problem.dtype = dtype;
    test_layer made = layer_make(&problem);
    static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
    for (int i = 0; i < 3; ++i) {
        const int tensor = inputs[i];
        double *numbers = golden_read(folder, tensor_names[tensor],
                                      layer_pixels(&made, tensor) * layer_row(&made, tensor));
        layer_write(&made, tensor, numbers);
        free(numbers);
    }
    return made;
}
