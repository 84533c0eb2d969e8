/* value, locations, weights → output, for some queries of one head. */

typedef struct forward_state {
    const dcnv4i_attn_layer *layer;
    const char *value; /* of the task's batch */
    const real
        *copy; /* the head's channels of all places, or NULL: where value is not stored as reals, every point then
                              * takes the exact path */
    char *output;
    real *sums, *level_sums; /* room for a box's rows each */
    point_source source;
    point_chunk chunk;
    _Alignas(64) real pairs[2 * POINTS_ROOM];
} forward_state;

/* Gathers one level of a box to rows that are `stride` reals apart. */
static void NAME(gather_level)(forward_state *state, const query_box *box, const level_points *all, real *to,
                               int64_t stride) {
    const dcnv4i_attn_layer *layer = state->layer;
    const int64_t depth = layer->problem->params.head_channels;
    const dcnv4_msda_level *const level = &state->source.tensors->levels[all->level];
    const scatter_image image = NAME(level_image)(layer, level, state->value, box->head, state->copy, NULL, depth, 0);
    for (int64_t k = 0; k < all->count; k += POINTS) {
        const level_points some = {all->level, all->first + k, dcnv4i_min64(all->count - k, POINTS)};
        gather g = {
            .frame = &image.frame,
            .from = &image.value,
            .chunk = &state->chunk,
            .out_stride = stride,
            .accumulate = k > 0,
            .ahead = to,
        };
        NAME(read_points)(&state->source, box, &some, state->pairs, &state->chunk);
        find_cells(&image.frame, some.count * box->queries, false, &state->chunk);
        gather_group(&g, box->queries, 0, depth, to);
    }
}

/* to += from, for rows of `depth` reals. */
static void add_rows(const real *from, int64_t rows, int64_t depth, real *to, int64_t stride) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t d = 0; d < depth; ++d)
            to[i * stride + d] += from[i * depth + d];
}

/* Computes a box of output. Levels are summed one after the other, each first by itself. */
static void NAME(forward_box)(forward_state *state, const query_box *box) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4i_ms_deform_attn *problem = layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t depth = p->head_channels, row = p->output_stride;
    char *const out = state->output + (box->row * row + box->head * depth) * layer->item;
    real *const sums = layer->converts ? state->sums : (real *)out;
    const int64_t stride = layer->converts ? depth : row;
    bool first = true;
    if (p->softmax)
        NAME(normalize)(&state->source, box);
    level_points points = {.first = 0};
    for (int l = 0; l < p->level_count; ++l, points.first += points.count) {
        points.level = l;
        points.count = problem->levels[l].points;
        if (points.count == 0)
            continue;
        NAME(gather_level)(state, box, &points, first ? sums : state->level_sums, first ? stride : depth);
        if (!first)
            add_rows(state->level_sums, box->queries, depth, sums, stride);
        first = false;
    }
    for (int64_t i = 0; first && i < box->queries; ++i)
        memset(sums + i * stride, 0, (size_t)depth * sizeof *sums);
    if (layer->converts)
        layer->write(sums, depth, out, row, box->queries, depth);
}

static const char *batch_value(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors, int64_t batch) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    return tensors->value + batch * p->value_length * p->value_stride * layer->item;
}

/* `value` is the batch's; scratch has room for 2·box_queries rows. */
static void NAME(start_forward)(forward_state *state, const dcnv4i_attn_layer *layer,
                                const dcnv4i_attn_tensors *tensors, const char *value, const real *copy,
                                real *scratch) {
    state->layer = layer;
    state->value = value;
    state->copy = copy;
    state->output = tensors->output;
    state->sums = scratch;
    state->level_sums = scratch + layer->box_queries * layer->problem->params.head_channels;
    state->source.layer = layer;
    state->source.tensors = tensors;
}

/* Some queries of some heads. */
static void NAME(forward_by_level)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors,
                                   const dcnv4i_attn_task *task) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t depth = p->head_channels;
    const char *const value = batch_value(layer, tensors, task->batch);
    real *const scratch = task->scratch, *const copy = layer->converts ? scratch + 2 * layer->box_queries * depth
                                                                       : NULL;
    forward_state state;
    NAME(start_forward)(&state, layer, tensors, value, copy, scratch);
    for (int64_t head = task->head; head < task->last_head; ++head) {
        if (copy)
            layer->read(value + head * depth * layer->item, p->value_stride, copy, depth, p->value_length, depth);
        for (int64_t query = task->first_query; query < task->last_query; query += layer->box_queries) {
            const query_box box = {task->batch * p->queries + query, head,
                                   dcnv4i_min64(layer->box_queries, task->last_query - query)};
            NAME(forward_box)(&state, &box);
        }
    }
}
