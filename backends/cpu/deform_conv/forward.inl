/* value, offset_mask → a band of output's rows, of some groups. */

/* A forward task at work. */
typedef struct forward_state {
    const dcnv4i_conv_layer *layer;
    const dcnv4i_conv_task *task;
    point_source source;
    image_frame frame;
    const char *image; /* of value, from the first group's first channel on */
    real *copy;        /* room for the rows that the task may copy; NULL where the tensor itself is gathered from */
    view value;        /* the tensor's rows, or those that were copied so far */
    char *output;
    real *row; /* room for one group's results of a box, where output is converted */
    conv_chunk *chunk;
} forward_state;

/* Copies rows of value up to this many, where there are copies. */
static void hold_rows(forward_state *state, int64_t first, int64_t last) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4i_image *image = &layer->image;
    view *value = &state->value;
    if (!state->copy || (first >= value->first_row && last <= value->last_row))
        return;
    first = dcnv4i_min64(first, value->first_row), last = dcnv4i_max64(last, value->last_row);
    const int64_t width = layer->params.width, row = width * value->stride, top = state->task->first_input;
    const int64_t parts[2][2] = {{first, value->first_row}, {value->last_row, last}};
    for (int i = 0; i < 2; ++i) {
        if (parts[i][0] == parts[i][1])
            continue;
        image->read(value->storage + parts[i][0] * width * image->stride * image->item, image->stride,
                    state->copy + (parts[i][0] - top) * row, value->stride, (parts[i][1] - parts[i][0]) * width,
                    value->stride);
    }
    value->pixels = state->copy + (first - top) * row;
    value->first_row = first, value->last_row = last;
    state->frame = NAME(conv_frame)(layer, first, last, value->stride, 0);
}

/* Copies more rows, for points that are farther away than most; false if there are no more. */
static bool hold_more_rows(forward_state *state) {
    enum { MORE = 16 };
    const dcnv4i_conv_task *task = state->task;
    const int64_t first = dcnv4i_max64(state->value.first_row - MORE, task->first_input);
    const int64_t last = dcnv4i_min64(state->value.last_row + MORE, task->last_input);
    if (!state->copy || (first == state->value.first_row && last == state->value.last_row))
        return false;
    hold_rows(state, first, last);
    return true;
}

/* Makes the view of groups first to last − 1. Of copies it has no rows yet. */
static void view_groups(forward_state *state, int64_t first, int64_t last) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4i_conv_task *task = state->task;
    const int64_t depth = layer->params.group_channels, channel = first * depth;
    if (!state->copy) {
        state->value = view_rows(&layer->image, state->image, task->first_input, task->last_input, channel,
                                 (last - first) * depth, NULL);
        state->frame = NAME(conv_frame)(layer, task->first_input, task->last_input, state->value.stride, 0);
        return;
    }
    int64_t row, end;
    dcnv4i_partition_input_rows(layer, task->first_output, task->last_output, &row, &end);
    row = dcnv4i_max64(row, task->first_input);
    state->value = (view){
        state->copy, (last - first) * depth, row, row, channel, state->image + channel * layer->image.item};
    hold_rows(state, row, dcnv4i_min64(end, task->last_input));
}

/* What a box prefetches of value: the row that the kernel's lowest points sample with an offset of OFFSET rows; most
 * offsets are smaller. Hardware prefetchers cannot predict these addresses, and without this most waits for memory
 * would be for them. */
static const real *prefetched_row(const view *value, const point_chunk *chunk, const dcnv4_problem *p) {
    enum { OFFSET = 3 };
    const int64_t span = p->dilation_h * (p->kernel_h - 1), below = span - dcnv4i_half_span(p->kernel_h, p->dilation_h);
    const int64_t rows = value->last_row - value->first_row;
    const int64_t lowest = chunk->middle_y + dcnv4i_min64(below, p->height) - value->first_row;
    const int64_t row = dcnv4i_min64(lowest, rows - OFFSET) + OFFSET;
    const int64_t pixel = clamped(row, rows) * p->width + clamped(chunk->first_middle_x, p->width);
    return value->pixels + pixel * value->stride;
}

/* Computes a box of output. */
static void forward_box(forward_state *state, const place *at, const point_box *box) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4_problem *p = &layer->params;
    const view *value = &state->value;
    conv_chunk *const chunk = state->chunk;
    const int64_t item = layer->image.item, depth = p->group_channels, stride = p->output_stride;
    const int64_t count = points_in(box);
    NAME(read_box)(&state->source, at, box, chunk);
    NAME(place_points)(&state->source, count, chunk);
    find_cells(&state->frame, count, false, &chunk->sampled);
    while (!chunk->sampled.complete && hold_more_rows(state))
        find_cells(&state->frame, count, false, &chunk->sampled);
    gather g = {
        .frame = &state->frame,
        .from = value,
        .chunk = &chunk->sampled,
        .out_stride = layer->converts ? depth : stride,
        .accumulate = at->point > 0,
        .ahead = prefetched_row(value, &chunk->sampled, p),
        .ahead_step = dcnv4i_min64(p->stride_w, p->width) * value->stride,
    };
    for (int64_t channel = at->group * depth; channel < (at->group + box->groups) * depth; channel += depth) {
        char *const out = state->output + (at->pixel * stride + channel) * item;
        real *const sums = layer->converts ? state->row : (real *)out;
        gather_group(&g, box->pixels, channel - value->first_channel, depth, sums);
        if (layer->converts && at->point + box->points == layer->points)
            layer->write(state->row, depth, out, stride, box->pixels, depth);
    }
}

/* Computes groups first to last − 1, whose channels are in the view. */
static void forward_groups(forward_state *state, int64_t first, int64_t last) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4i_conv_task *task = state->task;
    const int64_t width = layer->output_width, points = layer->points;
    const point_box largest = largest_box(width, last - first, points);
    for (int64_t oy = task->first_output; oy < task->last_output; ++oy) {
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = first; group < last; group += largest.groups) {
                place at = {(task->image * layer->output_height + oy) * width + ox, oy, ox, group, 0};
                do {
                    const point_box box = {dcnv4i_min64(largest.pixels, width - ox),
                                           dcnv4i_min64(largest.groups, last - group),
                                           dcnv4i_min64(largest.points, points - at.point)};
                    forward_box(state, &at, &box);
                    at.point += largest.points;
                } while (at.point < points);
            }
    }
}

static void NAME(forward)(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                          const dcnv4i_conv_task *task) {
    const dcnv4_problem *p = &layer->params;
    const int64_t depth = p->group_channels;
    conv_chunk chunk;
    chunk.grid_from = -1;
    forward_state state = {
        .layer = layer,
        .task = task,
        .source = source_of(layer, tensors, layer->read_offsets),
        .image = tensors->value + task->image * p->height * p->width * p->value_stride * layer->image.item,
        .copy = task->scratch ? (real *)task->scratch + DCNV4I_BOX_PIXELS * depth : NULL,
        .output = tensors->output,
        .row = task->scratch,
        .chunk = &chunk,
    };
    for (int64_t group = task->first_group, last; group < task->last_group; group = last) {
        last = dcnv4i_min64(group + task->packed_groups, task->last_group);
        view_groups(&state, group, last);
        forward_groups(&state, group, last);
    }
}
