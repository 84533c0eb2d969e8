/* Random problems of multi-scale deformable attention for check. */
#include "attn_task.h"

#include <math.h>

#define PICK(random, list) (list)[dcnv4i_random_below(random, (int64_t)(sizeof(list) / sizeof *(list)))]

/* The most multiply-adds of a case. Most cases are small, so that many run; one in LARGE_EACH suits several threads. */
enum { SMALL = 200000, LARGE = 3000000, LARGE_EACH = 12 };

static bool chance(dcnv4i_random *random, int one_in) {
    return dcnv4i_random_below(random, one_in) == 0;
}

/* ---- The problem ---------------------------------------------------------------------------------------------------- */

/* Levels in random order, with gaps between some, and some without places or points. Of a large case they are large. */
static void draw_levels(dcnv4i_random *random, bool large, dcnv4i_task *task) {
    static const int64_t sizes[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 23, 31, 41};
    dcnv4_msda_problem *const p = &task->attn;
    int order[DCNV4_MSDA_MAX_LEVELS];
    const bool gaps = chance(random, 4), mixed = chance(random, 4), uneven = chance(random, 3);
    const int64_t points = 1 + dcnv4i_random_below(random, 8);
    p->level_count = 1 + dcnv4i_random_below(random, large ? 4 : 6);
    for (int l = 0; l < p->level_count; ++l) {
        dcnv4_msda_level *const level = &task->levels[l];
        level->height = chance(random, 24) ? 0 : PICK(random, sizes) * (large && l == 0 ? 3 : 1);
        level->width = chance(random, 24) ? 0 : PICK(random, sizes) * (large && l == 0 ? 3 : 1);
        level->points = uneven ? dcnv4i_random_below(random, 8) : points;
        order[l] = l;
    }
    for (int l = (int)p->level_count - 1; mixed && l > 0; --l) {
        const int other = (int)dcnv4i_random_below(random, l + 1), kept = order[l];
        order[l] = order[other], order[other] = kept;
    }
    p->value_length = 0;
    for (int l = 0; l < p->level_count; ++l) {
        dcnv4_msda_level *const level = &task->levels[order[l]];
        level->start = p->value_length + (gaps ? dcnv4i_random_below(random, 9) : 0);
        p->value_length = level->start + level->height * level->width;
    }
    p->value_length += gaps ? dcnv4i_random_below(random, 9) : 0;
}

static void draw_problem(dcnv4i_random *random, bool large, dcnv4i_task *task) {
    static const int64_t depths[] = {1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 12, 16, 16, 17, 24, 31, 32, 32, 32, 33, 48, 64, 65};
    static const int32_t units[] = {DCNV4_MSDA_NORMALIZED, DCNV4_MSDA_NORMALIZED, DCNV4_MSDA_PLACES, DCNV4_MSDA_OFFSETS,
                                    DCNV4_MSDA_BOX_OFFSETS};
    static const double scales[] = {0.5, 0.5, 1, -0.3, 0};
    dcnv4_msda_problem *const p = &task->attn;
    draw_levels(random, large, task);
    p->batch = chance(random, 40) ? 0 : 1 + dcnv4i_random_below(random, 4);
    p->queries = chance(random, 40)  ? 0
                 : chance(random, 3) ? p->value_length
                                     : 1 + dcnv4i_random_below(random, large ? 600 : 70);
    p->heads = 1 + dcnv4i_random_below(random, 9);
    p->head_channels = PICK(random, depths);
    p->softmax = chance(random, 2);
    p->packed = chance(random, 3);
    task->deterministic = chance(random, 3);
    p->levels_in_buffers = chance(random, 4);
    p->location_unit = PICK(random, units);
    p->reference_levels = chance(random, 2) ? 1 : p->level_count;
    p->box_scale = PICK(random, scales);
}

/* Strides, some of them wider than they need to be. */
static void draw_strides(dcnv4i_random *random, dcnv4i_task *task, const dcnv4i_layout *layouts) {
    dcnv4_msda_problem *const p = &task->attn;
    const struct {
        int64_t *stride;
        int tensor;
    } strides[] = {
        {&p->value_stride, DCNV4I_ATTN_VALUE},
        {&p->location_stride, DCNV4I_ATTN_LOCATIONS},
        {&p->weight_stride, DCNV4I_ATTN_WEIGHTS},
        {&p->reference_stride, DCNV4I_ATTN_REFERENCES},
        {&p->output_stride, DCNV4I_ATTN_OUTPUT},
        {&p->grad_output_stride, DCNV4I_ATTN_GRAD_OUTPUT},
        {&p->grad_value_stride, DCNV4I_ATTN_GRAD_VALUE},
        {&p->grad_location_stride, DCNV4I_ATTN_GRAD_LOCATIONS},
        {&p->grad_weight_stride, DCNV4I_ATTN_GRAD_WEIGHTS},
        {&p->grad_reference_stride, DCNV4I_ATTN_GRAD_REFERENCES},
    };
    const bool wide = chance(random, 3);
    for (size_t i = 0; i < sizeof strides / sizeof *strides; ++i) {
        const int64_t more = dcnv4i_random_below(random, 20);
        *strides[i].stride = wide && layouts[strides[i].tensor].rank > 0 ? layouts[strides[i].tensor].row + more : 0;
    }
}

void dcnv4i_attn_draw(dcnv4i_random *random, dcnv4i_task *task) {
    const bool large = chance(random, LARGE_EACH);
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    for (;;) {
        task->attn = (dcnv4_msda_problem)DCNV4_MSDA_PROBLEM_INIT;
        draw_problem(random, large, task);
        const double work = dcnv4i_attn_gathered(task);
        if (work <= (large ? LARGE : SMALL) && (!large || work > SMALL) &&
            task->op->lay_out(task, layouts) == DCNV4_SUCCESS)
            break;
    }
    draw_strides(random, task, layouts);
}

/* In 16 bits, some locations, weights and references are float32. The draw depends on the seed alone, not on the dtype
 * asked for. */
void dcnv4i_attn_draw_dtypes(uint64_t seed, dcnv4i_task *task) {
    dcnv4i_random random = {~seed};
    dcnv4_msda_problem *const p = &task->attn;
    const bool narrow = task->dtype == DCNV4_FLOAT16 || task->dtype == DCNV4_BFLOAT16;
    int32_t *const dtypes[] = {&p->location_dtype, &p->weight_dtype, &p->reference_dtype};
    for (int i = 0; i < 3; ++i)
        *dtypes[i] = chance(&random, 2) && narrow ? DCNV4_FLOAT32 : DCNV4_SAME_DTYPE;
    if (p->packed)
        p->weight_dtype = p->location_dtype;
}

/* ---- The tensors ---------------------------------------------------------------------------------------------------- */

/* A coordinate in places of an axis. */
static double draw_place(dcnv4i_random *random, dcnv4i_style how, int64_t size) {
    static const double strange[] = {NAN,          INFINITY, -INFINITY, 1e30,  -1e30, 1e300,
                                     2147483648.0, -0.0,     1e-30,     60000, 3e38};
    const double within = dcnv4i_random_unit(random) * ((double)size + 2) - 1.5;
    switch (how) {
    case DCNV4I_FAR: return within * 40;
    case DCNV4I_BORDERS: return floor(2 * within) / 2;
    case DCNV4I_STRANGE: return chance(random, 8) ? PICK(random, strange) : within;
    default: return within;
    }
}

/* The location of a place, as the unit has it; offsets are drawn as such. */
static double draw_location(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task, int64_t size) {
    const double place = draw_place(random, how, size);
    switch (task->attn.location_unit) {
    case DCNV4_MSDA_NORMALIZED: return (place + 0.5) / (double)(size > 0 ? size : 1);
    case DCNV4_MSDA_PLACES: return place;
    default: return how == DCNV4I_TINY ? 1e-4 * dcnv4i_random_normal(random) : place - (double)size / 2;
    }
}

static double draw_logit(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task) {
    const double number = dcnv4i_random_normal(random);
    return how == DCNV4I_STRANGE && task->attn.softmax && chance(random, 16) ? -INFINITY
           : how == DCNV4I_FAR && task->attn.softmax                         ? 20 * number
                                                                             : number;
}

static void draw_points(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task, double *row) {
    const int64_t points = dcnv4i_attn_points(task);
    for (int64_t head = 0; head < task->attn.heads; ++head) {
        for (int l = 0; l < task->attn.level_count; ++l)
            for (int64_t k = 0; k < task->levels[l].points; ++k) {
                *row++ = draw_location(random, how, task, task->levels[l].width);
                *row++ = draw_location(random, how, task, task->levels[l].height);
            }
        for (int64_t k = 0; task->attn.packed && k < points; ++k)
            *row++ = draw_logit(random, how, task);
    }
}

void dcnv4i_attn_draw_row(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task,
                          const dcnv4i_layout *layouts, int tensor, double *row) {
    static const double strange[] = {NAN, INFINITY, 1e30, -2, 3e38};
    if (tensor == DCNV4I_ATTN_LOCATIONS) {
        draw_points(random, how, task, row);
        return;
    }
    for (int64_t i = 0; i < layouts[tensor].row; ++i)
        if (tensor == DCNV4I_ATTN_WEIGHTS)
            row[i] = draw_logit(random, how, task);
        else if (tensor == DCNV4I_ATTN_REFERENCES)
            row[i] = how == DCNV4I_BORDERS                         ? (double)dcnv4i_random_below(random, 9) / 8
                     : how == DCNV4I_STRANGE && chance(random, 16) ? PICK(random, strange)
                                                                   : dcnv4i_random_unit(random);
        else
            row[i] = dcnv4i_random_normal(random);
}
