/* value, offset_mask, grad_output → a band of grad_value's rows and a band of grad_offset_mask's, of some groups. Output
 * pixels are gone through in order, so that every element of grad_value is added up in one order however the work is cut. */

/* Σ over the channels of grad_output times what value is at a point, and times its slopes by x and y: in the order of the
 * formula, which dots do not keep. It matters where one of them is not finite, since then they may cancel to NaN. */
static NOINLINE void project_carefully(const backward_run *run, const place *at, const point_box *box,
                                       const point_chunk *chunk, int64_t point, real *by_x, real *by_y, real *by_m) {
    const dcnv4i_layer *layer = run->layer;
    const dcnv4_problem *p = &layer->problem->params;
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
        layer->read(row + d * item, 0, &out, 0, 1, 1);
        for (int i = 0; i < 4; ++i) {
            const real wx = i & 1 ? right : 1 - right, wy = i >> 1 ? lower : 1 - lower;
            if (!inside(&cell_at, i, p))
                continue;
            real room;
            const real *const corner = see_corner(layer, &run->value, &cell_at, i,
                                                  channel - run->value.first_channel + d, 1, &room);
            mixed += cell_at.weight[i] * *corner;
            slope_x += i & 1 ? wy * *corner : -wy * *corner;
            slope_y += i >> 1 ? wx * *corner : -wx * *corner;
        }
        *by_x += out * slope_x;
        *by_y += out * slope_y;
        *by_m += out * mixed;
    }
}

/* Vectors of points: Σ over the channels of grad_output times the slopes of value by x and y and times value itself. */
typedef struct projection {
    vec by_x, by_y, by_m;
} projection;

/* For points in cells of the formula, right and below of their first pixels, from the dots of the cells' four pixels. */
static inline projection project_inner(vec right, vec below, vec a, vec b, vec c, vec d) {
    const vec left = vsub(vset(1), right), above = vsub(vset(1), below);
    return (projection){
        vfma(below, vsub(d, c), vmul(above, vsub(b, a))),
        vfma(right, vsub(d, b), vmul(left, vsub(c, a))),
        vfma(below, vfma(right, d, vmul(left, c)), vmul(above, vfma(right, b, vmul(left, a)))),
    };
}

/* Which positions along one axis of an image count: −1 < middle + position < size. */
static inline vmask vcounts(vec position, vec middle, vec size) {
    return vmask_and(vless(vsub(vset(-1), middle), position), vless(position, vsub(size, middle)));
}

/* Along one axis: the place of a cell, and the linear weights of its two pixels for a position whose floor is `whole` and
 * which is `rest` past that. A position before the first place has the first pixel as its own second one, behind the last
 * place the other way round. */
typedef struct axis {
    vec low, near, far;
    vmask before, behind;
} axis;

static inline axis vlocate(vec whole, vec rest, vec first, vec last) {
    const vec low = vmin(vmax(whole, first), last), other = vsub(vset(1), rest);
    const vmask before = vless(whole, low), behind = vless(low, whole);
    return (axis){low, vdrop(behind, vselect(before, rest, other)), vdrop(before, vselect(behind, other, rest)), before,
                  behind};
}

/* The factors of a cell's two pixels along one axis in the slope there: −1 and 1 where both are the formula's. */
static inline void vslopes(const axis *along, vec *near, vec *far) {
    *near = vselect(along->before, vset(1), vdrop(along->behind, vset(-1)));
    *far = vselect(along->behind, vset(-1), vdrop(along->before, vset(1)));
}

/* Makes 0 of the dots with pixels of a cell that are not its points' own: whether a point is looked at again must not depend
 * on what is there, since how the work is cut decides where points find their cells. */
static inline void drop_strangers(const axis *h, const axis *v, vec *a, vec *b, vec *c, vec *d) {
    *a = vdrop(vmask_or(v->behind, h->behind), *a), *b = vdrop(vmask_or(v->behind, h->before), *b);
    *c = vdrop(vmask_or(v->before, h->behind), *c), *d = vdrop(vmask_or(v->before, h->before), *d);
}

/* For points in any cells. */
static inline projection project_edge(const axis *h, const axis *v, vmask counts, vec a, vec b, vec c, vec d) {
    vec left, right, up, down;
    vslopes(h, &left, &right);
    vslopes(v, &up, &down);
    const vec by_x = vfma(v->far, vfma(right, d, vmul(left, c)), vmul(v->near, vfma(right, b, vmul(left, a))));
    const vec by_y = vfma(h->far, vfma(down, d, vmul(up, b)), vmul(h->near, vfma(down, c, vmul(up, a))));
    const vec by_m = vfma(v->far, vfma(h->far, d, vmul(h->near, c)), vmul(v->near, vfma(h->far, b, vmul(h->near, a))));
    return (projection){vkeep(counts, by_x), vkeep(counts, by_y), vkeep(counts, by_m)};
}

/* Does it anew, one after the other, for those of LANES points whose dots say that something is not finite. */
static NOINLINE void project_again(const backward_run *run, const place *at, const point_box *box,
                                   const point_chunk *chunk, const corner_dots *dots, int64_t first, int64_t count,
                                   projection *projected) {
    real by_x[LANES], by_y[LANES], by_m[LANES];
    vstore(by_x, projected->by_x), vstore(by_y, projected->by_y), vstore(by_m, projected->by_m);
    for (int64_t lane = 0; lane < count; ++lane) {
        const real *const dot = dots->corners + 4 * (first + lane), sum = dot[0] + dot[1] + (dot[2] + dot[3]);
        if (sum - sum != 0)
            project_carefully(run, at, box, chunk, first + lane, &by_x[lane], &by_y[lane], &by_m[lane]);
    }
    *projected = (projection){vload(by_x), vload(by_y), vload(by_m)};
}

/* The same as finish_dots, one point after the other, without dots. */
static void finish_carefully(const backward_run *run, const place *at, const point_box *box, point_chunk *chunk,
                             corner_dots *dots) {
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t i = 0; i < count; ++i) {
        real by_x, by_y;
        project_carefully(run, at, box, chunk, i, &by_x, &by_y, &dots->by_m[i]);
        const bool counts = look(chunk, i, &run->layer->problem->params).counts;
        chunk->pairs[2 * i] = counts ? run->frame.scale * chunk->m[i] * by_x : 0;
        chunk->pairs[2 * i + 1] = counts ? run->frame.scale * chunk->m[i] * by_y : 0;
    }
}

/* Turns dots into gradients: chunk->pairs become those of the offsets, dots->by_m those of the weights. */
static void finish_dots(const backward_run *run, const place *at, const point_box *box, point_chunk *chunk,
                        corner_dots *dots) {
    const image_frame *frame = &run->frame;
    const dcnv4_problem *p = &frame->layer->problem->params;
    const vec scale = vset(frame->scale), first = vset(frame->has_cells ? 0 : -1);
    const vec width = vset(frame->width), height = vset(frame->height);
    const vec first_middle_x = vset((real)chunk->first_middle_x), middle_y = vset((real)chunk->middle_y);
    const vec last_column = vset(frame->has_cells ? frame->last_column : frame->width);
    const vec last_row = vset(frame->has_cells ? (real)(p->height - 2) : frame->height);
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), whole_x = vfloor(x), whole_y = vfloor(y);
        vec a, b, c, d, scaled = vmul(scale, vload(chunk->m + i));
        vload_quads(dots->corners + 4 * i, &a, &b, &c, &d);
        projection projected;
        if (chunk->inner[i / LANES]) {
            projected = project_inner(vsub(x, whole_x), vsub(y, whole_y), a, b, c, d);
        } else {
            const vec middle_x = vadd(first_middle_x, vload(chunk->step_x + i));
            const vmask counts = vmask_and(vcounts(x, middle_x, width), vcounts(y, middle_y, height));
            const axis h = vlocate(vadd(middle_x, whole_x), vsub(x, whole_x), first, last_column);
            const axis v = vlocate(vadd(middle_y, whole_y), vsub(y, whole_y), first, last_row);
            drop_strangers(&h, &v, &a, &b, &c, &d);
            projected = project_edge(&h, &v, counts, a, b, c, d);
            scaled = vkeep(counts, scaled);
        }
        if (!vmask_full(vfinite(vadd(vadd(a, b), vadd(c, d))))) {
            vstore_quads(dots->corners + 4 * i, a, b, c, d);
            project_again(run, at, box, chunk, dots, i, smaller(LANES, count - i), &projected);
        }
        vstore_pairs(chunk->pairs + 2 * i, vmul(scaled, projected.by_x), vmul(scaled, projected.by_y));
        vstore(dots->by_m + i, projected.by_m);
    }
}

/* Writes the gradients of a box of pixels to grad_offset_mask. */
static void write_box(const backward_run *run, const place *at, const point_box *box, const point_chunk *chunk,
                      const corner_dots *dots) {
    const dcnv4i_layer *layer = run->layer;
    const int64_t points = layer->problem->points, count = box->points;
    const int64_t item = (int64_t)layer->problem->base.tensors[DCNV4I_GRAD_OFFSET_MASK].item;
    const int64_t row = layer->problem->params.grad_offset_mask_stride;
    const real *pairs = chunk->pairs, *by_m = dots->by_m;
    char *block = run->tensors->grad_offset_mask + (at->pixel * row + at->group * 3 * points) * item;
    for (int64_t g = 0; g < box->groups; ++g, block += 3 * points * item) {
        layer->write_offsets(pairs, 2 * count, block + 2 * at->point * item, row, box->pixels, 2 * count);
        layer->write_offsets(by_m, count, block + (2 * points + at->point) * item, row, box->pixels, count);
        pairs += 2 * count * box->pixels, by_m += count * box->pixels;
    }
}

/* Whether a point of the chunk can reach the piece's own rows. One exactly on the row above does: its weights here are 0, of
 * which an infinity makes NaN. */
static bool reaches(const backward_run *run, const point_chunk *chunk, int64_t count) {
    const vec above = vset((real)(run->first_own - 1 - chunk->middle_y)),
              end = vset((real)(run->last_own - chunk->middle_y));
    vmask far = vless(above, above);
    far = vmask_not(far);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec y = vload(chunk->y + i);
        far = vmask_and(far, vmask_or(vless(y, above), vmask_not(vless(y, end))));
    }
    return !run->frame.exact || !vmask_full(far);
}

/* Σ_k m_k·∂/∂m_k over the points of one group and pixel that a chunk has. */
static real weighted_sum(const point_chunk *chunk, const corner_dots *dots, int64_t from, int64_t count) {
    real sum = 0;
    for (int64_t k = from; k < from + count; ++k)
        sum += chunk->m[k] * dots->by_m[k];
    return sum;
}

/* Finds a box and spreads its gradients, if it concerns the piece. Returns whether its own gradients are known then. */
static bool spread_box(const backward_run *run, const place *at, const point_box *box, bool ours, point_chunk *chunk,
                       corner_dots *dots) {
    const int64_t count = box->pixels * box->groups * box->points;
    read_box(&run->frame, at, box, chunk);
    place_points(&run->frame, count, chunk);
    if (!ours && !reaches(run, chunk, count))
        return false;
    image_frame frame = run->frame;
    if (!ours) /* nothing is asked of what lies in other rows: there weights are 0 */
        frame.lowest_row = -INFINITY, frame.highest_row = INFINITY;
    find_cells(&frame, count, true, chunk);
    spread_cells(run, at, box, chunk, dots);
    if (ours)
        (run->frame.exact ? finish_dots : finish_carefully)(run, at, box, chunk, dots);
    return ours;
}

/* With softmax: the mean of a block that does not fit one chunk, by a round in which nothing is ours to add to. */
static real mean_of_large_block(const backward_run *run, place at, point_chunk *chunk, corner_dots *dots) {
    const int64_t points = run->layer->problem->points;
    backward_run dry = *run;
    dry.grad.first_row = dry.grad.last_row = 0;
    dry.frame = make_frame(run->layer, run->tensors, 0, 0, 0, 0);
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
    const dcnv4i_deform_conv *problem = run->layer->problem;
    if (!spread_box(run, at, box, ours, chunk, dots))
        return;
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t from = 0; problem->params.softmax && from < count; from += box->points) {
        const bool whole = box->points == problem->points;
        const real mean = whole ? weighted_sum(chunk, dots, from, box->points) : large_mean;
        for (int64_t k = from; k < from + box->points; ++k)
            dots->by_m[k] = chunk->m[k] * (dots->by_m[k] - mean);
    }
    write_box(run, at, box, chunk, dots);
}

/* Zeroes the padding of grad_offset_mask behind the last group, in the piece's output rows. */
static void clear_padding(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_deform_conv *problem = layer->problem;
    const dcnv4_problem *p = &problem->params;
    const size_t used = (size_t)(3 * problem->points * p->groups), padding = (size_t)p->offset_mask_row - used;
    const int64_t row = problem->output_width, before = piece->image * problem->output_height;
    if (piece->last_group < p->groups || padding == 0)
        return;
    const size_t item = problem->base.tensors[DCNV4I_GRAD_OFFSET_MASK].item;
    for (int64_t i = (before + piece->first_output) * row; i < (before + piece->last_output) * row; ++i)
        memset(tensors->grad_offset_mask + ((size_t)(i * p->grad_offset_mask_stride) + used) * item, 0, padding * item);
}

/* Goes through all output rows of the image for the rows of grad_value that are the piece's. */
static void backward_rows(const backward_run *run, const dcnv4i_piece *piece) {
    const dcnv4i_deform_conv *problem = run->layer->problem;
    const int64_t width = problem->output_width, points = problem->points;
    const point_box largest = largest_box(width, piece->last_group - piece->first_group, points);
    const bool split = points > largest.points;
    point_chunk chunk;
    chunk.laid_from = -1;
    corner_dots dots;
    for (int64_t oy = 0; oy < problem->output_height; ++oy) {
        const bool ours = oy >= piece->first_output && oy < piece->last_output;
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = piece->first_group; group < piece->last_group; group += largest.groups) {
                place at = {(piece->image * problem->output_height + oy) * width + ox, oy, ox, group, 0};
                const real mean = split && ours && problem->params.softmax ? mean_of_large_block(run, at, &chunk, &dots)
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

/* The same, with every sum of 0 a +0. One that is too small to be more than 0 may be −0, and whether points elsewhere add +0 to
 * it depends on how the work is cut. That is rare enough to be looked for only where the processor says that something was
 * too small; and its flag is the caller's too. */
static void backward_sums(const backward_run *run, const dcnv4i_piece *piece, int64_t channels) {
    const int64_t width = run->layer->problem->params.width, rows = run->last_own - run->first_own;
    const bool before = fetestexcept(FE_UNDERFLOW) != 0;
    feclearexcept(FE_UNDERFLOW);
    backward_rows(run, piece);
    if (fetestexcept(FE_UNDERFLOW)) {
        real *pixel = run->grad.pixels + (run->first_own - run->grad.first_row) * width * run->grad.stride;
        for (int64_t i = 0; i < rows * width; ++i, pixel += run->grad.stride)
            for (int64_t c = 0; c < channels; ++c)
                pixel[c] += 0;
    }
    if (before)
        feraiseexcept(FE_UNDERFLOW);
}

/* Copies one group's channels of value for a piece, as reals, with room for their gradients between the pixels, zeroed: a
 * pixel's lie side by side then, and a few rows of them in the first-level cache, where pixels of many groups would all
 * want the same few of its sets. */
static void pack(const dcnv4i_layer *layer, const char *from, int64_t pixels, real *to) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t depth = p->group_channels, stride = p->value_stride;
    layer->read(from, stride, to, 2 * depth, pixels, depth);
    for (int64_t i = 0; i < pixels; ++i, to += 2 * depth)
        for (int64_t d = depth; d < 2 * depth; ++d)
            to[d] = 0;
}

/* A piece's groups one after the other, each on a copy of its channels. */
static void backward_packed(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece,
                            const char *image, char *rows) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t item = (int64_t)layer->problem->item, depth = p->group_channels, stride = 2 * depth;
    const int64_t pixels = (piece->last_input - piece->first_input) * p->width;
    real *const packed = piece->scratch, *const grad = packed + depth;
    dcnv4i_piece one = *piece;
    backward_run run = {
        .layer = layer,
        .tensors = tensors,
        .frame = make_frame(layer, tensors, piece->first_input, piece->last_input, stride, stride),
        .grad = {grad, stride, piece->first_input, piece->last_input},
        .first_own = piece->first_own,
        .last_own = piece->last_own,
        .row = packed + pixels * stride,
    };
    for (int64_t group = piece->first_group; group < piece->last_group; ++group) {
        const int64_t channel = group * depth;
        const char *const storage = image + channel * item;
        one.first_group = group, one.last_group = group + 1;
        run.value = (view){packed, stride, piece->first_input, piece->last_input, channel, storage};
        pack(layer, storage + piece->first_input * p->width * p->value_stride * item, pixels, packed);
        backward_sums(&run, &one, depth);
        layer->write(grad + (piece->first_own - piece->first_input) * p->width * stride, stride, rows + channel * item,
                     p->grad_value_stride, (piece->last_own - piece->first_own) * p->width, depth);
    }
}

/* A piece's groups at once, on the tensors themselves, which are of reals. */
static void backward_in_place(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece,
                              const char *image, char *rows) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t first = piece->first_group * p->group_channels, stride = p->grad_value_stride;
    const int64_t channels = (piece->last_group - piece->first_group) * p->group_channels;
    const int64_t pixels = (piece->last_own - piece->first_own) * p->width;
    const backward_run run = {
        .layer = layer,
        .tensors = tensors,
        .frame = make_frame(layer, tensors, piece->first_own, piece->last_own, p->value_stride, stride),
        .value = see(layer, image, 0, p->height, first, channels, NULL),
        .grad = {(real *)rows + first, stride, piece->first_own, piece->last_own},
        .first_own = piece->first_own,
        .last_own = piece->last_own,
    };
    for (int64_t i = 0; i < pixels; ++i)
        memset(run.grad.pixels + i * stride, 0, (size_t)channels * sizeof(real));
    backward_sums(&run, piece, channels);
}

static void backward(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t item = (int64_t)layer->problem->item, first_pixel = piece->image * p->height * p->width;
    const char *const image = tensors->value + first_pixel * p->value_stride * item;
    char *const rows = tensors->grad_value + (first_pixel + piece->first_own * p->width) * p->grad_value_stride * item;
    (piece->scratch ? backward_packed : backward_in_place)(layer, tensors, piece, image, rows);
    clear_padding(layer, tensors, piece);
}
