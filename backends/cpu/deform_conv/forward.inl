/* value, offset_mask → a band of output rows. One group of one output pixel is added up in registers over all points of its
 * chunk and stored once. */

/* mixed = Σ over the corners inside the image of their bilinear weight times count channels of value from c on: for the
 * points whose weight is not finite, which must be multiplied last, and those that look outside the view. */
static void mix_slowly(const image_frame *frame, const view *value, const point_chunk *chunk, int64_t point, int64_t c,
                       int count, real *mixed) {
    const dcnv4i_layer *layer = frame->layer;
    const dcnv4_problem *p = &layer->problem->params;
    const cell at = look(chunk, point, p);
    for (int i = 0; i < count; ++i)
        mixed[i] = 0;
    for (int corner = 0; corner < 4; ++corner) {
        if (!inside(&at, corner, p))
            continue;
        real converted[BLOCK * LANES];
        const real *const from = see_corner(layer, value, &at, corner, c, count, converted);
        for (int i = 0; i < count; ++i)
            mixed[i] = real_fma(at.weight[corner], from[i], mixed[i]);
    }
}

/* The points of a group and pixel, looked up one by one: those that count and have a finite weight, with where their
 * corners are, and the others that count, whose numbers stand at the end. */
typedef struct lookup {
    int64_t plain, slow;
    int64_t number[POINTS]; /* in the chunk */
    const real *corner[POINTS][4];
    real weights[4 * POINTS];
} lookup;

static NOINLINE void look_up(const image_frame *frame, const view *value, const point_chunk *chunk, int64_t first,
                             int64_t points, int64_t c, lookup *found) {
    const dcnv4_problem *p = &frame->layer->problem->params;
    int64_t plain = 0, slow = 0;
    for (int64_t point = first; point < first + points; ++point) {
        const cell at = look(chunk, point, p);
        const real m = chunk->m[point];
        if (!at.counts)
            continue;
        if (m - m != 0 || !in_view(value, &at, p)) {
            found->number[POINTS - ++slow] = point;
            continue;
        }
        for (int i = 0; i < 4; ++i)
            found->corner[plain][i] = see_corner(frame->layer, value, &at, i, c, 0, NULL);
        for (int i = 0; i < 4; ++i)
            found->weights[4 * plain + i] = weight_of(&at, i, m);
        ++plain;
    }
    found->plain = plain;
    found->slow = slow;
}

/* What a mix is made of: points first, first + 1, … of a chunk for each of some neighbouring pixels of one group. They all
 * have cells; or there is one pixel, whose points were looked up. */
typedef struct mixture {
    const view *value;
    const point_chunk *chunk;
    const lookup *found;
    int64_t first, points, pixels;
    int64_t origin;     /* reals from value's first pixel to where an index is 0 */
    int64_t unit;       /* reals that an index counts */
    int64_t below;      /* reals from a pixel of value to the one below */
    int64_t out_stride; /* reals from a pixel of the result to the next */
    bool more;          /* to be added to what is in the result already */
    const real *ahead;  /* what of value is asked for with a pixel, see look_ahead … */
    int64_t step;       /* … and reals from there to what is with the next */
} mixture;

/* The sums of one pixel over count points, for `vectors` vectors of channels (or part of one vector) from `origin` on. There
 * are enough chains that no multiply-add waits for the one before. */
static ALWAYS_INLINE void mix_points(const lookup *found, const real *origin, const int64_t unit, int64_t stride,
                                     int64_t below, const point_index *index, const real *weights, const int64_t count,
                                     const int vectors, const int part, vec *total) {
    enum { MOST = 4 * BLOCK };
    const int chains = 4 * vectors <= 8 ? 4 : 2 * vectors <= 8 ? 2 : 1;
    vec sum[MOST];
    for (int i = 0; i < chains * vectors; ++i)
        sum[i] = vset(0);
    UNROLL(9)
    for (int64_t k = 0; k < count; ++k) {
        const real *const upper = origin + index[k] * unit, *const lower = upper + below;
        const real *const inner[4] = {upper, upper + stride, lower, lower + stride};
        const quad four = quad_load(weights + 4 * k);
        const vec weight[4] = {quad_0(four), quad_1(four), quad_2(four), quad_3(four)};
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < vectors; ++v) {
                const real *const from = found ? found->corner[k][i] : inner[i];
                vec *const to = &sum[i % chains * vectors + v];
                *to = vfma(weight[i], part ? vload_part(from, part) : vload(from + v * LANES), *to);
            }
    }
    for (int v = 0; v < vectors; ++v) {
        total[v] = sum[v];
        for (int i = 1; i < chains; ++i)
            total[v] = vadd(total[v], sum[i * vectors + v]);
    }
}

/* Where in value those points of the pixel at (middle_x, middle_y) look that look furthest down, or nearly so: offsets are
 * seldom larger. Nothing can guess such places, so most waits for memory would be for them. */
static const real *look_ahead(const view *value, const point_chunk *chunk, const dcnv4_problem *p) {
    enum { OFFSET = 3 };
    const int64_t span = p->dilation_h * (p->kernel_h - 1), below = span - dcnv4i_half_span(p->kernel_h, p->dilation_h);
    const int64_t rows = value->last_row - value->first_row;
    const int64_t row = smaller(chunk->middle_y + smaller(below, p->height) - value->first_row, rows - OFFSET) + OFFSET;
    const int64_t pixel = clamped(row, rows) * p->width + clamped(chunk->first_middle_x, p->width);
    return value->pixels + pixel * value->stride;
}

/* Mixes vectors of channels of value from c on (or part of one vector). Returns whether all results are finite. Nothing is
 * called in the loops, so that the sums stay in registers. */
static ALWAYS_INLINE bool mix_block(const mixture *mix, const lookup *found, int64_t c, const int vectors,
                                    const int part, real *out) {
    enum { OUTPUT_AHEAD = 6 }; /* pixels */
    /* Read once: stores to the result could be to these, for all that the compiler knows. */
    const int64_t count = found ? found->plain : mix->points, pixels = mix->pixels, out_stride = mix->out_stride;
    const int64_t unit = found ? 0 : mix->unit, stride = found ? 0 : mix->value->stride, below = found ? 0 : mix->below;
    const int64_t step = mix->step;
    const real *weights = found ? found->weights : mix->chunk->corners + 4 * mix->first;
    const real *const origin = mix->value->pixels + (found ? 0 : mix->origin) + c;
    const point_index *index = mix->chunk->at + mix->first;
    const bool more = found && mix->more;
    const real *const ahead = mix->ahead + c;
    vec zero_or_nan = vset(0);
    for (int64_t pixel = 0; pixel < pixels; ++pixel, weights += 4 * count, index += count, out += out_stride) {
        vec total[BLOCK];
        ask_for(ahead, pixel, step, vectors * LANES);
        ask_for(out, OUTPUT_AHEAD, out_stride, vectors * LANES);
        if (!found && count == 9 && unit == 1)
            mix_points(NULL, origin, 1, stride, below, index, weights, 9, vectors, part, total);
        else
            mix_points(found, origin, unit, stride, below, index, weights, count, vectors, part, total);
        for (int v = 0; v < vectors; ++v) {
            zero_or_nan = vfma(total[v], vset(0), zero_or_nan);
            if (more)
                total[v] = vadd(total[v], part ? vload_part(out, part) : vload(out + v * LANES));
            if (part)
                vstore_part(out, total[v], part);
            else
                vstore(out + v * LANES, total[v]);
        }
    }
    return vmask_full(vfinite(zero_or_nan));
}

/* One function for each number of vectors, so that the compiler gives each the registers it needs. */
#define MIX(name, vectors, part)                                                                 \
    static NOINLINE bool mix_cells_##name(const mixture *mix, int64_t c, int part_, real *out) { \
        (void)part_;                                                                             \
        return mix_block(mix, NULL, c, vectors, part, out);                                      \
    }                                                                                            \
    static NOINLINE void mix_found_##name(const mixture *mix, int64_t c, int part_, real *out) { \
        (void)part_;                                                                             \
        mix_block(mix, mix->found, c, vectors, part, out);                                       \
    }
MIX(block, BLOCK, 0)
MIX(half, HALF_BLOCK, 0)
MIX(vector, 1, 0)
MIX(part, 1, part_)
#undef MIX

/* Returns whether all results are finite. */
static bool mix_cells(const mixture *mix, int64_t channel, int64_t depth, real *out) {
    bool finite = true;
#define BODY(c, vectors, part) finite &= CHOOSE(mix_cells_, vectors, part)(mix, channel + (c), part, out + (c))
    FOR_CHANNEL_BLOCKS(depth, BODY);
#undef BODY
    return finite;
}

/* The same for one of the pixels in the careful way. */
static void mix_carefully(const image_frame *frame, const mixture *mix, int64_t pixel, int64_t channel, int64_t depth,
                          real *out) {
    lookup found;
    mixture one = *mix;
    one.found = &found;
    one.first += pixel * mix->points;
    one.pixels = 1;
#define BODY(c, vectors, part)                                                                 \
    do {                                                                                       \
        const int count = (part) ? (part) : (vectors) * LANES;                                 \
        real mixed[BLOCK * LANES];                                                             \
        look_up(frame, mix->value, mix->chunk, one.first, mix->points, channel + (c), &found); \
        CHOOSE(mix_found_, vectors, part)(&one, channel + (c), part, out + (c));               \
        for (int64_t i = 1; i <= found.slow; ++i) {                                            \
            const int64_t point = found.number[POINTS - i];                                    \
            mix_slowly(frame, mix->value, mix->chunk, point, channel + (c), count, mixed);     \
            for (int d = 0; d < count; ++d)                                                    \
                out[(c) + d] = real_fma(mix->chunk->m[point], mixed[d], out[(c) + d]);         \
        }                                                                                      \
    } while (0)
    FOR_CHANNEL_BLOCKS(depth, BODY);
#undef BODY
}

static bool all_finite(const real *numbers, int64_t count) {
    real zero_or_nan = 0;
    for (int64_t i = 0; i < count; ++i)
        zero_or_nan += 0 * numbers[i];
    return zero_or_nan == 0;
}

/* Mixes one group of a box's pixels. Those of a block that is in parts are all mixed carefully: what is not finite could not
 * be made anew, since it has been added to what was there. */
static void mix_group(const image_frame *frame, mixture *mix, int64_t pixels, int64_t channel, int64_t depth,
                      real *out) {
    const bool in_parts = mix->points < frame->layer->problem->points;
    for (int64_t i = 0, done; i < pixels; i += done, out += done * mix->out_stride, mix->first += done * mix->points) {
        mix->pixels = in_parts ? 0 : complete_blocks(mix->chunk, mix->first, mix->points, pixels - i);
        const bool mixed = mix->pixels > 0, finite = mixed && mix_cells(mix, channel, depth, out);
        done = mixed ? mix->pixels : 1;
        for (int64_t k = 0; !finite && k < done; ++k)
            if (!mixed || !all_finite(out + k * mix->out_stride, depth))
                mix_carefully(frame, mix, k, channel, depth, out + k * mix->out_stride);
    }
}

/* Mixes a box. Where output is converted, row has room for one group of its pixels. */
static void forward_box(const image_frame *frame, const view *value, char *output, const place *at,
                        const point_box *box, point_chunk *chunk, real *row) {
    const dcnv4i_layer *layer = frame->layer;
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t item = (int64_t)layer->problem->item, depth = p->group_channels, stride = p->output_stride;
    const int64_t count = box->pixels * box->groups * box->points;
    mixture mix = {
        .value = value,
        .chunk = chunk,
        .points = box->points,
        .origin = index_origin(frame, value->first_row, value->stride),
        .unit = frame->unit,
        .below = p->width * value->stride,
        .out_stride = layer->converts ? depth : stride,
        .more = at->point > 0,
        .step = smaller(p->stride_w, p->width) * value->stride,
    };
    read_box(frame, at, box, chunk);
    mix.ahead = look_ahead(value, chunk, p);
    place_points(frame, count, chunk);
    find_cells(frame, count, false, chunk);
    for (int64_t channel = at->group * depth; channel < (at->group + box->groups) * depth; channel += depth) {
        char *const out = output + (at->pixel * stride + channel) * item;
        real *const sums = layer->converts ? row : (real *)out;
        mix_group(frame, &mix, box->pixels, channel - value->first_channel, depth, sums);
        if (layer->converts && at->point + box->points == layer->problem->points)
            layer->write(row, depth, out, stride, box->pixels, depth);
    }
}

/* Some of a piece's groups, whose channels are in the view. */
static void forward_groups(const image_frame *frame, const view *value, char *output, const dcnv4i_piece *piece,
                           int64_t first, int64_t last, point_chunk *chunk) {
    const dcnv4i_deform_conv *problem = frame->layer->problem;
    const int64_t width = problem->output_width, points = problem->points;
    const point_box largest = largest_box(width, last - first, points);
    for (int64_t oy = piece->first_output; oy < piece->last_output; ++oy)
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = first; group < last; group += largest.groups) {
                place at = {(piece->image * problem->output_height + oy) * width + ox, oy, ox, group, 0};
                do {
                    const point_box box = {smaller(largest.pixels, width - ox), smaller(largest.groups, last - group),
                                           smaller(largest.points, points - at.point)};
                    forward_box(frame, value, output, &at, &box, chunk, piece->scratch);
                    at.point += largest.points;
                } while (at.point < points);
            }
}

static void forward(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_deform_conv *problem = layer->problem;
    const dcnv4_problem *p = &problem->params;
    const int64_t depth = p->group_channels;
    const char *image = tensors->value + piece->image * p->height * p->width * p->value_stride * (int64_t)problem->item;
    real *const copy = piece->scratch ? (real *)piece->scratch + DCNV4I_BOX_PIXELS * depth : NULL;
    point_chunk chunk;
    chunk.laid_from = -1;
    for (int64_t group = piece->first_group, last; group < piece->last_group; group = last) {
        last = smaller(group + piece->packed_groups, piece->last_group);
        const view value = see(layer, image, piece->first_input, piece->last_input, group * depth,
                               (last - group) * depth, copy);
        const image_frame frame = make_frame(layer, tensors, piece->first_input, piece->last_input, value.stride, 0);
        forward_groups(&frame, &value, tensors->output, piece, group, last, &chunk);
    }
}
