/* DCNv4's presets and inputs for bench, and the part of them that is compared with the reference. */
#include "conv_task.h"

#include <string.h>

/* The image sizes and channels of the paper's and the networks' layers; D is group_channels. */
static const struct {
    const char *preset;
    int batch, height, width, channels, group_channels;
} shapes[] = {
    {"paper", 64, 56, 56, 128, 32},
    {"paper", 64, 56, 56, 128, 16},
    {"paper", 64, 28, 28, 256, 32},
    {"paper", 64, 28, 28, 256, 16},
    {"paper", 64, 14, 14, 512, 32},
    {"paper", 64, 14, 14, 512, 16},
    {"paper", 64, 7, 7, 1024, 32},
    {"paper", 64, 7, 7, 1024, 16},
    {"detection", 1, 200, 320, 64, 16},
    {"detection", 1, 100, 160, 128, 16},
    {"detection", 1, 50, 80, 256, 16},
    {"detection", 1, 25, 40, 512, 16},
    {"detection", 1, 64, 64, 64, 16},
    {"flash_internimage_t", 64, 56, 56, 64, 16},
    {"flash_internimage_t", 64, 28, 28, 128, 16},
    {"flash_internimage_t", 64, 14, 14, 256, 16},
    {"flash_internimage_t", 64, 7, 7, 512, 16},
    {"flash_internimage_s", 64, 56, 56, 80, 16},
    {"flash_internimage_s", 64, 28, 28, 160, 16},
    {"flash_internimage_s", 64, 14, 14, 320, 16},
    {"flash_internimage_s", 64, 7, 7, 640, 16},
    {"flash_internimage_b", 64, 56, 56, 112, 16},
    {"flash_internimage_b", 64, 28, 28, 224, 16},
    {"flash_internimage_b", 64, 14, 14, 448, 16},
    {"flash_internimage_b", 64, 7, 7, 896, 16},
    {"flash_internimage_l", 16, 96, 96, 160, 16},
    {"flash_internimage_l", 16, 48, 48, 320, 16},
    {"flash_internimage_l", 16, 24, 24, 640, 16},
    {"flash_internimage_l", 16, 12, 12, 1280, 16},
    {"small", 1, 56, 56, 128, 32},
    {"small", 1, 56, 56, 128, 16},
    {"small", 1, 28, 28, 256, 32},
    {"small", 1, 28, 28, 256, 16},
    {"small", 1, 14, 14, 512, 32},
    {"small", 1, 14, 14, 512, 16},
    {"small", 1, 7, 7, 1024, 32},
    {"small", 1, 7, 7, 1024, 16},
    {"small", 1, 64, 64, 64, 16},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

const char *dcnv4i_conv_preset(int index, dcnv4i_task *task) {
    dcnv4_problem *const p = &task->conv;
    if (index >= SHAPES)
        return NULL;
    p->batch = shapes[index].batch, p->height = shapes[index].height, p->width = shapes[index].width;
    p->groups = shapes[index].channels / shapes[index].group_channels;
    p->group_channels = shapes[index].group_channels;
    return shapes[index].preset;
}

static int64_t points_of(const dcnv4i_task *task) {
    return task->conv.kernel_h * task->conv.kernel_w - task->conv.remove_center;
}

/* Normal numbers everywhere; offsets have a standard deviation of their own. */
static void fill_offset_mask(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layout,
                             void *memory) {
    const size_t item = dcnv4i_dtype_bytes(layout->dtype), points = (size_t)points_of(task);
    for (int64_t row = 0; row < layout->rows; ++row) {
        char *at = (char *)memory + (size_t)(row * layout->row) * item;
        memset(at, 0, (size_t)layout->row * item);
        for (int64_t group = 0; group < task->conv.groups; ++group, at += 3 * points * item) {
            dcnv4i_fill_normal(random, spread, layout->dtype, at, 2 * points);
            dcnv4i_fill_normal(random, 1, layout->dtype, at + 2 * points * item, points);
        }
    }
}

bool dcnv4i_conv_fill(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                      int tensor, void *memory) {
    const dcnv4i_layout *const layout = &layouts[tensor];
    if (tensor == DCNV4I_CONV_OFFSET_MASK)
        fill_offset_mask(random, spread, task, layout, memory);
    else
        dcnv4i_fill_normal(random, 1, layout->dtype, memory, dcnv4i_layout_elements(layout));
    return true;
}

void dcnv4i_conv_count_parts(const dcnv4i_task *task, int64_t *images, int64_t *groups) {
    *images = task->conv.batch;
    *groups = task->conv.groups;
}

void dcnv4i_conv_cut(const dcnv4i_task *task, dcnv4i_task *part) {
    *part = *task;
    part->conv.batch = part->conv.groups = 1;
    part->conv.offset_mask_row = 3 * points_of(task);
}

int64_t dcnv4i_conv_first_of(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor, int64_t image,
                             int64_t group) {
    const dcnv4i_layout *const l = &layouts[tensor];
    const bool positions = tensor == DCNV4I_CONV_OFFSET_MASK || tensor == DCNV4I_CONV_GRAD_OFFSET_MASK;
    const int64_t block = positions ? 3 * points_of(task) : task->conv.group_channels;
    return image * l->shape[1] * l->shape[2] * l->shape[3] + group * block;
}

/* 4·K·D elements for each group of each output pixel. */
double dcnv4i_conv_gathered(const dcnv4i_task *task) {
    const dcnv4_problem problem = dcnv4i_conv_of(task);
    dcnv4_sizes s = DCNV4_SIZES_INIT;
    dcnv4_problem_sizes(&problem, &s);
    return 4 * (double)s.points * (double)s.channels * (double)(problem.batch * s.output_height * s.output_width);
}

const char *dcnv4i_conv_idle(const dcnv4i_task *task) {
    return points_of(task) == 0 ? "a kernel of 1x1 without its centre has 0 points; at least 1 is needed" : "";
}
