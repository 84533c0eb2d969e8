#include "attn_task.h"

#include <inttypes.h>
#include <string.h>

#define FILE_OF(option_, field_) .option = option_, .path = offsetof(dcnv4i_settings, field_)
#define NO_FILE .option = NULL, .path = 0

static const dcnv4i_tensor tensors[DCNV4I_ATTN_TENSORS] = {
    [DCNV4I_ATTN_VALUE] = {"value", FILE_OF("--value", value), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_LOCATIONS] = {"locations", FILE_OF("--locations", locations), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_WEIGHTS] = {"weights", FILE_OF("--weights", weights), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_REFERENCES] = {"references", FILE_OF("--references", references), DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_LEVEL_SHAPES] = {"level_shapes", NO_FILE, DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_LEVEL_STARTS] = {"level_starts", NO_FILE, DCNV4I_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_OUTPUT] = {"output", FILE_OF("--output", output), DCNV4I_OUTPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_GRAD_OUTPUT] = {"grad_output", FILE_OF("--grad-output", grad_output), DCNV4I_GRAD_INPUT, DCNV4I_NONE},
    [DCNV4I_ATTN_GRAD_VALUE] = {"grad_value", FILE_OF("--grad-value", grad_value), DCNV4I_GRADIENT, DCNV4I_ATTN_VALUE},
    [DCNV4I_ATTN_GRAD_LOCATIONS] = {"grad_locations", FILE_OF("--grad-locations", grad_locations), DCNV4I_GRADIENT,
                                    DCNV4I_ATTN_LOCATIONS},
    [DCNV4I_ATTN_GRAD_WEIGHTS] = {"grad_weights", FILE_OF("--grad-weights", grad_weights), DCNV4I_GRADIENT,
                                  DCNV4I_ATTN_WEIGHTS},
    [DCNV4I_ATTN_GRAD_REFERENCES] = {"grad_references", FILE_OF("--grad-references", grad_references), DCNV4I_GRADIENT,
                                     DCNV4I_ATTN_REFERENCES},
};

static const dcnv4i_part parts[] = {
    [DCNV4_MSDA_PART_OUTPUT] = {"output", DCNV4_PASS_FORWARD, {DCNV4I_ATTN_OUTPUT, DCNV4I_NONE}},
    [DCNV4_MSDA_PART_GRAD_POINTS] = {"grad_points",
                                     DCNV4_PASS_BACKWARD,
                                     {DCNV4I_ATTN_GRAD_LOCATIONS, DCNV4I_ATTN_GRAD_WEIGHTS,
                                      DCNV4I_ATTN_GRAD_REFERENCES}},
    [DCNV4_MSDA_PART_GRAD_VALUE] = {"grad_value", DCNV4_PASS_BACKWARD, {DCNV4I_ATTN_GRAD_VALUE, DCNV4I_NONE}},
};

dcnv4_msda_problem dcnv4i_attn_of(const dcnv4i_task *task, dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS]) {
    dcnv4_msda_problem problem = task->attn;
    problem.dtype = task->dtype;
    problem.forward_only = task->forward_only;
    problem.deterministic = task->deterministic;
    problem.levels = task->levels;
    if (!problem.levels_in_buffers)
        return problem;
    for (int l = 0; l < problem.level_count; ++l)
        room[l] = (dcnv4_msda_level){.points = task->levels[l].points};
    problem.levels = room;
    return problem;
}

int64_t dcnv4i_attn_points(const dcnv4i_task *task) {
    int64_t points = 0;
    for (int l = 0; l < task->attn.level_count; ++l)
        points += task->levels[l].points;
    return points;
}

int dcnv4i_attn_reference_numbers(const dcnv4i_task *task) {
    return task->attn.location_unit == DCNV4_MSDA_OFFSETS       ? 2
           : task->attn.location_unit == DCNV4_MSDA_BOX_OFFSETS ? 4
                                                                : 0;
}

dcnv4i_attn_axis dcnv4i_attn_axis_of(const dcnv4i_task *task, int level, int axis, const double *references) {
    const dcnv4_msda_problem *const p = &task->attn;
    const dcnv4_msda_level *const at = &task->levels[level];
    const int numbers = dcnv4i_attn_reference_numbers(task);
    dcnv4i_attn_axis made = {.size = (double)(axis ? at->height : at->width), .scale = 1};
    made.shift = p->location_unit == DCNV4_MSDA_PLACES ? 0 : -0.5;
    if (p->location_unit == DCNV4_MSDA_NORMALIZED)
        made.scale = made.size;
    if (numbers == 0)
        return made;
    const double *const reference = references + (p->reference_levels == 1 ? 0 : level) * numbers + axis;
    made.reference = *reference;
    if (numbers == 4) {
        made.part = p->box_scale / (double)at->points;
        made.scale = made.size * made.part * reference[2];
    }
    return made;
}

double dcnv4i_attn_position(const dcnv4i_attn_axis *axis, double location) {
    return axis->scale * location + (axis->size * axis->reference + axis->shift);
}

/* ---- The library ---------------------------------------------------------------------------------------------------- */

static int32_t other_dtype(int32_t dtype, int32_t other) {
    return other == DCNV4_SAME_DTYPE ? dtype : other;
}

/* A tensor of [N, rows of an image, …row…]; none if the row is empty because the problem does not use it. */
static dcnv4i_layout layout_of(const dcnv4_msda_problem *p, bool used, int64_t rows, int64_t stride, int32_t dtype,
                               size_t bytes, int rank, const int64_t *rest) {
    dcnv4i_layout made = {.rank = used ? rank + 2 : 0, .rows = p->batch * rows, .row = 1, .dtype = dtype};
    made.shape[0] = p->batch, made.shape[1] = rows;
    for (int i = 0; i < rank; ++i) {
        made.shape[i + 2] = rest[i];
        made.row *= rest[i];
    }
    made.stride = stride ? stride : made.row;
    made.bytes = used ? bytes : 0;
    return made;
}

static dcnv4_status lay_out(const dcnv4i_task *task, dcnv4i_layout *layouts) {
    dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS];
    const dcnv4_msda_problem p = dcnv4i_attn_of(task, room);
    dcnv4_msda_sizes s = DCNV4_MSDA_SIZES_INIT;
    const dcnv4_status status = dcnv4_msda_sizes_get(&p, &s);
    if (status != DCNV4_SUCCESS)
        return status;
    const int32_t location = other_dtype(p.dtype, p.location_dtype), weight = other_dtype(p.dtype, p.weight_dtype);
    const int32_t reference = other_dtype(location, p.reference_dtype);
    const int numbers = dcnv4i_attn_reference_numbers(task);
    const int64_t value[] = {p.heads, p.head_channels}, output[] = {p.heads * p.head_channels};
    const int64_t pairs[] = {p.heads, s.points, 2}, packed[] = {p.heads, 3 * s.points}, weights[] = {p.heads, s.points};
    const int64_t references[] = {p.reference_levels, numbers}, *const where = p.packed ? packed : pairs;
    const int rank = p.packed ? 2 : 3;
    const bool apart = !p.packed, refers = numbers > 0;
    const int64_t places = p.value_length, queries = p.queries;
    layouts[DCNV4I_ATTN_VALUE] = layout_of(&p, true, places, p.value_stride, p.dtype, s.value, 2, value);
    layouts[DCNV4I_ATTN_LOCATIONS] = layout_of(&p, true, queries, p.location_stride, location, s.locations, rank,
                                               where);
    layouts[DCNV4I_ATTN_WEIGHTS] = layout_of(&p, apart, queries, p.weight_stride, weight, s.weights, 2, weights);
    layouts[DCNV4I_ATTN_REFERENCES] = layout_of(&p, refers, queries, p.reference_stride, reference, s.references, 2,
                                                references);
    layouts[DCNV4I_ATTN_OUTPUT] = layout_of(&p, true, queries, p.output_stride, p.dtype, s.output, 1, output);
    layouts[DCNV4I_ATTN_GRAD_OUTPUT] = layout_of(&p, true, queries, p.grad_output_stride, p.dtype, s.grad_output, 1,
                                                 output);
    layouts[DCNV4I_ATTN_GRAD_VALUE] = layout_of(&p, true, places, p.grad_value_stride, p.dtype, s.grad_value, 2, value);
    layouts[DCNV4I_ATTN_GRAD_LOCATIONS] = layout_of(&p, true, queries, p.grad_location_stride, location,
                                                    s.grad_locations, rank, where);
    layouts[DCNV4I_ATTN_GRAD_WEIGHTS] = layout_of(&p, apart, queries, p.grad_weight_stride, weight, s.grad_weights, 2,
                                                  weights);
    layouts[DCNV4I_ATTN_GRAD_REFERENCES] = layout_of(&p, refers, queries, p.grad_reference_stride, reference,
                                                     s.grad_references, 2, references);
    const int64_t levels = p.level_count;
    const bool tables = s.level_shapes > 0;
    layouts[DCNV4I_ATTN_LEVEL_SHAPES] = (dcnv4i_layout){tables ? 2 : 0, {levels, 2},   levels, 2, 2,
                                                        DCNV4I_INT64,   s.level_shapes};
    layouts[DCNV4I_ATTN_LEVEL_STARTS] = (dcnv4i_layout){tables ? 1 : 0, {levels},      levels, 1, 1,
                                                        DCNV4I_INT64,   s.level_starts};
    return DCNV4_SUCCESS;
}

static void fill_integers(const dcnv4i_task *task, int tensor, int64_t *numbers) {
    for (int l = 0; l < task->attn.level_count; ++l) {
        const dcnv4_msda_level *const level = &task->levels[l];
        if (tensor == DCNV4I_ATTN_LEVEL_STARTS)
            numbers[l] = level->start;
        else
            numbers[2 * l] = level->height, numbers[2 * l + 1] = level->width;
    }
}

static dcnv4_status plan(dcnv4_context *context, const dcnv4i_task *task, dcnv4_plan **made) {
    dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS];
    const dcnv4_msda_problem problem = dcnv4i_attn_of(task, room);
    return dcnv4_msda_plan_create(context, &problem, made);
}

static dcnv4_msda_buffers buffers_of(const dcnv4_buffer *t, dcnv4_buffer workspace) {
    return (dcnv4_msda_buffers){sizeof(dcnv4_msda_buffers),
                                t[0],
                                t[1],
                                t[2],
                                t[3],
                                t[4],
                                t[5],
                                t[6],
                                t[7],
                                t[8],
                                t[9],
                                t[10],
                                t[11],
                                workspace};
}

static dcnv4_status run(const dcnv4_plan *planned, dcnv4_pass pass, const dcnv4_buffer *t, dcnv4_buffer workspace) {
    const dcnv4_msda_buffers buffers = buffers_of(t, workspace);
    return (pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward : dcnv4_msda_backward)(planned, &buffers, NULL);
}

static dcnv4_status roofline(const dcnv4_plan *planned, dcnv4_pass pass, dcnv4_roofline which, const dcnv4_buffer *t,
                             dcnv4_buffer workspace) {
    const dcnv4_msda_buffers buffers = buffers_of(t, workspace);
    return dcnv4_msda_roofline_run(planned, pass, which, &buffers, NULL);
}

static void widen(dcnv4i_task *task) {
    dcnv4_msda_problem *const p = &task->attn;
    task->dtype = p->location_dtype = p->weight_dtype = p->reference_dtype = DCNV4_FLOAT64;
    p->levels_in_buffers = 0;
    p->value_stride = p->location_stride = p->weight_stride = p->reference_stride = p->output_stride = 0;
    p->grad_output_stride = p->grad_value_stride = p->grad_location_stride = p->grad_weight_stride = 0;
    p->grad_reference_stride = 0;
}

static bool same_layer(const dcnv4i_task *one, const dcnv4i_task *other) {
    dcnv4_msda_level rooms[2][DCNV4_MSDA_MAX_LEVELS];
    dcnv4_msda_problem a = dcnv4i_attn_of(one, rooms[0]), b = dcnv4i_attn_of(other, rooms[1]);
    a.batch = b.batch, a.value_length = b.value_length, a.queries = b.queries;
    for (int l = 0; a.level_count == b.level_count && l < a.level_count; ++l)
        if (a.levels[l].points != b.levels[l].points)
            return false;
    a.levels = b.levels;
    return memcmp(&a, &b, sizeof a) == 0;
}

/* ---- Reports -------------------------------------------------------------------------------------------------------- */

/* "4,4,4,4" as "4", "3,6,3" as itself. */
static void points_words(const dcnv4i_task *task, char *text, size_t size) {
    bool even = true;
    for (int l = 1; l < task->attn.level_count; ++l)
        even = even && task->levels[l].points == task->levels[0].points;
    size_t used = 0;
    *text = '\0';
    for (int l = 0; l < (even ? 1 : task->attn.level_count) && used < size; ++l)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, l ? "," : "", task->levels[l].points);
}

static void words(const dcnv4i_task *task, char *text, size_t size) {
    const dcnv4_msda_problem *p = &task->attn;
    char points[48];
    points_words(task, points, sizeof points);
    snprintf(text, size, "%" PRId64 "×%" PRId64 " · %" PRId64 "×%" PRId64 " · %" PRId64 "×%s of %" PRId64, p->batch,
             p->queries, p->heads, p->head_channels, p->level_count, points, p->value_length);
}

/* Their sizes: "[5, 6], [3, 3]" for programs, "5x6 3x3" in a column. */
static void list_levels(FILE *file, const dcnv4i_task *task, bool json) {
    for (int l = 0; l < task->attn.level_count; ++l)
        fprintf(file, "%s%s%" PRId64 "%s%" PRId64 "%s",
                l == 0 ? ""
                : json ? ", "
                       : " ",
                json ? "[" : "", task->levels[l].height, json ? ", " : "x", task->levels[l].width, json ? "]" : "");
}

static void list_points(FILE *file, const dcnv4i_task *task, const char *between) {
    for (int l = 0; l < task->attn.level_count; ++l)
        fprintf(file, "%s%" PRId64, l ? between : "", task->levels[l].points);
}

static void json(FILE *file, const dcnv4i_task *task) {
    const dcnv4_msda_problem *p = &task->attn;
    fprintf(file,
            ", \"operator\": \"msda\", \"batch\": %" PRId64 ", \"queries\": %" PRId64 ", \"places\": %" PRId64
            ", \"heads\": %" PRId64 ", \"head_channels\": %" PRId64 ", \"levels\": [",
            p->batch, p->queries, p->value_length, p->heads, p->head_channels);
    list_levels(file, task, true);
    fputs("], \"points\": [", file);
    list_points(file, task, ", ");
    fputs("]", file);
}

static void csv(FILE *file, const dcnv4i_task *task) {
    const dcnv4_msda_problem *p = &task->attn;
    fprintf(file, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", p->batch, p->queries,
            p->value_length, p->heads, p->head_channels);
    list_levels(file, task, false);
    fputc(',', file);
    list_points(file, task, " ");
}

const dcnv4i_task_operator dcnv4i_task_ms_deform_attn = {
    .number = DCNV4I_MS_DEFORM_ATTN,
    .tensor_count = DCNV4I_ATTN_TENSORS,
    .tensors = tensors,
    .part_count = sizeof parts / sizeof *parts,
    .parts = parts,
    .lay_out = lay_out,
    .plan = plan,
    .run = run,
    .roofline = roofline,
    .describe = dcnv4i_attn_describe,
    .fit = dcnv4i_attn_fit,
    .check_needs = "--value, --locations, --weights (unless --packed) and --levels or --spatial-shapes",
    .check_lacks = dcnv4i_attn_check_lacks,
    .layer_needs = "--preset, or --heads, --head-channels, --points and --levels (or as many --points as levels)",
    .layer_lacks = dcnv4i_attn_layer_lacks,
    .fill_integers = fill_integers,
    .draw = dcnv4i_attn_draw,
    .draw_dtypes = dcnv4i_attn_draw_dtypes,
    .draw_row = dcnv4i_attn_draw_row,
    .widen = widen,
    .bound = dcnv4i_attn_bound,
    .preset = dcnv4i_attn_preset,
    .standard_preset = "rt_detr",
    .sized = dcnv4i_attn_sized,
    .idle = dcnv4i_attn_idle,
    .fill = dcnv4i_attn_fill,
    .count_parts = dcnv4i_attn_count_parts,
    .cut = dcnv4i_attn_cut,
    .first_of = dcnv4i_attn_first_of,
    .gathered = dcnv4i_attn_gathered,
    .same_layer = same_layer,
    .scan = &dcnv4i_attn_scan,
    .legend = "problems are N×queries · heads×channels of each · levels×points of each in places of value",
    .words_width = 40,
    .words = words,
    .about = words,
    .json = json,
    .csv_head = "batch,queries,places,heads,head_channels,levels,points",
    .csv = csv,
};
