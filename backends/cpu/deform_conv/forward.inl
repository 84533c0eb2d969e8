/* value, offset_mask → a band of output's rows, of some groups. */

/* A forward task at work. */
typedef struct forward_state {
    const dcnv4i_conv_layer *layer;
    const dcnv4i_conv_task *task;
    point_source source;
    image_frame frame;
    view value;
    char *output;
    real *row; /* room for one group's results of a box, where output is converted */
    conv_chunk *chunk;
} forward_state;

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
static void forward_box(const forward_state *state, const place *at, const point_box *box) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4_problem *p = &layer->params;
    const view *value = &state->value;
    conv_chunk *const chunk = state->chunk;
    const int64_t item = layer->image.item, depth = p->group_channels, stride = p->output_stride;
    const int64_t count = points_in(box);
    NAME(read_box)(&state->source, at, box, chunk);
    NAME(place_points)(&state->source, count, chunk);
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
static void forward_groups(const forward_state *state, int64_t first, int64_t last) {
    const dcnv4i_conv_layer *layer = state->layer;
    const dcnv4i_conv_task *task = state->task;
    const int64_t width = layer->output_width, points = layer->points;
    const point_box largest = largest_box(width, last - first, points);
    for (int64_t oy = task->first_output; oy < task->last_output; ++oy)
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

static void NAME(forward)(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                          const dcnv4i_conv_task *task) {
    const dcnv4_problem *p = &layer->params;
    const int64_t depth = p->group_channels;
    const char *image = tensors->value + task->image * p->height * p->width * p->value_stride * layer->image.item;
    real *const copy = task->scratch ? (real *)task->scratch + DCNV4I_BOX_PIXELS * depth : NULL;
    conv_chunk chunk;
    chunk.grid_from = -1;
    forward_state state = {
        .layer = layer,
        .task = task,
        .source = source_of(layer, tensors, layer->read_offsets),
        .output = tensors->output,
        .row = task->scratch,
        .chunk = &chunk,
    };
    for (int64_t group = task->first_group, last; group < task->last_group; group = last) {
        last = dcnv4i_min64(group + task->packed_groups, task->last_group);
        state.value = view_rows(&layer->image, image, task->first_input, task->last_input, group * depth,
                                (last - group) * depth, copy);
        state.frame = NAME(conv_frame)(layer, task->first_input, task->last_input, state.value.stride, 0);
        forward_groups(&state, group, last);
    }
}
