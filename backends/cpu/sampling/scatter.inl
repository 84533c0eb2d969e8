/* The scatter: adds weight · grad_output to the pixels of each point's cell in the gradient of the image, and computes
 * the dot products over the channels of grad_output and each of these pixels, from which derivatives.inl computes the
 * points' gradients. */

/* Where gradients are added up: rows first_row to last_row − 1 of the image's gradient, as reals. */
typedef struct grad_rows {
    real *pixels;
    int64_t stride; /* reals from one pixel to the next */
    int64_t first_row, last_row;
} grad_rows;

/* An image that gradients are propagated to. grad begins at the channel that value begins at. */
typedef struct scatter_image {
    image_frame frame;
    view value;
    grad_rows grad;
} scatter_image;

/* Sums over the channels, for each point of a chunk. */
typedef struct point_sums {
    _Alignas(64) real corners[4 * POINTS_ROOM]; /* quads of Σ grad_output · value, for the pixels of the cell */
    real by_weight[POINTS_ROOM];                /* the derivative by the point's weight */
} point_sums;

/* Points of one pixel and group, located by the exact path, in the order of a cell's pixels. Values that are not in
 * the view are converted here; gradients of pixels that are not in grad are added to a sink. */
enum { EXACT_POINTS = 9 };
typedef struct exact_gradients {
    int64_t count;
    int64_t number[EXACT_POINTS]; /* in the chunk */
    const real *corner[EXACT_POINTS][4];
    real *grad[EXACT_POINTS][4];
    real weights[4 * EXACT_POINTS];
    real converted[EXACT_POINTS][4][BLOCK * LANES];
    real sink[BLOCK * LANES];
} exact_gradients;

/* A scatter of one group: points first, first + 1, … of a chunk for each of `pixels` neighbouring pixels. */
typedef struct scatter {
    const scatter_image *to;
    const point_chunk *chunk;
    int64_t first, points, pixels;
    int64_t out_stride; /* reals from one pixel of grad_output to the next */
    real *dots;         /* point_sums.corners, of the whole chunk */
    bool streams;       /* whether these are prefetched */
    row_stream reads, writes;
} scatter;

/* Locates the group's points, EXACT_POINTS at most, for `channels` channels from channel c of the view on. The view may have
 * zeros behind them, which storage has not. */
static NOINLINE void NAME(locate_gradients)(const scatter *s, int64_t c, int channels, exact_gradients *found) {
    const scatter_image *to = s->to;
    const dcnv4i_image *image = &to->frame.image;
    const grad_rows *grad = &to->grad;
    int64_t n = 0;
    for (int i = 0; i < BLOCK * LANES; ++i)
        found->sink[i] = 0;
    for (int64_t point = s->first; point < s->first + s->points; ++point) {
        const exact_cell cell = locate_point(s->chunk, point, image);
        if (!cell.counts)
            continue;
        /* At the image's edges vnearest takes another cell, whose pixels derivatives.inl expects in its order. */
        const int beside = cell.column < 0 || (cell.column == image->width - 1 && !to->frame.one_column);
        const int above = cell.row < 0 || (cell.row == image->height - 1 && !to->frame.one_row);
        const int swap = to->frame.has_cells ? beside + 2 * above : 0;
        for (int i = 0; i < 4; ++i) {
            const int64_t column = cell.column + (i & 1), row = cell.row + (i >> 1) - grad->first_row;
            const bool ours = corner_inside(&cell, i, image) && row >= 0 && row < grad->last_row - grad->first_row;
            real *const target = ours ? grad->pixels + (row * image->width + column) * grad->stride + c : found->sink;
            found->corner[n][i ^ swap] = corner_channels(image, &to->value, &cell, i, c, channels,
                                                         found->converted[n][i]);
            for (int d = channels; d < BLOCK * LANES; ++d)
                found->converted[n][i][d] = 0;
            found->grad[n][i ^ swap] = target;
            found->weights[4 * n + (i ^ swap)] = corner_weight(&cell, i, s->chunk->weight[point]);
        }
        found->number[n++] = point;
    }
    found->count = n;
}

/* Base pointers and strides of a scatter: where index 0 is in the image and in its gradient, how many reals an index
 * counts, and how many reals away the next pixel and the one below are. */
typedef struct scatter_target {
    const real *value;
    real *grad;
    int64_t unit, stride, below;
    int64_t grad_unit, grad_stride, grad_below;
    bool alike;      /* image and gradient are laid out alike, and indices count reals: then … */
    uintptr_t apart; /* … bytes from a number to its gradient */
} scatter_target;

/* The points of one pixel. */
typedef struct scatter_points {
    const point_index *index, *grad_index;
    const real *weights; /* quads */
    real *dots;          /* of the first of them; of the chunk, for points of the exact path */
} scatter_points;

/* A point's four weights. Where the permutations of the dots are what limits the loop, they are broadcast from memory. */
#ifdef SCATTER_READS_WEIGHTS
typedef const real *point_weights;
static inline point_weights point_weights_at(const real *from) {
    return from;
}
static ALWAYS_INLINE vec point_weight(point_weights of, const int corner) {
    return vset(of[corner]);
}
#else
typedef quad point_weights;
static inline point_weights point_weights_at(const real *from) {
    return quad_load(from);
}
static ALWAYS_INLINE vec point_weight(point_weights of, const int corner) {
    return quad_lane(of, corner);
}
#endif

/* Scatters point k of a pixel whose vectors of grad_output are `out`. Returns its dots with the four pixels. */
static ALWAYS_INLINE dots scatter_point(const scatter_target *to, const exact_gradients *found,
                                        const scatter_points *from, int64_t k, const int vectors, const int part,
                                        const vec *out) {
    const bool alike = to->alike;
    const int64_t grad_stride = alike ? to->stride : to->grad_stride;
    const real *const upper = to->value + from->index[k] * (alike ? 1 : to->unit), *const lower = upper + to->below;
    real *const grad_upper = alike ? (real *)((uintptr_t)upper + to->apart)
                                   : to->grad + from->grad_index[k] * to->grad_unit;
    real *const grad_lower = alike ? (real *)((uintptr_t)lower + to->apart) : grad_upper + to->grad_below;
    const real *const inner[4] = {upper, upper + to->stride, lower, lower + to->stride};
    real *const grad_inner[4] = {grad_upper, grad_upper + grad_stride, grad_lower, grad_lower + grad_stride};
    const point_weights weights = point_weights_at(from->weights + 4 * k);
    vec product[4];
    for (int i = 0; i < 4; ++i) {
        const real *const value = found ? found->corner[k][i] : inner[i];
        real *const grad = found ? found->grad[k][i] : grad_inner[i];
        const vec weight = point_weight(weights, i); /* here: read before the stores, gcc would keep it in a register */
        for (int v = 0; v < vectors; ++v) {
            const vec one = part ? vload_part(value, part) : vload(value + v * LANES);
            product[i] = v == 0 ? vmul(out[v], one) : vfma(out[v], one, product[i]);
            if (part)
                vstore_part(grad, vfma(weight, out[v], vload_part(grad, part)), part);
            else
                vstore(grad + v * LANES, vfma(weight, out[v], vload(grad + v * LANES)));
        }
    }
    return dots_of(product[0], product[1], product[2], product[3]);
}

/* Scatters count points of one pixel, whose vectors of grad_output are `out`. `accumulate`: dots are added to. */
static ALWAYS_INLINE void scatter_pixel(const scatter_target *to, const exact_gradients *found,
                                        const scatter_points *from, const int64_t count, const int vectors,
                                        const int part, const bool accumulate, const vec *out) {
    const int64_t together = found ? 0 : count - count % DOTS_TOGETHER;
    UNROLL(9)
    for (int64_t k = 0; k < together; k += DOTS_TOGETHER) {
        dots some[DOTS_TOGETHER];
        for (int i = 0; i < DOTS_TOGETHER; ++i)
            some[i] = scatter_point(to, found, from, k + i, vectors, part, out);
        store_dots_together(from->dots + 4 * k, some, accumulate);
    }
    UNROLL(9)
    for (int64_t k = together; k < count; ++k)
        store_dots(from->dots + 4 * (found ? found->number[k] : k),
                   scatter_point(to, found, from, k, vectors, part, out), accumulate);
}

/* scatter_block to this target. count is the number of points of a pixel. */
static ALWAYS_INLINE int64_t scatter_pixels(const scatter *s, const exact_gradients *found, const scatter_target *to,
                                            const int64_t count, const int vectors, const int part,
                                            const real *grad_output, const bool accumulate) {
    const point_chunk *chunk = s->chunk;
    const int64_t pixels = s->pixels, out_stride = s->out_stride;
    scatter_points from = {
        .index = chunk->at + s->first,
        .grad_index = (s->to->frame.grad_stride ? chunk->grad_at : chunk->at) + s->first,
        .weights = found ? found->weights : chunk->corners + 4 * s->first,
        .dots = s->dots + (found ? 0 : 4 * s->first),
    };
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        vmask finite = vfinite(vset(0));
        vec out[BLOCK];
        prefetch_reals(grad_output, 4, out_stride, vectors * LANES);
        if (s->streams && !found && !accumulate) {
            prefetch_stream(&s->reads, pixel);
            prefetch_stream(&s->writes, pixel);
        }
        for (int v = 0; v < vectors; ++v) {
            out[v] = part ? vload_part(grad_output, part) : vload(grad_output + v * LANES);
            finite = vmask_and(finite, vfinite(out[v]));
        }
        if (!found && !vmask_full(finite))
            return pixel;
        scatter_pixel(to, found, &from, count, vectors, part, accumulate, out);
        from.weights += 4 * count;
        from.index += count;
        from.grad_index += count;
        from.dots += 4 * count;
        grad_output += out_stride;
    }
    return pixels;
}

/* Scatters one block of channels, from channel c of the view on. dots are set, or added to if `accumulate`. Returns for
 * how many pixels that was done: with cells, it ends before the first whose grad_output is not finite, which would turn
 * pixels that are not its own into NaN. */
static ALWAYS_INLINE int64_t scatter_block(const scatter *s, const exact_gradients *found, int64_t c, const int vectors,
                                           const int part, const real *grad_output, bool accumulate) {
    const scatter_image *image = s->to;
    const int64_t width = image->frame.image.width;
    const int64_t stride = found ? 0 : stride_between(&image->frame.image, image->value.stride);
    const int64_t grad_stride = found ? 0 : stride_between(&image->frame.image, image->grad.stride);
    const bool one_column = image->frame.one_column, one_row = image->frame.one_row;
    scatter_target to = {
        .value = image->value.pixels + (found ? 0 : index_origin(&image->frame, image->value.first_row, stride)) + c,
        .grad = image->grad.pixels + (found ? 0 : index_origin(&image->frame, image->grad.first_row, grad_stride)) + c,
        .unit = found ? 0 : image->frame.unit,
        .stride = one_column ? 0 : stride,
        .below = one_row ? 0 : width * stride,
        .grad_unit = found ? 0 : image->frame.grad_unit,
        .grad_stride = one_column ? 0 : grad_stride,
        .grad_below = one_row ? 0 : width * grad_stride,
    };
    to.apart = (uintptr_t)to.grad - (uintptr_t)to.value;
    const bool alike = stride == grad_stride && to.unit == 1;
    if (found || !alike || accumulate)
        return scatter_pixels(s, found, &to, found ? found->count : s->points, vectors, part, grad_output, accumulate);
    scatter_target same = to;
    same.alike = true;
    if (s->points != 9)
        return scatter_pixels(s, NULL, &same, s->points, vectors, part, grad_output, false);
    /* A packed copy of one group's values and gradients has constant strides: they take no registers. */
    scatter_target packed = same;
    packed.stride = 2 * vectors * LANES, packed.apart = vectors * LANES * sizeof(real);
    if (to.stride == packed.stride && to.apart == packed.apart)
        return scatter_pixels(s, NULL, &packed, 9, vectors, part, grad_output, false);
    return scatter_pixels(s, NULL, &same, 9, vectors, part, grad_output, false);
}

/* scatter_block as one function for each number of vectors, so that the compiler gives each the registers it needs. */
#define SCATTER(size, vectors, part_)                                                                                  \
    static NOINLINE int64_t NAME(scatter_cells_##size)(const scatter *s, int64_t c, int part, const real *grad_output, \
                                                       bool accumulate) {                                              \
        (void)part;                                                                                                    \
        return scatter_block(s, NULL, c, vectors, part_, grad_output, accumulate);                                     \
    }                                                                                                                  \
    static NOINLINE void NAME(scatter_exact_##size)(const scatter *s, const exact_gradients *found, int64_t c,         \
                                                    int part, const real *grad_output, bool accumulate) {              \
        (void)part;                                                                                                    \
        scatter_block(s, found, c, vectors, part_, grad_output, accumulate);                                           \
    }
SCATTER(block, BLOCK, 0)
SCATTER(half, HALF_BLOCK, 0)
SCATTER(vector, 1, 0)
SCATTER(part, 1, part)
#undef SCATTER

/* Scatters the first pixel of s by the exact path. */
static void NAME(scatter_exact)(const scatter *s, const channel_block *block, int64_t channel,
                                const real *grad_output) {
    const int64_t c = channel + block->first;
    const bool accumulate = block->first > 0;
    const int64_t stored = s->to->frame.image.depth - block->first;
    exact_gradients found;
    scatter some = *s;
    some.pixels = 1;
    for (int64_t i = 4 * s->first; !accumulate && i < 4 * (s->first + s->points); ++i)
        s->dots[i] = 0;
    for (int64_t k = 0; k < s->points; k += EXACT_POINTS) {
        some.first = s->first + k;
        some.points = dcnv4i_min64(EXACT_POINTS, s->points - k);
        NAME(locate_gradients)(&some, c, (int)dcnv4i_min64(block->channels, stored), &found);
        CHOOSE(scatter_exact_, *block)(&some, &found, c, block->part, grad_output, accumulate);
    }
}

/* Scatters one block of channels of `pixels` pixels, in their order: so sums are added up in one order, whichever
 * points have cells. */
static void scatter_block_of_group(scatter s, const channel_block *block, int64_t pixels, int64_t channel,
                                   const real *grad_output) {
    const real *out = grad_output + block->first;
    for (int64_t i = 0; i < pixels; ++i, s.first += s.points) {
        s.pixels = complete_pixels(s.chunk, s.first, pixels - i);
        if (s.pixels > 0) {
            const int64_t done = CHOOSE(scatter_cells_, *block)(&s, channel + block->first, block->part,
                                                                out + i * s.out_stride, block->first > 0);
            i += done, s.first += done * s.points;
        }
        if (i < pixels)
            NAME(scatter_exact)(&s, block, channel, out + i * s.out_stride);
    }
}

/* Scatters one group of `pixels` pixels: `depth` channels, from `channel` of the view on. */
static void scatter_group(const scatter *s, int64_t pixels, int64_t channel, int64_t depth, const real *grad_output) {
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth))
        scatter_block_of_group(*s, &b, pixels, channel, grad_output);
}
