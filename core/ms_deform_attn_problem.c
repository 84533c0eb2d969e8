#include "ms_deform_attn_problem.h"
#include "checked_math.h"
#include "problem_checks.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static dcnv4_status check_ranges(const dcnv4_msda_problem *p) {
    const dcnv4i_range fields[] = {
        {"batch", p->batch, 0},
        {"value_length", p->value_length, 0},
        {"queries", p->queries, 0},
        {"heads", p->heads, 1},
        {"head_channels", p->head_channels, 1},
        {"level_count", p->level_count, 1},
        {"value_stride", p->value_stride, 0},
        {"location_stride", p->location_stride, 0},
        {"weight_stride", p->weight_stride, 0},
        {"reference_stride", p->reference_stride, 0},
        {"output_stride", p->output_stride, 0},
        {"grad_output_stride", p->grad_output_stride, 0},
        {"grad_value_stride", p->grad_value_stride, 0},
        {"grad_location_stride", p->grad_location_stride, 0},
        {"grad_weight_stride", p->grad_weight_stride, 0},
        {"grad_reference_stride", p->grad_reference_stride, 0},
    };
    return dcnv4i_check_ranges(fields, sizeof fields / sizeof *fields);
}

static dcnv4_status check_choices(const dcnv4_msda_problem *p) {
    const dcnv4i_flag flags[] = {
        {"softmax", p->softmax},
        {"packed", p->packed},
        {"deterministic", p->deterministic},
        {"forward_only", p->forward_only},
        {"levels_in_buffers", p->levels_in_buffers},
    };
    dcnv4_status status = dcnv4i_check_flags(flags, sizeof flags / sizeof *flags);
    if (status != DCNV4_SUCCESS)
        return status;
    if (p->location_unit < DCNV4_MSDA_NORMALIZED || p->location_unit > DCNV4_MSDA_BOX_OFFSETS)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "location_unit is %" PRId32 ", known are 0 to %d", p->location_unit,
                           DCNV4_MSDA_BOX_OFFSETS);
    if (p->location_unit >= DCNV4_MSDA_OFFSETS && p->reference_levels != 1 && p->reference_levels != p->level_count)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                           "reference_levels is %" PRId64 ", it must be 1 or level_count, which is %" PRId64,
                           p->reference_levels, p->level_count);
    if (p->location_unit == DCNV4_MSDA_BOX_OFFSETS && !isfinite(p->box_scale))
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "box_scale is not finite");
    status = dcnv4i_check_dtype(p->dtype);
    if (status != DCNV4_SUCCESS)
        return status;
    if (p->level_count > DCNV4_MSDA_MAX_LEVELS)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "level_count is %" PRId64 ", up to %d are possible", p->level_count,
                           DCNV4_MSDA_MAX_LEVELS);
    if (!p->levels)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "levels is NULL, %" PRId64 " are needed", p->level_count);
    return DCNV4_SUCCESS;
}

/* Whether the level lies within value. */
static dcnv4_status check_extent(dcnv4_status failure, int i, const dcnv4_msda_level *level, int64_t value_length) {
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {{"height", level->height}, {"width", level->width}, {"start", level->start}};
    int64_t places;
    for (size_t k = 0; k < sizeof fields / sizeof *fields; ++k)
        if (fields[k].number < 0)
            return dcnv4i_fail(failure, "levels[%d].%s is %" PRId64 ", at least 0 is needed", i, fields[k].name,
                               fields[k].number);
    if (!dcnv4i_multiply64(level->height, level->width, &places))
        return dcnv4i_fail(failure, "levels[%d] overflows: %" PRId64 " times %" PRId64 " is past what can be addressed",
                           i, level->height, level->width);
    if (places > value_length || level->start > value_length - places)
        return dcnv4i_fail(failure,
                           "levels[%d] begins at %" PRId64 " and has %" PRId64 " places, value_length is %" PRId64, i,
                           level->start, places, value_length);
    return DCNV4_SUCCESS;
}

static bool overlap(const dcnv4_msda_level *a, const dcnv4_msda_level *b) {
    const int64_t a_count = a->height * a->width, b_count = b->height * b->width;
    return a_count > 0 && b_count > 0 && a->start < b->start + b_count && b->start < a->start + a_count;
}

static dcnv4_status check_level(const dcnv4i_ms_deform_attn *problem, int i) {
    const dcnv4_msda_level *const level = &problem->levels[i];
    if (level->points < 0)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "levels[%d].points is %" PRId64 ", at least 0 is needed", i,
                           level->points);
    const dcnv4_status status = check_extent(DCNV4_INVALID_PROBLEM, i, level, problem->params.value_length);
    if (status != DCNV4_SUCCESS)
        return status;
    for (int other = 0; other < i; ++other)
        if (overlap(&problem->levels[other], level))
            return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                               "levels[%d], from %" PRId64 " on, overlaps levels[%d], from %" PRId64 " on", i,
                               level->start, other, problem->levels[other].start);
    return DCNV4_SUCCESS;
}

/* Fills in tensor id, of batch · rows rows; *stride is 0 for dense and becomes a number. */
static dcnv4_status check_tensor(dcnv4i_ms_deform_attn *problem, int id, int64_t rows, int64_t row, int32_t dtype,
                                 int64_t *stride) {
    const char *const name = dcnv4i_operator_ms_deform_attn.tensor_names[id];
    dcnv4i_tensor *const tensor = &problem->base.tensors[id];
    if (*stride == 0)
        *stride = row;
    if (*stride < row)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s has a stride of %" PRId64 ", a row has %" PRId64 " elements",
                           name, *stride, row);
    *tensor = (dcnv4i_tensor){.row = row, .stride = *stride, .item = dcnv4i_dtype_size(dtype)};
    const dcnv4_status status = dcnv4i_check_products(name, rows, problem->params.batch, tensor);
    if (row == 0)
        tensor->bytes = 0;
    return status;
}

/* A table of int64 numbers. */
static dcnv4i_tensor table_of(int64_t rows, int64_t row) {
    return (dcnv4i_tensor){rows, row, row, sizeof(int64_t), (size_t)(rows * row) * sizeof(int64_t)};
}

/* Numbers that mean nothing with this unit must not make a layer another one, for which kernels are compiled anew. */
static void forget_unused(dcnv4_msda_problem *p) {
    if (p->location_unit != DCNV4_MSDA_BOX_OFFSETS)
        p->box_scale = 0.5;
    if (p->location_unit < DCNV4_MSDA_OFFSETS)
        p->reference_levels = 1, p->reference_stride = p->grad_reference_stride = 0;
}

static dcnv4_status check_tensors(dcnv4i_ms_deform_attn *problem) {
    dcnv4_msda_problem *const p = &problem->params;
    const int64_t numbers = p->packed ? 3 : 2;
    int64_t locations, weights;
    if (!dcnv4i_multiply64(p->heads, p->head_channels, &problem->channels))
        return dcnv4i_too_large("heads·head_channels", p->heads, p->head_channels);
    if (!dcnv4i_multiply64(problem->points, 3, &locations) || !dcnv4i_multiply64(locations, p->heads, &locations))
        return dcnv4i_too_large("3·heads·P", p->heads, problem->points);
    locations = locations / 3 * numbers, weights = p->packed ? 0 : problem->points * p->heads;
    problem->location_head = numbers * problem->points;
    problem->weight_head = p->packed ? 3 * problem->points : problem->points;
    problem->weight_begin = p->packed ? 2 * problem->points : 0;
    problem->reference_numbers = p->location_unit == DCNV4_MSDA_OFFSETS       ? 2
                                 : p->location_unit == DCNV4_MSDA_BOX_OFFSETS ? 4
                                                                              : 0;
    forget_unused(p);
    const int64_t references = problem->reference_numbers == 0 ? 0 : p->reference_levels * problem->reference_numbers;
    const struct {
        int id;
        int64_t rows, row;
        int32_t dtype;
        int64_t *stride;
    } tensors[] = {
        {DCNV4I_MSDA_VALUE, p->value_length, problem->channels, p->dtype, &p->value_stride},
        {DCNV4I_MSDA_LOCATIONS, p->queries, locations, p->location_dtype, &p->location_stride},
        {DCNV4I_MSDA_WEIGHTS, p->queries, weights, p->weight_dtype, &p->weight_stride},
        {DCNV4I_MSDA_REFERENCES, p->queries, references, p->reference_dtype, &p->reference_stride},
        {DCNV4I_MSDA_OUTPUT, p->queries, problem->channels, p->dtype, &p->output_stride},
        {DCNV4I_MSDA_GRAD_OUTPUT, p->queries, problem->channels, p->dtype, &p->grad_output_stride},
        {DCNV4I_MSDA_GRAD_VALUE, p->value_length, problem->channels, p->dtype, &p->grad_value_stride},
        {DCNV4I_MSDA_GRAD_LOCATIONS, p->queries, locations, p->location_dtype, &p->grad_location_stride},
        {DCNV4I_MSDA_GRAD_WEIGHTS, p->queries, weights, p->weight_dtype, &p->grad_weight_stride},
        {DCNV4I_MSDA_GRAD_REFERENCES, p->queries, references, p->reference_dtype, &p->grad_reference_stride},
    };
    dcnv4_status status = DCNV4_SUCCESS;
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors && status == DCNV4_SUCCESS; ++i)
        status = check_tensor(problem, tensors[i].id, tensors[i].rows, tensors[i].row, tensors[i].dtype,
                              tensors[i].stride);
    if (p->levels_in_buffers &&
        problem->base.tensors[DCNV4I_MSDA_OUTPUT].pixels + problem->base.tensors[DCNV4I_MSDA_VALUE].pixels > 0) {
        problem->base.tensors[DCNV4I_MSDA_LEVEL_SHAPES] = table_of(p->level_count, 2);
        problem->base.tensors[DCNV4I_MSDA_LEVEL_STARTS] = table_of(p->level_count, 1);
    }
    return status;
}

/* What the levels say: how many points there are, and where each level lies. */
static dcnv4_status check_levels(dcnv4i_ms_deform_attn *problem) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < problem->params.level_count && status == DCNV4_SUCCESS; ++i) {
        dcnv4_msda_level *const level = &problem->levels[i];
        if (problem->params.levels_in_buffers)
            level->height = level->width = level->start = 0;
        status = check_level(problem, i);
        if (status == DCNV4_SUCCESS && level->points > INT64_MAX - problem->points)
            status = dcnv4i_too_large("the points", level->points, 1);
        else if (status == DCNV4_SUCCESS)
            problem->points += level->points;
    }
    return status;
}

dcnv4_status dcnv4i_ms_deform_attn_levels(const dcnv4i_ms_deform_attn *problem, const int64_t *shapes,
                                          const int64_t *starts, dcnv4_msda_level *room,
                                          const dcnv4_msda_level **levels) {
    *levels = problem->levels;
    if (problem->base.tensors[DCNV4I_MSDA_LEVEL_SHAPES].bytes == 0)
        return DCNV4_SUCCESS;
    *levels = room;
    for (int i = 0; i < problem->params.level_count; ++i) {
        room[i] = (dcnv4_msda_level){shapes[2 * i], shapes[2 * i + 1], starts[i], problem->levels[i].points};
        const dcnv4_status status = check_extent(DCNV4_INVALID_ARGUMENT, i, &room[i], problem->params.value_length);
        if (status != DCNV4_SUCCESS)
            return status;
    }
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_ms_deform_attn_check(const dcnv4_msda_problem *params, dcnv4i_ms_deform_attn *problem) {
    *problem = (dcnv4i_ms_deform_attn){.base = {.op = &dcnv4i_operator_ms_deform_attn},
                                       .params = DCNV4_MSDA_PROBLEM_INIT};
    dcnv4_msda_problem *const p = &problem->params;
    dcnv4_status status = dcnv4i_versioned_copy("dcnv4_msda_problem", p, sizeof *p, sizeof *p, params);
    if (status == DCNV4_SUCCESS)
        status = check_ranges(p);
    if (status == DCNV4_SUCCESS)
        status = check_choices(p);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_check_other_dtype("location_dtype", p->dtype, &p->location_dtype);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_check_other_dtype("weight_dtype", p->packed ? p->location_dtype : p->dtype, &p->weight_dtype);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_check_other_dtype("reference_dtype", p->location_dtype, &p->reference_dtype);
    if (status != DCNV4_SUCCESS)
        return status;
    if (p->packed && p->weight_dtype != p->location_dtype)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                           "weight_dtype is %" PRId32 " and location_dtype %" PRId32
                           ", with packed they are one tensor's",
                           p->weight_dtype, p->location_dtype);
    memcpy(problem->levels, p->levels, (size_t)p->level_count * sizeof *p->levels);
    p->levels = NULL;
    problem->base.forward_only = p->forward_only;
    status = check_levels(problem);
    return status == DCNV4_SUCCESS ? check_tensors(problem) : status;
}

static dcnv4_status check(const void *params, dcnv4i_problem *problem) {
    return dcnv4i_ms_deform_attn_check(params, (dcnv4i_ms_deform_attn *)problem);
}

/* Queries without batch, or the other way round, are none. */
static void drop_empty_sizes(dcnv4i_problem *base) {
    dcnv4_msda_problem *const p = &((dcnv4i_ms_deform_attn *)base)->params;
    if (base->tensors[DCNV4I_MSDA_OUTPUT].pixels == 0)
        p->queries = 0;
    if (base->tensors[DCNV4I_MSDA_VALUE].pixels == 0)
        p->value_length = 0;
    if (p->queries == 0 && p->value_length == 0)
        p->batch = 0;
}

#define BIT(id) (1u << DCNV4I_MSDA_##id)
#define INPUTS (BIT(VALUE) | BIT(LOCATIONS) | BIT(WEIGHTS) | BIT(REFERENCES) | BIT(LEVEL_SHAPES) | BIT(LEVEL_STARTS))

const dcnv4i_operator dcnv4i_operator_ms_deform_attn = {
    .name = "ms_deform_attn",
    .problem_size = sizeof(dcnv4i_ms_deform_attn),
    .tensor_count = DCNV4I_MSDA_TENSORS,
    .tensor_names =
        {
            [DCNV4I_MSDA_VALUE] = "value",
            [DCNV4I_MSDA_LOCATIONS] = "locations",
            [DCNV4I_MSDA_WEIGHTS] = "weights",
            [DCNV4I_MSDA_REFERENCES] = "references",
            [DCNV4I_MSDA_LEVEL_SHAPES] = "level_shapes",
            [DCNV4I_MSDA_LEVEL_STARTS] = "level_starts",
            [DCNV4I_MSDA_OUTPUT] = "output",
            [DCNV4I_MSDA_GRAD_OUTPUT] = "grad_output",
            [DCNV4I_MSDA_GRAD_VALUE] = "grad_value",
            [DCNV4I_MSDA_GRAD_LOCATIONS] = "grad_locations",
            [DCNV4I_MSDA_GRAD_WEIGHTS] = "grad_weights",
            [DCNV4I_MSDA_GRAD_REFERENCES] = "grad_references",
        },
    .reads = {INPUTS, INPUTS | BIT(GRAD_OUTPUT)},
    .writes = {BIT(OUTPUT), BIT(GRAD_VALUE) | BIT(GRAD_LOCATIONS) | BIT(GRAD_WEIGHTS) | BIT(GRAD_REFERENCES)},
    .part_count = 3,
    .part_pass =
        {
            [DCNV4_MSDA_PART_OUTPUT] = DCNV4_PASS_FORWARD,
            [DCNV4_MSDA_PART_GRAD_POINTS] = DCNV4_PASS_BACKWARD,
            [DCNV4_MSDA_PART_GRAD_VALUE] = DCNV4_PASS_BACKWARD,
        },
    .check = check,
    .drop_empty_sizes = drop_empty_sizes,
};
