/* Presets and inputs of multi-scale deformable attention for bench, and the part of them that is compared with the
 * reference. */
#include "attn_task.h"

#include <stdlib.h>

enum { PRESET_LEVELS = 4 };

/* The layers of models, at the image sizes that their authors give: 800×1066, RT-DETR and D-FINE 640×640, BEVFormer's
 * cameras 928×1600. queries: 0 for an encoder, whose queries are the places. */
static const struct {
    const char *preset;
    int batch, queries, heads, head_channels;
    int levels[PRESET_LEVELS][3]; /* height, width, points; ends with 0 */
} layers[] = {
    {"deformable_detr", 1, 0, 8, 32, {{100, 134, 4}, {50, 67, 4}, {25, 34, 4}, {13, 17, 4}}},
    {"deformable_detr", 1, 300, 8, 32, {{100, 134, 4}, {50, 67, 4}, {25, 34, 4}, {13, 17, 4}}},
    {"dino", 1, 0, 8, 32, {{100, 134, 4}, {50, 67, 4}, {25, 34, 4}, {13, 17, 4}}},
    {"dino", 1, 900, 8, 32, {{100, 134, 4}, {50, 67, 4}, {25, 34, 4}, {13, 17, 4}}},
    {"rt_detr", 1, 300, 8, 32, {{80, 80, 4}, {40, 40, 4}, {20, 20, 4}}},
    {"mask2former", 1, 0, 8, 32, {{100, 134, 4}, {50, 67, 4}, {25, 34, 4}}},
    {"bevformer", 2, 0, 8, 32, {{200, 200, 4}}}, /* temporal: two frames of the plane */
    {"bevformer", 6, 10000, 8, 32, {{116, 200, 8}, {58, 100, 8}, {29, 50, 8}, {15, 25, 8}}}, /* spatial: six cameras */
    {"d_fine", 1, 300, 8, 32, {{80, 80, 3}, {40, 40, 6}, {20, 20, 3}}},
};

enum { LAYERS = sizeof layers / sizeof *layers };

static int64_t place_count(const dcnv4i_task *task) {
    int64_t places = 0;
    for (int l = 0; l < task->attn.level_count; ++l)
        places += task->levels[l].height * task->levels[l].width;
    return places;
}

const char *dcnv4i_attn_preset(int index, dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    if (index >= LAYERS)
        return NULL;
    p->batch = layers[index].batch;
    p->heads = layers[index].heads, p->head_channels = layers[index].head_channels;
    p->value_length = p->level_count = 0;
    for (int l = 0; l < PRESET_LEVELS && layers[index].levels[l][0] > 0; ++l) {
        const int *const level = layers[index].levels[l];
        task->levels[l] = (dcnv4_msda_level){level[0], level[1], p->value_length, level[2]};
        p->value_length += (int64_t)level[0] * level[1];
        ++p->level_count;
    }
    p->queries = layers[index].queries > 0 ? layers[index].queries : p->value_length;
    if (p->reference_levels != 1)
        p->reference_levels = p->level_count;
    return layers[index].preset;
}

dcnv4i_exit dcnv4i_attn_sized(const dcnv4i_settings *settings, dcnv4i_task *task, bool *described) {
    const struct {
        const char *option;
        bool given;
    } needed[] = {
        {"--heads", settings->heads > 0},
        {"--head-channels", settings->head_channels > 0},
        {"--points", settings->points.count > 0},
    };
    *described = task->attn.level_count > 0;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; ++i) {
        if (*described && !needed[i].given)
            return dcnv4i_verdict(DCNV4I_REFUSED, "--levels needs --heads, --head-channels and --points; %s is missing",
                                  needed[i].option);
        if (!*described && needed[i].given)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s goes with --levels, which is not given", needed[i].option);
    }
    task->attn.batch = settings->batch;
    task->attn.queries = settings->queries > 0 ? settings->queries : place_count(task);
    return DCNV4I_DONE;
}

const char *dcnv4i_attn_idle(const dcnv4i_task *task) {
    return dcnv4i_attn_points(task) == 0 ? "a query has 0 points; at least 1 is needed"
           : place_count(task) == 0      ? "the levels have 0 places; at least 1 is needed"
                                         : "";
}

/* ---- Inputs --------------------------------------------------------------------------------------------------------- */

/* Where a query is, normalised: in an encoder at the centre of its place, else anywhere. */
static void find_query(dcnv4i_random *random, const dcnv4i_task *task, int64_t query, double *x, double *y) {
    if (task->attn.queries != place_count(task)) {
        *x = dcnv4i_random_unit(random), *y = dcnv4i_random_unit(random);
        return;
    }
    const dcnv4_msda_level *level = task->levels;
    for (; query >= level->height * level->width; ++level)
        query -= level->height * level->width;
    const int64_t row = query / level->width, column = query % level->width;
    *x = ((double)column + 0.5) / (double)level->width;
    *y = ((double)row + 0.5) / (double)level->height;
}

/* One coordinate of a location of a query at `at`, with the unit's meaning. An encoder's query looks `spread` places around
 * its own place, another one anywhere, unless it has a reference. */
static double draw_location(dcnv4i_random *random, double spread, const dcnv4i_task *task, int64_t size, double at) {
    const bool around = task->attn.queries == place_count(task);
    const double offset = spread * dcnv4i_random_normal(random), length = (double)(size > 0 ? size : 1);
    const double x = around ? at * length - 0.5 + offset : dcnv4i_random_unit(random) * length - 0.5;
    switch (task->attn.location_unit) {
    case DCNV4_MSDA_NORMALIZED: return (x + 0.5) / length;
    case DCNV4_MSDA_PLACES: return x;
    default: return offset;
    }
}

static void fill_locations(dcnv4i_random *random, double spread, const dcnv4i_task *task, int64_t query, double *row) {
    double x, y;
    find_query(random, task, query, &x, &y);
    for (int64_t head = 0; head < task->attn.heads; ++head) {
        for (int l = 0; l < task->attn.level_count; ++l)
            for (int64_t k = 0; k < task->levels[l].points; ++k) {
                *row++ = draw_location(random, spread, task, task->levels[l].width, x);
                *row++ = draw_location(random, spread, task, task->levels[l].height, y);
            }
        for (int64_t k = 0; task->attn.packed && k < dcnv4i_attn_points(task); ++k)
            *row++ = dcnv4i_random_normal(random);
    }
}

/* The query's place for each level, with boxes of a tenth to a half of the image. */
static void fill_references(dcnv4i_random *random, const dcnv4i_task *task, int64_t query, double *row) {
    const int numbers = dcnv4i_attn_reference_numbers(task);
    double x, y;
    find_query(random, task, query, &x, &y);
    const double wide = 0.1 + 0.4 * dcnv4i_random_unit(random), high = 0.1 + 0.4 * dcnv4i_random_unit(random);
    const double reference[] = {x, y, wide, high};
    for (int64_t r = 0; r < task->attn.reference_levels; ++r)
        for (int i = 0; i < numbers; ++i)
            *row++ = reference[i];
}

bool dcnv4i_attn_fill(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                      int tensor, void *memory) {
    const dcnv4i_layout *const layout = &layouts[tensor];
    const size_t item = dcnv4i_dtype_bytes(layout->dtype);
    if (tensor != DCNV4I_ATTN_LOCATIONS && tensor != DCNV4I_ATTN_REFERENCES) {
        dcnv4i_fill_normal(random, 1, layout->dtype, memory, dcnv4i_layout_elements(layout));
        return true;
    }
    double *const numbers = malloc((size_t)layout->row * sizeof *numbers + 1);
    if (!numbers)
        return false;
    for (int64_t row = 0; row < layout->rows; ++row) {
        const int64_t query = row % task->attn.queries;
        if (tensor == DCNV4I_ATTN_LOCATIONS)
            fill_locations(random, spread, task, query, numbers);
        else
            fill_references(random, task, query, numbers);
        dcnv4_convert(DCNV4_FLOAT64, numbers, layout->dtype, (char *)memory + (size_t)(row * layout->row) * item,
                      (size_t)layout->row);
    }
    free(numbers);
    return true;
}

/* ---- The part that is compared -------------------------------------------------------------------------------------- */

void dcnv4i_attn_count_parts(const dcnv4i_task *task, int64_t *images, int64_t *groups) {
    *images = task->attn.batch;
    *groups = task->attn.heads;
}

void dcnv4i_attn_cut(const dcnv4i_task *task, dcnv4i_task *part) {
    *part = *task;
    part->attn.batch = part->attn.heads = 1;
}

/* The gradient of references sums over heads, so one head has no part of it. */
int64_t dcnv4i_attn_first_of(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor, int64_t image,
                             int64_t group) {
    const dcnv4i_layout *const layout = &layouts[tensor];
    const int64_t first = image * layout->shape[1] * layout->row;
    if (tensor == DCNV4I_ATTN_REFERENCES)
        return first;
    if (tensor == DCNV4I_ATTN_GRAD_REFERENCES)
        return task->attn.heads == 1 ? first : -1;
    return first + group * (layout->row / task->attn.heads);
}

/* 4·P·D elements for each head of each query. */
double dcnv4i_attn_gathered(const dcnv4i_task *task) {
    const dcnv4_msda_problem *const p = &task->attn;
    return 4 * (double)dcnv4i_attn_points(task) * (double)p->head_channels * (double)p->heads *
           (double)(p->batch * p->queries);
}
