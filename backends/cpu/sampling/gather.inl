/* The gather: results = Σ over a pixel's points of weight · the image at the point. The D channels of one pixel are
 * summed in registers over all points of the chunk, and stored once. */

/* A gather of one group: the points of `pixels` neighbouring pixels, from number `first` of the chunk on. */
typedef struct gather {
    const image_frame *frame;
    const view *from;
    const point_chunk *chunk;
    int64_t first, pixels;
    int64_t out_stride; /* reals from one pixel of the result to the next */
    bool accumulate;    /* pixels have more points than the chunk has of them, and these are not the first: add to the
                         * result */
    const real *ahead;  /* what of the image to prefetch while the first pixel is computed … */
    int64_t ahead_step; /* … and reals from there to what to prefetch with the next */
} gather;

/* The points of one pixel and group, located by the exact path: `plain` ones whose corners can be read where they
 * are, and from the end of `number` on `slow` ones, each of which takes a sum of its own. Points outside the image
 * are left out. */
typedef struct exact_points {
    int64_t plain, slow;
    int64_t number[POINTS]; /* in the chunk, of slow ones */
    const real *corner[POINTS][4];
    real weights[4 * POINTS];
} exact_points;

/* A point is slow if its cell is not in the view, or if its weight is not finite: such a weight must be multiplied
 * last. */
static NOINLINE void NAME(locate_points)(const gather *g, int64_t c, exact_points *found) {
    const dcnv4i_image *image = &g->frame->image;
    int64_t plain = 0, slow = 0;
    for (int64_t point = g->first; point < g->first + g->chunk->box.points; ++point) {
        const exact_cell cell = locate_point(g->chunk, point, image);
        const real weight = g->chunk->weight[point];
        if (!cell.counts)
            continue;
        if (weight - weight != 0 || !cell_in_view(g->from, &cell, image)) {
            found->number[POINTS - ++slow] = point;
            continue;
        }
        for (int i = 0; i < 4; ++i)
            found->corner[plain][i] = corner_channels(image, g->from, &cell, i, c, 0, NULL);
        for (int i = 0; i < 4; ++i)
            found->weights[4 * plain + i] = corner_weight(&cell, i, weight);
        ++plain;
    }
    found->plain = plain;
    found->slow = slow;
}

/* Adds a slow point to `count` channels of the result, from channel c of the view on. */
static void NAME(gather_slow_point)(const gather *g, int64_t point, int64_t c, int count, real *out) {
    const dcnv4i_image *image = &g->frame->image;
    const exact_cell cell = locate_point(g->chunk, point, image);
    real sampled[BLOCK * LANES];
    for (int i = 0; i < count; ++i)
        sampled[i] = 0;
    for (int corner = 0; corner < 4; ++corner) {
        if (!corner_inside(&cell, corner, image))
            continue;
        real converted[BLOCK * LANES];
        const real *const from = corner_channels(image, g->from, &cell, corner, c, count, converted);
        for (int i = 0; i < count; ++i)
            sampled[i] = real_fma(cell.weight[corner], from[i], sampled[i]);
    }
    for (int i = 0; i < count; ++i)
        out[i] = real_fma(g->chunk->weight[point], sampled[i], out[i]);
}

/* Where the corners of a pixel's points are: `origin` is where index 0 is. */
typedef struct gather_source {
    const real *origin;
    int64_t unit;          /* reals that an index counts */
    int64_t stride, below; /* reals to the next pixel of the image, and to the one below */
} gather_source;

/* The channels that are gathered together: `vectors` vectors, of which the last begins at channel `last`; or `part` channels.
 * The last one may overlap the one before: the same results are then stored twice, which takes less than a vector more. */
typedef struct gathered_channels {
    int vectors, last, part;
} gathered_channels;

static ALWAYS_INLINE int channel_of(const gathered_channels *block, int vector) {
    return vector == block->vectors - 1 ? block->last : vector * LANES;
}

/* The sums of one pixel over count points. There are enough independent sums that no multiply-add waits for the one
 * before. */
static ALWAYS_INLINE void gather_points(const exact_points *found, const gather_source *from, const point_index *index,
                                        const real *weights, const int64_t count, const gathered_channels block,
                                        vec *total) {
    enum { LARGEST = 4 * BLOCK };
    const int vectors = block.vectors, part = block.part;
    const int chains = 4 * vectors <= 8 ? 4 : 2 * vectors <= 8 ? 2 : 1;
    vec sum[LARGEST];
    for (int i = 0; i < chains * vectors; ++i)
        sum[i] = vset(0);
    UNROLL(9)
    for (int64_t k = 0; k < count; ++k) {
        const real *const upper = from->origin + index[k] * from->unit, *const lower = upper + from->below;
        const real *const inner[4] = {upper, upper + from->stride, lower, lower + from->stride};
        const quad four = quad_load(weights + 4 * k);
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < vectors; ++v) {
                const real *const corner = found ? found->corner[k][i] : inner[i];
                vec *const to = &sum[i % chains * vectors + v];
                *to = vfma(quad_lane(four, i), part ? vload_part(corner, part) : vload(corner + channel_of(&block, v)),
                           *to);
            }
    }
    for (int v = 0; v < vectors; ++v) {
        total[v] = sum[v];
        for (int i = 1; i < chains; ++i)
            total[v] = vadd(total[v], sum[i * vectors + v]);
    }
}

/* Gathers one block of channels, from channel c of the view on. Returns whether all results are finite. Its loops
 * call nothing, so that the sums stay in registers. */
static ALWAYS_INLINE bool gather_block(const gather *g, const exact_points *found, int64_t c,
                                       const gathered_channels block, real *out) {
    enum { OUTPUT_AHEAD = 6 }; /* pixels */
    const int vectors = block.vectors, part = block.part;
    /* Copies, since for all that the compiler knows stores to the result change the originals. */
    const int64_t count = found ? found->plain : g->chunk->box.points, pixels = g->pixels, out_stride = g->out_stride;
    const int64_t stride = stride_between(&g->frame->image, g->from->stride), ahead_step = g->ahead_step;
    const gather_source from = {
        .origin = g->from->pixels + (found ? 0 : index_origin(g->frame, g->from->first_row, stride)) + c,
        .unit = found ? 0 : g->frame->unit,
        .stride = found || g->frame->one_column ? 0 : stride,
        .below = found || g->frame->one_row ? 0 : g->frame->image.width * stride,
    };
    gather_source by_real = from;
    by_real.unit = 1;
    const real *weights = found ? found->weights : g->chunk->corners + 4 * g->first;
    const point_index *index = g->chunk->at + g->first;
    const real *const ahead = g->ahead + c;
    vec zero_or_nan = vset(0);
    for (int64_t pixel = 0; pixel < pixels; ++pixel, weights += 4 * count, index += count, out += out_stride) {
        vec total[BLOCK];
        prefetch_reals(ahead, pixel, ahead_step, vectors * LANES);
        prefetch_reals(out, OUTPUT_AHEAD, out_stride, vectors * LANES);
        if (!found && count == 9 && from.unit == 1)
            gather_points(NULL, &by_real, index, weights, 9, block, total);
        else
            gather_points(found, &from, index, weights, count, block, total);
        for (int v = 0; v < vectors; ++v) {
            zero_or_nan = vfma(total[v], vset(0), zero_or_nan);
            if (part)
                vstore_part(out, total[v], part);
            else
                vstore(out + channel_of(&block, v), total[v]);
        }
    }
    return vmask_full(vfinite(zero_or_nan));
}

/* gather_block as one function for each number of vectors, so that the compiler gives each the registers it needs. */
#define GATHER_CELLS(size, vectors, last, part)                                                         \
    static NOINLINE bool NAME(gather_cells_##size)(const gather *g, int64_t c, int number, real *out) { \
        (void)number;                                                                                   \
        return gather_block(g, NULL, c, (gathered_channels){vectors, last, part}, out);                 \
    }
#define GATHER(size, vectors, part)                                                                                   \
    GATHER_CELLS(size, vectors, (vectors - 1) * LANES, part)                                                          \
    static NOINLINE void NAME(gather_exact_##size)(const gather *g, const exact_points *found, int64_t c, int number, \
                                                   real *out) {                                                       \
        (void)number;                                                                                                 \
        gather_block(g, found, c, (gathered_channels){vectors, (vectors - 1) * LANES, part}, out);                    \
    }
GATHER(block, BLOCK, 0)
GATHER(half, HALF_BLOCK, 0)
GATHER(vector, 1, 0)
GATHER(part, 1, number)
GATHER_CELLS(block_overlapping, BLOCK, number, 0)
GATHER_CELLS(half_overlapping, HALF_BLOCK, number, 0)
#undef GATHER
#undef GATHER_CELLS

/* Gathers `depth` channels, from `channel` of the view on. Returns whether all results are finite. */
static bool gather_cells(const gather *g, int64_t channel, int64_t depth, real *out) {
    bool finite = true;
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth)) {
        const int64_t left = depth - b.first, whole = left / LANES;
        const bool overlaps = whole * LANES < left;
        const int last = (int)(left < BLOCK * LANES ? left - LANES : 0);
        if (overlaps && whole == BLOCK - 1) {
            b.channels = (int)left;
            finite &= NAME(gather_cells_block_overlapping)(g, channel + b.first, last, out + b.first);
        } else if (overlaps && whole == HALF_BLOCK - 1) {
            b.channels = (int)left;
            finite &= NAME(gather_cells_half_overlapping)(g, channel + b.first, last, out + b.first);
        } else {
            if (b.part && b.first > 0) /* a whole vector that ends with the last channel */
                b = (channel_block){depth - LANES, 1, 0, LANES};
            finite &= CHOOSE(gather_cells_, b)(g, channel + b.first, b.part, out + b.first);
        }
    }
    return finite;
}

/* Gathers pixel number `pixel` of g by the exact path. */
static void NAME(gather_exact)(const gather *g, int64_t pixel, int64_t channel, int64_t depth, real *out) {
    exact_points found;
    gather one = *g;
    one.first += pixel * g->chunk->box.points;
    one.pixels = 1;
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth)) {
        NAME(locate_points)(&one, channel + b.first, &found);
        CHOOSE(gather_exact_, b)(&one, &found, channel + b.first, b.part, out + b.first);
        for (int64_t i = 1; i <= found.slow; ++i)
            NAME(gather_slow_point)(&one, found.number[POINTS - i], channel + b.first, b.channels, out + b.first);
    }
}

static bool all_finite(const real *numbers, int64_t count) {
    vmask finite = vfinite(vset(0));
    for (int64_t i = 0; i < count; i += LANES)
        finite = vmask_and(
            finite, vfinite(count - i >= LANES ? vload(numbers + i) : vload_part(numbers + i, (int)(count - i))));
    return vmask_full(finite);
}

/* What a result must be checked for: pixels of a point's cell that are not its own, but there because they are the nearest in
 * the image; and a weight that is not finite. */
enum { LEFT = 1, RIGHT = 2, UPPER = 4, LOWER = 8, INFINITE_WEIGHT = 16, NAN_WEIGHT = 32 };
typedef struct doubtful_points {
    bool known;
    real why[POINTS_ROOM]; /* sums of LEFT, … for the points of a gather; 0 for those that are not doubtful */
} doubtful_points;

/* Along one axis, for points whose cells begin in number `at`, counted from 1, where those of the image begin in 1 to `last`, and
 * which are `rest` past it: which pixels are others. */
static inline vec vothers(vec at, vec rest, vec last, const real first, const real second) {
    const vec past = vsub(at, vmin(vmax(at, vset(1)), last));
    const vmask before = vmask_and(vequal(past, vset(-1)), vless(vset(0), rest)), behind = vequal(past, vset(1));
    const vec others = vadd(vdrop(before, vset(first)), vdrop(behind, vset(second)));
    return vdrop(vequal(past, vset(0)), others);
}

static inline vec vodd_weight(vec weight) {
    return vselect(vequal(weight, weight), vdrop(vfinite(weight), vset(INFINITE_WEIGHT)), vset(NAN_WEIGHT));
}

static NOINLINE void NAME(find_doubtful_points)(const gather *g, doubtful_points *doubtful) {
    const image_frame *frame = g->frame;
    const point_chunk *chunk = g->chunk;
    const vec before_middle_x = vset((real)(chunk->first_middle_x + 1)), end_column = vset(frame->last_column + 1);
    const vec from_row = vset((real)chunk->middle_y - frame->first_row + 1);
    const vec end_row = vset(frame->last_row - frame->first_row + 1);
    const int64_t count = g->pixels * chunk->box.points;
    for (int64_t i = 0, point = g->first; i < count; i += LANES, point += LANES) {
        const vec x = vload(chunk->x + point), y = vload(chunk->y + point), whole_x = vfloor(x), whole_y = vfloor(y);
        const vec column = vadd(vadd(before_middle_x, vload(chunk->middle_x + point)), whole_x);
        const vec columns = vothers(column, vsub(x, whole_x), end_column, LEFT, RIGHT);
        const vec rows = vothers(vadd(from_row, whole_y), vsub(y, whole_y), end_row, UPPER, LOWER);
        vstore(doubtful->why + i, vadd(vadd(columns, rows), vodd_weight(vload(chunk->weight + point))));
    }
    doubtful->known = true;
}

/* Whether no point of a pixel is doubtful. */
static bool none_doubtful(const real *why, int64_t points) {
    vmask none = vequal(vset(0), vset(0));
    for (int64_t k = 0; k < points; k += LANES) {
        const int64_t left = points - k;
        none = vmask_and(none, vequal(left >= LANES ? vload(why + k) : vload_part(why + k, (int)left), vset(0)));
    }
    return vmask_full(none);
}

/* Whether one of them has a weight that is not finite. */
static bool has_odd_weight(const real *why, int64_t points) {
    bool odd = false;
    for (int64_t k = 0; k < points; ++k)
        odd = odd || why[k] >= INFINITE_WEIGHT;
    return odd;
}

/* Whether all channels are NaN, as they were gathered: one of the points, whose cell is its own, has a weight of NaN. */
static bool is_nan_throughout(const real *why, int64_t points) {
    bool nan = false;
    for (int64_t k = 0; k < points; ++k)
        nan = nan || why[k] == NAN_WEIGHT;
    return nan;
}

/* The points of pixel number `pixel` of g as they were gathered, but zeros in place of other pixels. */
static NOINLINE void NAME(take_own_pixels)(const gather *g, int64_t pixel, const real *why, int64_t channel,
                                           exact_points *found) {
    const image_frame *frame = g->frame;
    const int64_t points = g->chunk->box.points, first = g->first + pixel * points;
    const int64_t stride = stride_between(&frame->image, g->from->stride);
    const int64_t right = frame->one_column ? 0 : stride, below = frame->one_row ? 0 : frame->image.width * stride;
    const real *const origin = g->from->pixels + index_origin(frame, g->from->first_row, stride) + channel;
    const int second = (frame->one_column ? RIGHT : 0) | (frame->one_row ? LOWER : 0);
    for (int64_t k = 0; k < points; ++k) {
        const int other = (int)why[k] | second;
        const real *const upper = origin + g->chunk->at[first + k] * frame->unit, *const lower = upper + below;
        const real **const corner = found->corner[k];
        corner[0] = other & (UPPER | LEFT) ? zeros : upper;
        corner[1] = other & (UPPER | RIGHT) ? zeros : upper + right;
        corner[2] = other & (LOWER | LEFT) ? zeros : lower;
        corner[3] = other & (LOWER | RIGHT) ? zeros : lower + right;
    }
    memcpy(found->weights, g->chunk->corners + 4 * first, (size_t)(4 * points) * sizeof *found->weights);
    found->plain = points, found->slow = 0;
}

/* Gathers pixel number `pixel` of g, whose results are not finite, again, if they may not be the formula's. */
static NOINLINE void NAME(check_pixel)(const gather *g, int64_t pixel, doubtful_points *doubtful, int64_t channel,
                                       int64_t depth, real *out) {
    const int64_t points = g->chunk->box.points;
    const real *const why = doubtful->why + pixel * points;
    exact_points found;
    gather one = *g;
    one.pixels = 1;
    if (!doubtful->known)
        NAME(find_doubtful_points)(g, doubtful);
    if (none_doubtful(why, points) && !g->frame->one_column && !g->frame->one_row)
        return;
    if (has_odd_weight(why, points)) {
        if (!is_nan_throughout(why, points))
            NAME(gather_exact)(g, pixel, channel, depth, out);
        return;
    }
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth)) {
        NAME(take_own_pixels)(g, pixel, why, channel + b.first, &found);
        CHOOSE(gather_exact_, b)(&one, &found, channel + b.first, b.part, out + b.first);
    }
}

/* Gathers `pixels` pixels. Those whose results are not finite are checked. */
static void gather_pixels(gather *g, int64_t pixels, int64_t channel, int64_t depth, real *out) {
    const int64_t points = g->chunk->box.points;
    doubtful_points doubtful;
    for (int64_t i = 0, done; i < pixels; i += done, out += done * g->out_stride, g->first += done * points) {
        doubtful.known = false;
        g->pixels = complete_pixels(g->chunk, g->first, pixels - i);
        const bool gathered = g->pixels > 0, finite = gathered && gather_cells(g, channel, depth, out);
        done = gathered ? g->pixels : 1;
        if (!gathered)
            NAME(gather_exact)(g, 0, channel, depth, out);
        for (int64_t k = 0; gathered && !finite && k < done; ++k)
            if (!all_finite(out + k * g->out_stride, depth))
                NAME(check_pixel)(g, k, &doubtful, channel, depth, out + k * g->out_stride);
    }
}

/* Adds what gather_pixels computes to the results. Once added, sums that are not finite could not be recomputed, so they
 * are complete before. */
static NOINLINE void NAME(add_pixels)(const gather *g, int64_t pixels, int64_t channel, int64_t depth, real *out) {
    real sums[BLOCK * LANES];
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth))
        for (int64_t i = 0; i < pixels; ++i) {
            gather one = *g;
            one.first += i * g->chunk->box.points;
            gather_pixels(&one, 1, channel + b.first, b.channels, sums);
            for (int64_t c = 0; c < b.channels; ++c)
                out[i * g->out_stride + b.first + c] += sums[c];
        }
}

/* Gathers one group of `pixels` pixels. */
static void gather_group(gather *g, int64_t pixels, int64_t channel, int64_t depth, real *out) {
    if (g->accumulate)
        NAME(add_pixels)(g, pixels, channel, depth, out);
    else
        gather_pixels(g, pixels, channel, depth, out);
}
