/* From the positions of a chunk to cells, and to the weights of their corners.
 *
 * A cell is four neighbouring pixels of the image. A point whose cell is partly outside gets the nearest cell that
 * is inside, with weight 0 for pixels that are not its own; a point outside gets weights of 0 alone. So all points
 * are processed alike, without a branch. But 0 · Inf = NaN where the formula has no such product: where a result is
 * not finite, it is recomputed by exact.inl. Points that have no cell have index −1, and their pixels are computed
 * by exact.inl in the first place: the rows of their cells are not in the frame, or their weights are not finite.
 *
 * In an image that is one pixel wide or high, the second pixel of a cell is the first one again, with weight 0. */

/* Bounds of an image that points are tested against, and how cells are indexed. */
typedef struct image_frame {
    dcnv4i_image image;
    real width, height;           /* −1 for 0, so that no position is between −1 and them */
    bool exact;                   /* all whole numbers along both axes are exact reals */
    bool has_cells;               /* that, and the image has pixels; … */
    bool one_column, one_row;     /* whether it is one pixel wide, or high */
    bool rows_have_cells;         /* … and so are the rows of the frame */
    real last_column;             /* cells begin in columns 0 to this … */
    real first_row, last_row;     /* … and in these rows */
    real lowest_row, highest_row; /* points in other rows have no cell; counted from 1 at first_row */
    /* An index counts reals; or pixels, if the reals are too many for it. */
    int64_t unit, grad_unit; /* reals of the image, and of its gradient, that an index counts */
    int64_t stride, row;     /* what to add to an index for the next pixel, and for the one below, in the image … */
    int64_t grad_stride, grad_row; /* … and in its gradient; 0 if cells have the same indices there */
} image_frame;

/* Whether all whole numbers along an axis are exact reals: in an image of this size, and from the first middle to
 * the one that is `past_first` behind it, `step` from the one before. */
static inline bool axis_is_exact(int64_t first_middle, int64_t past_first, int64_t step, int64_t size) {
    return first_middle > -REAL_WHOLE / 2 && first_middle + past_first < REAL_WHOLE / 2 - step && size < REAL_WHOLE / 2;
}

/* What an image's stride counts for: nothing where there is one pixel alone, and then it may be so large that twice as
 * much overflows. */
static inline int64_t stride_between(const dcnv4i_image *image, int64_t stride) {
    return image->width == 1 && image->height == 1 ? 0 : stride;
}

/* Makes the frame of rows first to last − 1, whose pixels are `stride` reals apart in the image and grad_stride in its
 * gradient. `exact` says whether both axes are. */
static image_frame NAME(make_frame)(const dcnv4i_image *image, bool exact, int64_t first, int64_t last, int64_t stride,
                                    int64_t grad_stride) {
    const int64_t width = image->width, height = image->height;
    const bool has_cells = exact && width >= 1 && height >= 1;
    image_frame frame = {
        .image = *image,
        .width = (real)(width > 0 ? width : -1),
        .height = (real)(height > 0 ? height : -1),
        .exact = exact,
        .has_cells = has_cells,
        .one_column = width == 1,
        .one_row = height == 1,
    };
    if (!has_cells) /* then what follows may overflow, and is not used */
        return frame;
    stride = stride_between(image, stride), grad_stride = stride_between(image, grad_stride);
    const int64_t largest_index = sizeof(point_index) < sizeof(int64_t) ? INT32_MAX : INT64_MAX;
    const int64_t longest = dcnv4i_max64(stride, grad_stride);
    const bool by_pixel = longest > 0 && height > largest_index / width / longest;
    frame.rows_have_cells = last - first >= dcnv4i_min64(height, 2);
    frame.last_column = (real)dcnv4i_max64(width - 2, 0);
    frame.first_row = (real)first;
    frame.last_row = (real)dcnv4i_max64(last - 2, first);
    frame.lowest_row = first == 0 ? -INFINITY : 1;
    frame.highest_row = last == height ? INFINITY : (real)(last - 1 - first);
    frame.unit = by_pixel ? stride : 1;
    frame.grad_unit = by_pixel ? grad_stride : 1;
    frame.stride = by_pixel ? 1 : stride;
    frame.row = by_pixel ? width : width * stride;
    frame.grad_stride = by_pixel || grad_stride == stride ? 0 : grad_stride;
    frame.grad_row = width * grad_stride;
    return frame;
}

/* Where index 0 is, in reals from the first pixel of rows that begin with first_row. */
static inline int64_t index_origin(const image_frame *frame, int64_t first_row, int64_t stride) {
    if (!frame->has_cells)
        return 0;
    return (((int64_t)frame->first_row - first_row - 1) * frame->image.width - 1) * stride;
}

/* ---- Positions next to a middle ---------------------------------------------------------------------------------- */

#define NEAREST ((real)0x1p-54) /* times a middle: see vsettle */

/* Sets a position to 0 if it is so near to its middle that their sum is the middle even in float64. Otherwise the point
 * would differ from one at the image's edge or at the border of two cells, though not in the formula's own
 * arithmetic. */
static inline vec vsettle(vec position, vec middle) {
    const vec near = vmul(vset(NEAREST), middle);
    return vdrop(vless(vmul(position, position), vmul(near, near)), position);
}

static NOINLINE void NAME(settle_points)(int64_t count, point_chunk *chunk) {
    const vec first_middle_x = vset((real)chunk->first_middle_x), middle_y = vset((real)chunk->middle_y);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec middle_x = vadd(first_middle_x, vload(chunk->middle_x + i));
        vstore(chunk->x + i, vsettle(vload(chunk->x + i), middle_x));
        vstore(chunk->y + i, vsettle(vload(chunk->y + i), middle_y));
    }
}

/* Settles the points of a chunk if any is near enough. nearest: the least square of a coordinate, of points in each
 * lane. */
static inline void settle_if_near(int64_t count, vec nearest, point_chunk *chunk) {
    const int64_t last_step = (chunk->box.pixels - 1) * chunk->middle_step;
    const real first = (real)chunk->first_middle_x, last = first + (real)last_step, y = (real)chunk->middle_y;
    const real largest = first * first + last * last + y * y;
    if (!vmask_full(vmask_not(vless(nearest, vset(NEAREST * NEAREST * largest)))))
        NAME(settle_points)(count, chunk);
}

/* ---- Cells ------------------------------------------------------------------------------------------------------- */

/* The linear weights of a cell's four pixels along both axes. */
typedef struct cell_weights {
    vec left, right, upper, lower;
} cell_weights;

/* Stores the cells of LANES points from number i on. column and row count from 1 at the frame's first column and
 * row. */
static inline void store_cells(const image_frame *frame, int64_t i, vec column, vec row, vec weight,
                               cell_weights linear, const bool backward, point_chunk *chunk) {
    vstore_index(chunk->at + i, column, row, frame->stride, frame->row);
    if (backward && frame->grad_stride)
        vstore_index(chunk->grad_at + i, column, row, frame->grad_stride, frame->grad_row);
    const vec upper = vmul(weight, linear.upper), lower = vmul(weight, linear.lower);
    vstore_quads(chunk->corners + 4 * i, vmul(upper, linear.left), vmul(upper, linear.right), vmul(lower, linear.left),
                 vmul(lower, linear.right));
}

/* Along one axis: returns the cell of 1 to `last` that is nearest to `at`, which may be outside the image and whose
 * near and far pixels have these linear weights. Its pixels that are not those of `at` get weight 0. Sets `same`
 * where it is `at` itself. */
static inline vec vnearest(vec at, vec last, vec *near, vec *far, vmask *same) {
    const vec low = vmin(vmax(at, vset(1)), last), past = vsub(at, low), own_near = *near, own_far = *far;
    *same = vequal(past, vset(0));
    *near = vselect(*same, own_near, vkeep(vequal(past, vset(-1)), own_far));
    *far = vselect(*same, own_far, vkeep(vequal(past, vset(1)), own_near));
    return low;
}

/* Removes the cells of points that must not have one. */
static NOINLINE void NAME(remove_cells)(const image_frame *frame, int64_t count, point_chunk *chunk) {
    const vec from_row = vset((real)chunk->middle_y - frame->first_row + 1);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec row = vadd(from_row, vfloor(vload(chunk->y + i)));
        const vmask missed = vmask_or(vless(row, vset(frame->lowest_row)), vless(vset(frame->highest_row), row));
        const vmask found = vmask_and(vfinite(vload(chunk->weight + i)), vmask_not(missed));
        vclear_index(chunk->at + i, vmask_and(found, vequal(vset(1), vset(frame->rows_have_cells))));
        if (!frame->rows_have_cells) /* a point above the image then matched the frame's only cell */
            chunk->inner[i / LANES] = false;
    }
}

/* Of cells whose second pixel is the first one again, gives that the weight 0. */
static NOINLINE void NAME(drop_second_pixels)(const image_frame *frame, int64_t count, point_chunk *chunk) {
    for (int64_t i = 0; i < 4 * count; i += 4) {
        if (frame->one_column)
            chunk->corners[i + 1] = chunk->corners[i + 3] = 0;
        if (frame->one_row)
            chunk->corners[i + 2] = chunk->corners[i + 3] = 0;
    }
}

/* Finds the cells of a chunk's `count` points. In forward, a weight that is not finite needs no test: it makes a
 * result that is not, and that is noticed. In backward it would be added to pixels that are not the point's own. */
static ALWAYS_INLINE void find_cells(const image_frame *frame_, int64_t count, const bool backward,
                                     point_chunk *chunk) {
    /* A copy, since for all that the compiler knows stores to the chunk change the frame. */
    const image_frame frame = *frame_;
    const vec one = vset(1), zero = vset(0), before_middle_x = vset((real)(chunk->first_middle_x + 1));
    const vec from_row = vset((real)chunk->middle_y - frame.first_row + 1);
    const vec end_column = vset(frame.last_column + 1), end_row = vset(frame.last_row - frame.first_row + 1);
    vec lowest = one, highest = one, zero_or_nan = zero;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), whole_x = vfloor(x), whole_y = vfloor(y);
        const vec weight = vload(chunk->weight + i), right = vsub(x, whole_x), lower = vsub(y, whole_y);
        cell_weights linear = {vsub(one, right), right, vsub(one, lower), lower};
        vec column = vadd(vadd(before_middle_x, vload(chunk->middle_x + i)), whole_x), row = vadd(from_row, whole_y);
        vmask same_column, same_row;
        lowest = vmin(row, lowest), highest = vmax(row, highest);
        column = vnearest(column, end_column, &linear.left, &linear.right, &same_column);
        row = vnearest(row, end_row, &linear.upper, &linear.lower, &same_row);
        store_cells(&frame, i, column, row, weight, linear, backward, chunk);
        if (backward) {
            chunk->inner[i / LANES] = vmask_full(vmask_and(same_column, same_row));
            zero_or_nan = vfma(weight, zero, zero_or_nan);
        }
    }
    if (frame.one_column || frame.one_row)
        NAME(drop_second_pixels)(&frame, count, chunk);
    const vmask missed = vmask_or(vless(lowest, vset(frame.lowest_row)), vless(vset(frame.highest_row), highest));
    chunk->complete = frame.rows_have_cells && vmask_full(vmask_and(vfinite(zero_or_nan), vmask_not(missed)));
    if (!chunk->complete)
        NAME(remove_cells)(&frame, count, chunk);
}

/* How many of up to `pixels` pixels, from point `first` of the chunk on, come before one that has a point without a
 * cell. */
static inline int64_t complete_pixels(const point_chunk *chunk, int64_t first, int64_t pixels) {
    const point_index *index = chunk->at + first;
    for (int64_t pixel = 0; !chunk->complete && pixel < pixels; ++pixel, index += chunk->box.points) {
        point_index any = 0;
        for (int64_t k = 0; k < chunk->box.points; ++k)
            any |= index[k];
        if (any < 0)
            return pixel;
    }
    return pixels;
}
