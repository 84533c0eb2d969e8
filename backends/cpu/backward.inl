/* value, offset_mask, grad_output → a band of grad_value's rows and a band of grad_offset_mask's, of some groups. Output
 * pixels are gone through in order, so that every element of grad_value is added up in one order however the work is cut. */

/* Σ over the channels of grad_output times what value is at a point, and times its slopes by x and y: in the order of the
 * formula, which dots do not keep. It matters where one of them is not finite, since then they may cancel to NaN. */
static NOINLINE void project_carefully(const backward_run *run, const place *at, const point_box *box,
                                       const point_chunk *chunk, int64_t point, real *by_x, real *by_y, real *by_m) {
    const dcnv4i_layer *layer = run->layer;
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t item = (int64_t)layer->problem->item, block = point / box->points;
    const int64_t pixel = at->pixel + block % box->pixels, group = at->group + block / box->pixels;
    const int64_t channel = group * p->group_channels;
    const char *row = run->tensors->grad_output + (pixel * p->grad_output_stride + channel) * item;
    const cell cell_at = look(chunk, point, p);
    *by_x = *by_y = *by_m = 0;
    if (!cell_at.counts)
        return;
    const real right = cell_at.right, lower = cell_at.lower;
    for (int64_t d = 0; d < p->group_channels; ++d) {
        real out, slope_x = 0, slope_y = 0, mixed = 0;
        const real *corner[4];
        if (!find_corners(&run->value, &cell_at, channel - run->first_channel + d, p, corner))
            return;
        if (layer->read)
            layer->read(row + d * item, &out, 1);
        else
            out = ((const real *)row)[d];
        for (int i = 0; i < 4; ++i) {
            const real wx = i & 1 ? right : 1 - right, wy = i >> 1 ? lower : 1 - lower;
            if (!inside(&cell_at, i, p))
                continue;
            mixed += cell_at.weight[i] * *corner[i];
            slope_x += i & 1 ? wy * *corner[i] : -wy * *corner[i];
            slope_y += i >> 1 ? wx * *corner[i] : -wx * *corner[i];
        }
        *by_x += out * slope_x;
        *by_y += out * slope_y;
        *by_m += out * mixed;
    }
}

/* The factors of a cell's two pixels along one axis in the slope there: −1 and 1 where both are the formula's. */
static inline void vslopes(const axis *along, vec *near, vec *far) {
    *near = vselect(along->before, vset(1), vdrop(along->behind, vset(-1)));
    *far = vselect(along->behind, vset(-1), vdrop(along->before, vset(1)));
}

/* The same as finish_dots, one point after the other, without dots. */
static void finish_carefully(const backward_run *run, const place *at, const point_box *box, point_chunk *chunk,
                             corner_dots *dots) {
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t i = 0; i < count; ++i) {
        real by_x, by_y;
        project_carefully(run, at, box, chunk, i, &by_x, &by_y, &dots->by_m[i]);
        const bool counts = look(chunk, i, &run->layer->problem->asked).counts;
        chunk->x[i] = counts ? run->frame.scale * chunk->m[i] * by_x : 0;
        chunk->y[i] = counts ? run->frame.scale * chunk->m[i] * by_y : 0;
    }
}

/* Turns dots into gradients: chunk->x and y become those of the offsets, dots->by_m those of the weights. */
static void finish_dots(const backward_run *run, const place *at, const point_box *box, point_chunk *chunk,
                        corner_dots *dots) {
    const image_frame *frame = &run->frame;
    const dcnv4_problem *p = &frame->layer->problem->asked;
    const vec scale = vset(frame->scale), first = vset(frame->has_cells ? 0 : -1);
    const vec width = vset(frame->width), height = vset(frame->height), middle_y = vset((real)chunk->middle_y);
    const vec last_column = vset(frame->has_cells ? frame->last_column : frame->width);
    const vec last_row = vset(frame->has_cells ? (real)(p->height - 2) : frame->height);
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), middle_x = vload(chunk->middle_x + i);
        const vmask counts = vmask_and(vcounts(x, middle_x, width), vcounts(y, middle_y, height));
        const vec whole_x = vfloor(x), whole_y = vfloor(y);
        const axis h = vlocate(vadd(middle_x, whole_x), vsub(x, whole_x), first, last_column);
        const axis v = vlocate(vadd(middle_y, whole_y), vsub(y, whole_y), first, last_row);
        vec a, b, c, d, slope_left, slope_right, slope_up, slope_down;
        vload_quads(dots->corners + 4 * i, &a, &b, &c, &d);
        vslopes(&h, &slope_left, &slope_right);
        vslopes(&v, &slope_up, &slope_down);
        vec by_x = vfma(v.far, vfma(slope_right, d, vmul(slope_left, c)),
                        vmul(v.near, vfma(slope_right, b, vmul(slope_left, a))));
        vec by_y = vfma(h.far, vfma(slope_down, d, vmul(slope_up, b)),
                        vmul(h.near, vfma(slope_down, c, vmul(slope_up, a))));
        vec by_m = vfma(v.far, vfma(h.far, d, vmul(h.near, c)), vmul(v.near, vfma(h.far, b, vmul(h.near, a))));
        if (!vmask_full(vfinite(vadd(vadd(a, b), vadd(c, d))))) {
            real careful[3][LANES];
            vstore(careful[0], by_x), vstore(careful[1], by_y), vstore(careful[2], by_m);
            for (int64_t lane = 0; lane < smaller(LANES, count - i); ++lane) {
                const real *const dot = dots->corners + 4 * (i + lane), sum = dot[0] + dot[1] + (dot[2] + dot[3]);
                if (sum - sum != 0)
                    project_carefully(run, at, box, chunk, i + lane, &careful[0][lane], &careful[1][lane],
                                      &careful[2][lane]);
            }
            by_x = vload(careful[0]), by_y = vload(careful[1]), by_m = vload(careful[2]);
        }
        const vec scaled = vmul(scale, vload(chunk->m + i));
        vstore(chunk->x + i, vkeep(counts, vmul(scaled, by_x)));
        vstore(chunk->y + i, vkeep(counts, vmul(scaled, by_y)));
        vstore(dots->by_m + i, vkeep(counts, by_m));
    }
}

/* Writes the gradients of a box of pixels, which are the chunk's, to grad_offset_mask. */
static void write_box(const backward_run *run, const place *at, const point_box *box, const point_chunk *chunk,
                      const corner_dots *dots) {
    const dcnv4i_layer *layer = run->layer;
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->item, count = box->points;
    char *const first = run->tensors->grad_offset_mask +
                        (at->pixel * p->grad_offset_mask_stride + at->group * 3 * points) * item;
    real staged[2 * POINTS];
    for (int64_t g = 0, from = 0; g < box->groups; ++g) {
        char *block = first + g * 3 * points * item;
        for (int64_t i = 0; i < box->pixels; ++i, block += p->grad_offset_mask_stride * item, from += count) {
            char *const pairs_at = block + 2 * at->point * item, *const weights_at = block +
                                                                                     (2 * points + at->point) * item;
            real *const pairs = layer->write ? staged : (real *)pairs_at;
            int64_t k = 0;
            for (; k + LANES <= count; k += LANES)
                vstore_pairs(pairs + 2 * k, vload(chunk->x + from + k), vload(chunk->y + from + k));
            for (; k < count; ++k)
                pairs[2 * k] = chunk->x[from + k], pairs[2 * k + 1] = chunk->y[from + k];
            if (layer->write) {
                layer->write(staged, pairs_at, 2 * count);
                layer->write(dots->by_m + from, weights_at, count);
                continue;
            }
            for (k = 0; k + LANES <= count; k += LANES)
                vstore((real *)weights_at + k, vload(dots->by_m + from + k));
            for (; k < count; ++k)
                ((real *)weights_at)[k] = dots->by_m[from + k];
        }
    }
}

/* Whether a point of the chunk can reach the target's rows. */
static bool reaches(const backward_run *run, const point_chunk *chunk, int64_t count) {
    const real above = (real)(run->grad.first_row - 1 - chunk->middle_y),
               end = (real)(run->grad.last_row - chunk->middle_y);
    int reaching = !run->frame.exact;
    for (int64_t i = 0; i < count; ++i)
        reaching |= chunk->y[i] >= above && chunk->y[i] <= end;
    return reaching;
}

/* Σ_k m_k·∂/∂m_k over the points of one group and pixel that a chunk has. */
static real weighted_sum(const point_chunk *chunk, const corner_dots *dots, int64_t from, int64_t count) {
    real sum = 0;
    for (int64_t k = from; k < from + count; ++k)
        sum += chunk->m[k] * dots->by_m[k];
    return sum;
}

/* Finds a box and spreads its gradients; false if the box does not concern the piece. */
static bool spread_box(const backward_run *run, const place *at, const point_box *box, bool ours, point_chunk *chunk,
                       corner_dots *dots) {
    const int64_t count = box->pixels * box->groups * box->points;
    read_box(&run->frame, at, box, chunk);
    if (!ours && !reaches(run, chunk, count))
        return false;
    find_cells(chunk, count, &run->frame);
    spread_cells(run, at, box, chunk, dots);
    (run->frame.exact ? finish_dots : finish_carefully)(run, at, box, chunk, dots);
    return true;
}

/* With softmax: the mean of a block that does not fit one chunk, by a round in which nothing is ours to add to. */
static real mean_of_large_block(const backward_run *run, place at, point_chunk *chunk, corner_dots *dots) {
    const int64_t points = run->layer->problem->points;
    backward_run dry = *run;
    dry.grad.first_row = dry.grad.last_row = 0;
    dry.frame = make_frame(run->layer, run->tensors, 0, 0, 0);
    real mean = 0;
    for (; at.point < points; at.point += POINTS) {
        const point_box box = {1, 1, smaller(POINTS, points - at.point)};
        spread_box(&dry, &at, &box, true, chunk, dots);
        mean += weighted_sum(chunk, dots, 0, box.points);
    }
    return mean;
}

static void backward_box(const backward_run *run, const place *at, const point_box *box, bool ours, real large_mean,
                         point_chunk *chunk, corner_dots *dots) {
    const dcnv4i_problem *problem = run->layer->problem;
    if (!spread_box(run, at, box, ours, chunk, dots) || !ours)
        return;
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t from = 0; problem->asked.softmax && from < count; from += box->points) {
        const bool whole = box->points == problem->points;
        const real mean = whole ? weighted_sum(chunk, dots, from, box->points) : large_mean;
        for (int64_t k = from; k < from + box->points; ++k)
            dots->by_m[k] = chunk->m[k] * (dots->by_m[k] - mean);
    }
    write_box(run, at, box, chunk, dots);
}

/* Zeroes the padding of grad_offset_mask behind the last group, in the piece's output rows. */
static void clear_padding(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = layer->problem;
    const dcnv4_problem *p = &problem->asked;
    const size_t used = (size_t)(3 * problem->points * p->groups), padding = (size_t)p->offset_mask_row - used;
    const int64_t row = problem->output_width, before = piece->image * problem->output_height;
    if (piece->last_group < p->groups || padding == 0)
        return;
    for (int64_t i = (before + piece->first_output) * row; i < (before + piece->last_output) * row; ++i)
        memset(tensors->grad_offset_mask + ((size_t)(i * p->grad_offset_mask_stride) + used) * problem->item, 0,
               padding * problem->item);
}

/* Goes through all output rows of the image for the rows of grad_value that are the piece's. */
static void backward_rows(const backward_run *run, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = run->layer->problem;
    const int64_t width = problem->output_width, points = problem->points;
    const point_box largest = largest_box(width, piece->last_group - piece->first_group, points);
    const bool split = points > largest.points;
    point_chunk chunk;
    chunk.middles = -1;
    corner_dots dots;
    for (int64_t oy = 0; oy < problem->output_height; ++oy) {
        const bool ours = oy >= piece->first_output && oy < piece->last_output;
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = piece->first_group; group < piece->last_group; group += largest.groups) {
                place at = {(piece->image * problem->output_height + oy) * width + ox, oy, ox, group, 0};
                const real mean = split && ours && problem->asked.softmax ? mean_of_large_block(run, at, &chunk, &dots)
                                                                          : 0;
                do {
                    const point_box box = {smaller(largest.pixels, width - ox),
                                           smaller(largest.groups, piece->last_group - group),
                                           smaller(largest.points, points - at.point)};
                    backward_box(run, &at, &box, ours, mean, &chunk, &dots);
                    at.point += largest.points;
                } while (at.point < points);
            }
    }
}

static void backward(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = layer->problem;
    const dcnv4_problem *p = &problem->asked;
    const int64_t item = (int64_t)problem->item, first = piece->first_group * p->group_channels;
    const int64_t channels = (piece->last_group - piece->first_group) * p->group_channels;
    const int64_t pixels = (piece->last_input - piece->first_input) * p->width;
    const int64_t first_pixel = (piece->image * p->height + piece->first_input) * p->width;
    char *const rows = tensors->grad_value + (first_pixel * p->grad_value_stride + first) * item;
    real *const row = piece->scratch, *const scratch_value = row ? row + DCNV4I_BOX_PIXELS * p->group_channels : NULL;
    real *const scratch_grad = row ? scratch_value + p->height * p->width * channels : NULL;
    const char *image = tensors->value + piece->image * p->height * p->width * p->value_stride * item;
    backward_run run = {
        .layer = layer,
        .tensors = tensors,
        .frame = make_frame(layer, tensors, piece->first_input, piece->last_input, 0),
        .value = see(layer, image, 0, p->height, first, channels, scratch_value),
        .grad = {layer->write ? scratch_grad : (real *)rows, layer->write ? channels : p->grad_value_stride,
                 piece->first_input, piece->last_input},
        .first_channel = first,
        .row = row,
    };
    for (int64_t i = 0; i < pixels; ++i)
        memset(run.grad.pixels + i * run.grad.stride, 0, (size_t)channels * sizeof(real));
    backward_rows(&run, piece);
    clear_padding(layer, tensors, piece);
    for (int64_t i = 0; layer->write && i < pixels; ++i)
        layer->write(scratch_grad + i * channels, rows + i * p->grad_value_stride * item, channels);
}
