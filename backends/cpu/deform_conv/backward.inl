/* value, offset_mask, grad_output → a band of grad_value's rows and a band of grad_offset_mask's, of some groups.
 * Output pixels are visited in order, so that every element of grad_value is added up in one order, whatever the
 * partition is. */

/* A backward task at work. */
typedef struct backward_state {
    const dcnv4i_conv_layer *layer;
    const dcnv4i_conv_tensors *tensors;
    point_source source;
    scatter_image image;         /* its grad may have rows that are not the task's own */
    int64_t first_own, last_own; /* the rows of grad_value that the task writes */
    real *row;                   /* room for one group's grad_output of a box, where it is copied; else NULL */
    int64_t depth;               /* channels of a group, in the copy if there is one */
    conv_chunk *chunk;
    point_sums *sums;
} backward_state;

/* A box on its way through. */
typedef struct backward_box {
    place at;
    point_box extent;
    bool ours; /* whether the task writes its gradient in grad_offset_mask */
} backward_box;

static output_gradient gradient_of(const backward_state *state, const backward_box *box) {
    const dcnv4_problem *p = &state->layer->params;
    const int64_t stride = p->grad_output_stride, channel = box->at.group * p->group_channels;
    return (output_gradient){
        .storage = state->tensors->grad_output + (box->at.pixel * stride + channel) * state->layer->image.item,
        .stride = stride,
        .channel = channel - state->image.value.first_channel,
    };
}

/* Scatters the gradients of a box whose cells were found. */
static void scatter_box(const backward_state *state, const backward_box *box) {
    const dcnv4i_conv_layer *layer = state->layer;
    const point_box *extent = &box->extent;
    const output_gradient out = gradient_of(state, box);
    const int64_t stored = layer->params.group_channels, depth = state->depth, count = points_in(extent);
    real *const corners = state->sums->corners;
    scatter s = {
        .to = &state->image,
        .chunk = &state->chunk->sampled,
        .points = extent->points,
        .out_stride = state->row ? depth : out.stride,
        .dots = corners,
        .streams = true,
    };
    for (int64_t i = 4 * count; i < 4 * (count + LANES - 1); ++i)
        corners[i] = 0;
    for (int64_t g = 0; g < extent->groups; ++g, s.first += extent->pixels * extent->points) {
        const char *const from = out.storage + g * stored * layer->image.item;
        const int64_t pixel = box->at.pixel, group = box->at.group + g;
        s.reads = rows_of_points(layer, state->source.offset_mask, layer->params.offset_mask_stride,
                                 pixel + extent->pixels, group);
        s.writes = rows_of_points(layer, state->tensors->grad_offset_mask, layer->params.grad_offset_mask_stride, pixel,
                                  group);
        if (state->row)
            layer->image.read(from, out.stride, state->row, depth, extent->pixels, stored);
        scatter_group(&s, extent->pixels, out.channel + g * depth, depth, state->row ? state->row : (const real *)from);
    }
}

/* Turns the sums of a box into gradients: chunk->pairs become those of the offsets, sums->by_weight those of the
 * weights. */
static void NAME(finish_box)(const backward_state *state, const backward_box *box) {
    const scattered_chunk scattered = {&state->image, &state->chunk->sampled, gradient_of(state, box), state->sums};
    const int64_t count = points_in(&box->extent);
    const real scale = state->source.scale;
    if (state->image.frame.exact)
        finish_derivatives(&scattered, count, scale, scale, state->chunk->pairs);
    else
        NAME(finish_exactly)(&scattered, count, scale, scale, state->chunk->pairs);
}

/* Writes the gradients of a box to grad_offset_mask. */
static void write_box(const backward_state *state, const backward_box *box) {
    const dcnv4i_conv_layer *layer = state->layer;
    const place *at = &box->at;
    const point_box *extent = &box->extent;
    const int64_t points = layer->points, count = extent->points, item = layer->offset_item;
    const int64_t row = layer->params.grad_offset_mask_stride;
    const real *pairs = state->chunk->pairs, *by_weight = state->sums->by_weight;
    char *block = state->tensors->grad_offset_mask + (at->pixel * row + at->group * 3 * points) * item;
    for (int64_t g = 0; g < extent->groups; ++g, block += 3 * points * item) {
        layer->write_near_offsets(pairs, 2 * count, block + 2 * at->point * item, row, extent->pixels, 2 * count);
        layer->write_near_offsets(by_weight, count, block + (2 * points + at->point) * item, row, extent->pixels,
                                  count);
        pairs += 2 * count * extent->pixels, by_weight += count * extent->pixels;
    }
}

/* Whether a point of the chunk may touch the task's own rows. One exactly on the row above counts: its weight there
 * is 0, but 0 · Inf = NaN. */
static bool touches_own_rows(const backward_state *state, int64_t count) {
    const point_chunk *chunk = &state->chunk->sampled;
    const vec above = vset((real)(state->first_own - 1 - chunk->middle_y)),
              end = vset((real)(state->last_own - chunk->middle_y));
    vmask far = vless(above, above);
    far = vmask_not(far);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec y = vload(chunk->y + i);
        far = vmask_and(far, vmask_or(vless(y, above), vmask_not(vless(y, end))));
    }
    return !state->image.frame.exact || !vmask_full(far);
}

/* Σ_k weight_k · ∂/∂weight_k over the points of one group and pixel that a chunk has. */
static real weighted_sum(const backward_state *state, int64_t from, int64_t count) {
    real sum = 0;
    for (int64_t k = from; k < from + count; ++k)
        sum += state->chunk->sampled.weight[k] * state->sums->by_weight[k];
    return sum;
}

/* Finds the cells of a box and scatters its gradients, if it touches the task's rows or is its own; then its points'
 * gradients are computed too. */
static void NAME(sum_box)(const backward_state *state, const backward_box *box) {
    const int64_t count = points_in(&box->extent);
    NAME(read_box)(&state->source, &box->at, &box->extent, state->chunk);
    NAME(place_points)(&state->source, count, state->chunk);
    if (!box->ours && !touches_own_rows(state, count))
        return;
    image_frame frame = state->image.frame;
    if (!box->ours) /* points in other rows then need no exact path: their weights in these rows are 0 */
        frame.lowest_row = -INFINITY, frame.highest_row = INFINITY;
    find_cells(&frame, count, true, &state->chunk->sampled);
    scatter_box(state, box);
    if (box->ours)
        NAME(finish_box)(state, box);
}

/* The parts of a kernel that does not fit one chunk, each a box of one pixel and group. */
static backward_box part_of_kernel(const backward_state *state, place at) {
    return (backward_box){at, {1, 1, dcnv4i_min64(POINTS, state->layer->points - at.point)}, true};
}

/* Σ grad_output · result over the channels, of the points of a part. */
static real gradient_times_result(const backward_state *state, const backward_box *box) {
    const dcnv4i_conv_layer *layer = state->layer;
    const output_gradient out = gradient_of(state, box);
    const int64_t depth = layer->params.group_channels;
    real sums[BLOCK * LANES], gradient[BLOCK * LANES], total = 0;
    NAME(read_box)(&state->source, &box->at, &box->extent, state->chunk);
    NAME(place_points)(&state->source, box->extent.points, state->chunk);
    find_cells(&state->image.frame, box->extent.points, false, &state->chunk->sampled);
    for (int64_t d = 0; d < depth; d += BLOCK * LANES) {
        const int64_t count = dcnv4i_min64(depth - d, BLOCK * LANES);
        gather g = {
            .frame = &state->image.frame, .from = &state->image.value, .chunk = &state->chunk->sampled, .ahead = sums};
        gather_group(&g, 1, out.channel + d, count, sums);
        layer->image.read(out.storage + d * layer->image.item, 0, gradient, 0, 1, count);
        for (int64_t i = 0; i < count; ++i)
            total += gradient[i] * sums[i];
    }
    return total;
}

/* Σ_k weight_k · ∂/∂weight_k in the formula's order, by a round that scatters to no row. */
static real mean_in_order(const backward_state *state, place at) {
    backward_state dry = *state;
    dry.image.grad.first_row = dry.image.grad.last_row = 0;
    dry.image.frame = NAME(conv_frame)(state->layer, 0, 0, 0, 0);
    real mean = 0;
    for (; at.point < state->layer->points; at.point += POINTS) {
        const backward_box box = part_of_kernel(state, at);
        NAME(sum_box)(&dry, &box);
        mean += weighted_sum(state, 0, box.extent.points);
    }
    return mean;
}

/* The same for a kernel that does not fit one chunk, as softmax needs it. It is grad_output times the result, which takes less
 * than half as long; but where it is not finite, the order of the sum decides what it is. */
static real mean_of_large_kernel(const backward_state *state, place at) {
    const view *value = &state->image.value;
    real mean = 0;
    if (!state->image.frame.exact || value->first_row == value->last_row)
        return mean_in_order(state, at);
    for (place part = at; part.point < state->layer->points; part.point += POINTS) {
        const backward_box box = part_of_kernel(state, part);
        mean += gradient_times_result(state, &box);
    }
    return mean - mean == 0 ? mean : mean_in_order(state, at);
}

/* Does all for a box. large_mean is mean_of_large_kernel's, where that is needed. */
static void process_box(const backward_state *state, const backward_box *box, real large_mean) {
    const dcnv4i_conv_layer *layer = state->layer;
    const int64_t points = box->extent.points, count = points_in(&box->extent);
    const real *const weight = state->chunk->sampled.weight;
    real *const by_weight = state->sums->by_weight;
    NAME(sum_box)(state, box);
    if (!box->ours)
        return;
    for (int64_t from = 0; layer->params.softmax && from < count; from += points) {
        const real mean = points == layer->points ? weighted_sum(state, from, points) : large_mean;
        for (int64_t k = from; k < from + points; ++k)
            by_weight[k] = weight[k] * (by_weight[k] - mean);
    }
    write_box(state, box);
}

/* Zeroes the padding of grad_offset_mask behind the last group, in the task's output rows. */
static void clear_padding(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                          const dcnv4i_conv_task *task) {
    const dcnv4_problem *p = &layer->params;
    const size_t used = (size_t)(3 * layer->points * p->groups), padding = (size_t)p->offset_mask_row - used;
    const int64_t row = layer->output_width, before = task->image * layer->output_height;
    if (task->last_group < p->groups || padding == 0)
        return;
    const size_t item = (size_t)layer->offset_item;
    for (int64_t i = (before + task->first_output) * row; i < (before + task->last_output) * row; ++i)
        memset(tensors->grad_offset_mask + ((size_t)(i * p->grad_offset_mask_stride) + used) * item, 0, padding * item);
}

/* Goes through all output rows of the image, for the rows of grad_value that are the task's. */
static void NAME(backward_rows)(const backward_state *state, const dcnv4i_conv_task *task) {
    const dcnv4i_conv_layer *layer = state->layer;
    const int64_t width = layer->output_width, points = layer->points;
    const point_box largest = largest_box(width, task->last_group - task->first_group, points);
    const bool needs_mean = points > largest.points && layer->params.softmax;
    conv_chunk chunk;
    chunk.grid_from = -1;
    point_sums sums;
    backward_state own = *state;
    own.chunk = &chunk, own.sums = &sums;
    for (int64_t oy = 0; oy < layer->output_height; ++oy) {
        const bool ours = oy >= task->first_output && oy < task->last_output;
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = task->first_group; group < task->last_group; group += largest.groups) {
                place at = {(task->image * layer->output_height + oy) * width + ox, oy, ox, group, 0};
                const real mean = needs_mean && ours ? mean_of_large_kernel(&own, at) : 0;
                do {
                    const backward_box box = {at,
                                              {dcnv4i_min64(largest.pixels, width - ox),
                                               dcnv4i_min64(largest.groups, task->last_group - group),
                                               dcnv4i_min64(largest.points, points - at.point)},
                                              ours};
                    process_box(&own, &box, mean);
                    at.point += largest.points;
                } while (at.point < points);
            }
    }
}

/* The same, with every sum of 0 made +0. A sum that underflows may be −0, and whether points elsewhere add +0 to it
 * depends on the partition. That is rare enough to look for it only where the processor's flag says that something
 * did underflow. */
static void NAME(backward_sums)(const backward_state *state, const dcnv4i_conv_task *task, int64_t channels) {
    const grad_rows *grad = &state->image.grad;
    const int64_t width = state->layer->params.width, rows = state->last_own - state->first_own;
    const int callers = clear_flags();
    NAME(backward_rows)(state, task);
    if (fetestexcept(FE_UNDERFLOW)) {
        real *pixel = grad->pixels + (state->first_own - grad->first_row) * width * grad->stride;
        for (int64_t i = 0; i < rows * width; ++i, pixel += grad->stride)
            for (int64_t c = 0; c < channels; ++c)
                pixel[c] += 0;
    }
    feraiseexcept(callers);
}

/* Copies one group's channels of value as reals, `depth` of them with the zeros behind, and with room for their gradients,
 * zeroed, between the pixels. In a
 * copy neighbouring pixels are side by side, and a few rows stay in the first-level cache; in value, pixels of many
 * groups are often a large power of two apart and compete for few of its sets. */
static void pack(const dcnv4i_image *image, const char *from, int64_t pixels, int64_t depth, real *to) {
    image->read(from, image->stride, to, 2 * depth, pixels, image->depth);
    for (int64_t i = 0; i < pixels; ++i, to += 2 * depth)
        for (int64_t d = image->depth; d < 2 * depth; ++d)
            to[d] = 0;
}

/* A task's groups one after the other, each on a copy of its channels. `rows` is where the task's rows of grad_value
 * begin. */
static void NAME(backward_packed)(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                                  const dcnv4i_conv_task *task, const char *image, char *rows) {
    const dcnv4_problem *p = &layer->params;
    const int64_t item = layer->image.item, stored = p->group_channels, depth = layer->packed_depth, stride = 2 * depth;
    const int64_t pixels = (task->last_input - task->first_input) * p->width;
    real *const packed = task->scratch, *const grad = packed + depth, *const row = packed + pixels * stride;
    dcnv4i_conv_task one = *task;
    backward_state state = {
        .layer = layer,
        .tensors = tensors,
        .source = source_of(layer, tensors, layer->read_near_offsets),
        .image.frame = NAME(conv_frame)(layer, task->first_input, task->last_input, stride, stride),
        .image.grad = {grad, stride, task->first_input, task->last_input},
        .first_own = task->first_own,
        .last_own = task->last_own,
        .row = dcnv4i_copies_grad_output(layer) ? row : NULL,
        .depth = depth,
    };
    if (state.row)
        memset(row, 0, (size_t)(DCNV4I_BOX_PIXELS * depth) * sizeof *row);
    for (int64_t group = task->first_group; group < task->last_group; ++group) {
        const int64_t channel = group * stored;
        const char *const storage = image + channel * item;
        one.first_group = group, one.last_group = group + 1;
        state.image.value = (view){packed, stride, task->first_input, task->last_input, channel, storage};
        pack(&layer->image, storage + task->first_input * p->width * p->value_stride * item, pixels, depth, packed);
        NAME(backward_sums)(&state, &one, depth);
        layer->write(grad + (task->first_own - task->first_input) * p->width * stride, stride, rows + channel * item,
                     p->grad_value_stride, (task->last_own - task->first_own) * p->width, stored);
    }
}

/* A task's groups at once, on the tensors themselves, which are of reals. */
static void NAME(backward_in_place)(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                                    const dcnv4i_conv_task *task, const char *image, char *rows) {
    const dcnv4_problem *p = &layer->params;
    const int64_t first = task->first_group * p->group_channels, stride = p->grad_value_stride;
    const int64_t channels = (task->last_group - task->first_group) * p->group_channels;
    const int64_t pixels = (task->last_own - task->first_own) * p->width;
    const backward_state state = {
        .layer = layer,
        .tensors = tensors,
        .source = source_of(layer, tensors, layer->read_near_offsets),
        .image.frame = NAME(conv_frame)(layer, task->first_own, task->last_own, p->value_stride, stride),
        .image.value = view_rows(&layer->image, image, 0, p->height, first, channels, NULL),
        .image.grad = {(real *)rows + first, stride, task->first_own, task->last_own},
        .first_own = task->first_own,
        .last_own = task->last_own,
        .depth = p->group_channels,
    };
    for (int64_t i = 0; i < pixels; ++i)
        memset(state.image.grad.pixels + i * stride, 0, (size_t)channels * sizeof(real));
    NAME(backward_sums)(&state, task, channels);
}

static void NAME(backward)(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                           const dcnv4i_conv_task *task) {
    const dcnv4_problem *p = &layer->params;
    const int64_t item = layer->image.item, first_pixel = task->image * p->height * p->width;
    const char *const image = tensors->value + first_pixel * p->value_stride * item;
    char *const rows = tensors->grad_value + (first_pixel + task->first_own * p->width) * p->grad_value_stride * item;
    (task->scratch ? NAME(backward_packed) : NAME(backward_in_place))(layer, tensors, task, image, rows);
    clear_padding(layer, tensors, task);
}
