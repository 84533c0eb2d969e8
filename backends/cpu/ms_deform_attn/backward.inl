/* value, locations, weights, grad_output → grad_value of one head, and the gradients of its locations and weights. Queries are
 * visited in order, so that every element of grad_value is summed in one order. */

typedef struct backward_state {
    const dcnv4i_attn_layer *layer;
    const dcnv4i_attn_tensors *tensors;
    const char *value; /* of the task's batch */
    const real *copy;  /* the head's channels of all places, their gradients between them; NULL to use value itself */
    real *grad;        /* where the gradients are summed, 0 at first: of the head's first channel in the first place */
    int64_t grad_stride;
    real *row;       /* room for a box's grad_output */
    real *by_weight; /* [queries, P] of a box: the derivatives by the weights … */
    real *weights;   /* … and the weights */
    point_source source;
    point_chunk chunk;
    point_sums sums;
    _Alignas(64) real pairs[2 * POINTS_ROOM];
    real locations[2 * POINTS_ROOM]; /* what pairs had before their gradients */
} backward_state;

/* Of a box: grad_output as reals, and as it is stored. */
typedef struct box_gradient {
    const real *rows;
    int64_t stride;
    output_gradient stored;
} box_gradient;

static void write_locations(const backward_state *state, const query_box *box, const level_points *some) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t at = box->row * p->grad_location_stride + box->head * layer->problem->location_head + 2 * some->first;
    layer->write_locations(state->pairs, 2 * some->count, state->tensors->grad_locations + at * layer->location_item,
                           p->grad_location_stride, box->queries, 2 * some->count);
}

/* Where the sums of one head and query's gradients of references are: [N·Q, M, R·2 or R·4], later summed over the heads. */
static inline real *reference_sums_of(const backward_state *state, int64_t row, int64_t head) {
    const dcnv4i_ms_deform_attn *problem = state->layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    return (real *)state->tensors->reference_sums +
           (row * p->heads + head) * p->reference_levels * problem->reference_numbers;
}

/* From derivatives by positions, in pairs: adds those by the references, and makes them derivatives by the locations. Points that
 * do not count have 0, which must not meet a location that is not finite. */
static NOINLINE void NAME(finish_references)(backward_state *state, const query_box *box, const level_points *some) {
    const dcnv4i_ms_deform_attn *problem = state->layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const dcnv4_msda_level *const level = &state->tensors->levels[some->level];
    const int numbers = problem->reference_numbers;
    const real width = (real)level->width, height = (real)level->height, part = box_part(p, level);
    real *pair = state->pairs;
    const real *location = state->locations;
    for (int64_t i = 0; i < box->queries; ++i) {
        const level_axes axes = NAME(axes_of)(state->layer, state->tensors, box->row + i, some->level);
        real *const sums = reference_sums_of(state, box->row + i, box->head) +
                           (p->reference_levels == 1 ? 0 : some->level * numbers);
        for (int64_t k = 0; k < some->count; ++k, pair += 2, location += 2) {
            const real by_x = width * pair[0], by_y = height * pair[1];
            sums[0] += by_x, sums[1] += by_y;
            if (numbers == 4) {
                sums[2] += by_x != 0 ? by_x * part * location[0] : 0;
                sums[3] += by_y != 0 ? by_y * part * location[1] : 0;
                pair[0] = pair[0] != 0 ? pair[0] * axes.scale_x : 0;
                pair[1] = pair[1] != 0 ? pair[1] * axes.scale_y : 0;
            }
        }
    }
}

/* Sums the gradients of references of rows first to last − 1 over the heads, in their order. */
static void NAME(sum_references)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors, int64_t first,
                                 int64_t last) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t count = p->reference_levels * layer->problem->reference_numbers;
    for (int64_t row = first; row < last; ++row) {
        real *const sums = (real *)tensors->reference_sums + row * p->heads * count;
        for (int64_t i = count; i < p->heads * count; ++i)
            sums[i % count] += sums[i];
        layer->write_references(
            sums, 0, tensors->grad_references + row * p->grad_reference_stride * layer->reference_item, 0, 1, count);
    }
}

/* Scatters some points of a level, and computes their gradients. */
static void NAME(backward_points)(backward_state *state, const query_box *box, const level_points *some,
                                  const scatter_image *image, const box_gradient *out) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t points = layer->problem->points, count = some->count * box->queries;
    const bool normalized = p->location_unit == DCNV4_MSDA_NORMALIZED;
    const dcnv4_msda_level *const level = &state->tensors->levels[some->level];
    const real scale_x = normalized ? (real)level->width : 1, scale_y = normalized ? (real)level->height : 1;
    scatter s = {
        .to = image,
        .chunk = &state->chunk,
        .points = some->count,
        .out_stride = out->stride,
        .dots = state->sums.corners,
    };
    const scattered_chunk scattered = {image, &state->chunk, out->stored, &state->sums};
    NAME(read_points)(&state->source, box, some, state->pairs, &state->chunk);
    if (layer->problem->reference_numbers > 0)
        memcpy(state->locations, state->pairs, (size_t)(2 * count) * sizeof *state->pairs);
    find_cells(&image->frame, count, true, &state->chunk);
    for (int64_t i = 4 * count; i < 4 * (count + LANES - 1); ++i)
        state->sums.corners[i] = 0;
    scatter_group(&s, box->queries, 0, layer->packed_depth, out->rows);
    if (image->frame.exact)
        finish_derivatives(&scattered, count, scale_x, scale_y, state->pairs);
    else
        NAME(finish_exactly)(&scattered, count, scale_x, scale_y, state->pairs);
    if (layer->problem->reference_numbers > 0)
        NAME(finish_references)(state, box, some);
    write_locations(state, box, some);
    for (int64_t i = 0; i < box->queries; ++i)
        for (int64_t k = 0; k < some->count; ++k) {
            state->by_weight[i * points + some->first + k] = state->sums.by_weight[i * some->count + k];
            state->weights[i * points + some->first + k] = state->chunk.weight[i * some->count + k];
        }
}

/* Writes the gradients of a box's weights: with softmax a_k·(∂/∂a_k − Σ_j a_j·∂/∂a_j). */
static void NAME(write_weights)(const backward_state *state, const query_box *box) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4i_ms_deform_attn *problem = layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t points = problem->points, stride = p->packed ? p->grad_location_stride : p->grad_weight_stride;
    for (int64_t i = 0; p->softmax && i < box->queries; ++i) {
        real *const by_weight = state->by_weight + i * points;
        const real *const weight = state->weights + i * points;
        real mean = 0;
        for (int64_t k = 0; k < points; ++k)
            mean += weight[k] * by_weight[k];
        for (int64_t k = 0; k < points; ++k)
            by_weight[k] = weight[k] * (by_weight[k] - mean);
    }
    layer->write_weights(state->by_weight, points,
                         state->tensors->grad_weights +
                             (box->row * stride + box->head * problem->weight_head) * layer->weight_item,
                         stride, box->queries, points);
}

/* Whether the rows of grad_output of a box are copied, as reals and whole vectors. */
static bool copies_grad_output(const dcnv4i_attn_layer *layer) {
    return layer->converts || layer->packed_depth != layer->problem->params.head_channels;
}

static void NAME(backward_box)(backward_state *state, const query_box *box) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4i_ms_deform_attn *problem = layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t depth = p->head_channels, stride = p->grad_output_stride;
    const char *const stored = state->tensors->grad_output + (box->row * stride + box->head * depth) * layer->item;
    const bool copies_out = copies_grad_output(layer);
    const box_gradient out = {
        .rows = copies_out ? state->row : (const real *)stored,
        .stride = copies_out ? layer->packed_depth : stride,
        .stored = {stored, stride, 0},
    };
    if (copies_out)
        layer->read(stored, stride, state->row, layer->packed_depth, box->queries, depth);
    if (p->softmax)
        NAME(normalize)(&state->source, box);
    for (int64_t i = 0; problem->reference_numbers > 0 && i < box->queries; ++i)
        memset(reference_sums_of(state, box->row + i, box->head), 0,
               (size_t)(p->reference_levels * problem->reference_numbers) * sizeof(real));
    level_points all = {.first = 0};
    for (int l = 0; l < p->level_count; ++l, all.first += all.count) {
        all.level = l;
        all.count = problem->levels[l].points;
        const scatter_image image = NAME(level_image)(layer, &state->tensors->levels[l], state->value, box->head,
                                                      state->copy, state->grad, 2 * layer->packed_depth,
                                                      state->grad_stride);
        for (int64_t k = 0; k < all.count; k += POINTS) {
            const level_points some = {all.level, all.first + k, dcnv4i_min64(all.count - k, POINTS)};
            NAME(backward_points)(state, box, &some, &image, &out);
        }
    }
    NAME(write_weights)(state, box);
}

/* Copies the head's channels of all places as reals, rounded up to whole vectors, with their gradients, 0 at first, behind
 * each. */
static void copy_value(const backward_state *state, int64_t head, real *copy) {
    const dcnv4i_attn_layer *layer = state->layer;
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t depth = p->head_channels, stride = 2 * layer->packed_depth;
    layer->read(state->value + head * depth * layer->item, p->value_stride, copy, stride, p->value_length, depth);
    for (int64_t i = 0; i < p->value_length; ++i)
        memset(copy + i * stride + depth, 0, (size_t)(stride - depth) * sizeof *copy);
}

static void NAME(backward)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors,
                           const dcnv4i_attn_task *task) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t depth = p->head_channels, packed = layer->packed_depth, points = layer->problem->points;
    const int64_t rows = layer->box_queries * packed;
    const int64_t first_place = task->batch * p->value_length;
    char *const grad = tensors->grad_value + (first_place * p->grad_value_stride + task->head * depth) * layer->item;
    real *const scratch = task->scratch, *const copy = scratch + 2 * rows + 2 * layer->box_queries * points;
    backward_state state;
    state.layer = layer;
    state.tensors = tensors;
    state.value = tensors->value + first_place * p->value_stride * layer->item;
    state.copy = layer->copies ? copy : NULL;
    state.grad = layer->copies ? copy + packed : (real *)grad;
    state.grad_stride = layer->copies ? 2 * packed : p->grad_value_stride;
    state.row = scratch;
    state.by_weight = scratch + 2 * rows, state.weights = state.by_weight + layer->box_queries * points;
    state.source.layer = layer, state.source.tensors = tensors;
    if (layer->copies)
        copy_value(&state, task->head, copy);
    if (copies_grad_output(layer))
        memset(state.row, 0, (size_t)rows * sizeof *state.row);
    const int callers = clear_flags();
    for (int64_t query = task->first_query; query < task->last_query; query += layer->box_queries) {
        const query_box box = {task->batch * p->queries + query, task->head,
                               dcnv4i_min64(layer->box_queries, task->last_query - query)};
        NAME(backward_box)(&state, &box);
    }
    feraiseexcept(callers);
    if (layer->copies)
        layer->write(state.grad, state.grad_stride, grad, p->grad_value_stride, p->value_length, depth);
}
