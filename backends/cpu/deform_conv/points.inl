/* Where DCNv4's points are: from rows of offset_mask to a chunk of positions and weights. The points of several
 * pixels form one chunk, so that whole vectors of them are processed whatever K is. */

/* Of the raw weights of a pixel and group. */
typedef struct softmax_state {
    real largest, sum; /* Σ exp(raw − largest) */
} softmax_state;

/* A chunk with what its points are made of. */
typedef struct conv_chunk {
    _Alignas(64) real pairs[2 * POINTS_ROOM];      /* offsets (dx, dy); their gradients when these are known */
    real grid_x[POINTS_ROOM], grid_y[POINTS_ROOM]; /* the point's place in the kernel, measured from its middle */
    int64_t grid_from; /* the kernel's point that the grid begins with; −1 before anything is laid out */
    softmax_state softmax;
    point_chunk sampled;
} conv_chunk;

/* Where a box begins. */
typedef struct place {
    int64_t pixel; /* row number in offset_mask and output */
    int64_t oy, ox;
    int64_t group, point;
} place;

/* What points are read from. */
typedef struct point_source {
    const dcnv4i_conv_layer *layer;
    const char *offset_mask;
    dcnv4i_copy_rows *read;
    real scale;
} point_source;

static inline int64_t points_in(const point_box *box) {
    return box->pixels * box->groups * box->points;
}

static point_source source_of(const dcnv4i_conv_layer *layer, const dcnv4i_conv_tensors *tensors,
                              dcnv4i_copy_rows *read) {
    return (point_source){layer, tensors->offset_mask, read, real_of(layer->params.offset_scale)};
}

/* The rows of offset_mask, or of a tensor with as many elements, of a group and the pixels from `pixel` on. They may be
 * past the tensor's end, and their addresses overflow, so these are computed unsigned. */
static inline row_stream rows_of_points(const dcnv4i_conv_layer *layer, const char *tensor, int64_t stride,
                                        int64_t pixel, int64_t group) {
    const uintptr_t item = (uintptr_t)layer->offset_item, block = (uintptr_t)(3 * layer->points) * item;
    const uintptr_t step = (uintptr_t)stride * item;
    return (row_stream){(const char *)((uintptr_t)tensor + (uintptr_t)pixel * step + (uintptr_t)group * block),
                        (int64_t)step, (int64_t)block - 1};
}

/* The largest box that fits a chunk: pixels of a row first, then groups. A kernel that does not fit has boxes of a
 * part of its points. */
static point_box largest_box(int64_t pixels, int64_t groups, int64_t points) {
    point_box box = {1, 1, dcnv4i_min64(points, POINTS)};
    const int64_t blocks = points <= POINTS ? POINTS / (points ? points : 1) : 1;
    box.pixels = dcnv4i_min64(pixels, dcnv4i_min64(blocks, DCNV4I_BOX_PIXELS));
    if (box.pixels == pixels && pixels > 0)
        box.groups = dcnv4i_min64(groups, blocks / pixels);
    return box;
}

/* Where the middle of the kernel is along one axis, for output place o. */
static inline int64_t middle_of(int64_t o, int64_t stride, int64_t pad, int64_t kernel, int64_t dilation) {
    return o * stride - pad + dcnv4i_half_span(kernel, dilation);
}

/* The frame of rows first to last − 1 of value, whose pixels are `stride` reals apart, and grad_stride in
 * grad_value. */
static image_frame NAME(conv_frame)(const dcnv4i_conv_layer *layer, int64_t first, int64_t last, int64_t stride,
                                    int64_t grad_stride) {
    const dcnv4_problem *p = &layer->params;
    const int64_t columns = layer->output_width, rows = layer->output_height;
    const bool exact_x = axis_is_exact(middle_of(0, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w),
                                       columns > 1 ? (columns - 1) * p->stride_w : 0, p->stride_w, p->width);
    const bool exact_y = axis_is_exact(middle_of(0, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h),
                                       rows > 1 ? (rows - 1) * p->stride_h : 0, p->stride_h, p->height);
    return NAME(make_frame)(&layer->image, exact_x && exact_y, first, last, stride, grad_stride);
}

/* soften for a kernel that does not fit one chunk, of whose weights `weight` has those from number `first` on. `block`
 * are the group's numbers; largest and sum are computed with the first part, which comes before the others. */
static NOINLINE void NAME(soften_part)(const point_source *source, const char *block, int64_t first, real *weight,
                                       int64_t count, softmax_state *state) {
    const int64_t points = source->layer->points, item = source->layer->offset_item;
    const char *const weights = block + 2 * points * item;
    real raw[POINTS_ROOM];
    if (first == 0) {
        *state = (softmax_state){-INFINITY, 0};
        for (int pass = 0; pass < 2; ++pass)
            for (int64_t k = 0; k < points; k += POINTS) {
                const int64_t part = dcnv4i_min64(points - k, POINTS);
                source->read(weights + k * item, 0, raw, 0, 1, part);
                if (pass == 1)
                    exponentials(raw, part, state->largest);
                for (int64_t i = 0; i < part; ++i)
                    if (pass == 0)
                        state->largest = raw[i] > state->largest ? raw[i] : state->largest;
                    else
                        state->sum += raw[i];
            }
    }
    exponentials(weight, count, state->largest);
    for (int64_t i = 0; i < count; ++i)
        weight[i] /= state->sum;
}

/* Lays out the kernel's grid, which all boxes share that begin at the same point of the kernel. The first of them is
 * the largest: a smaller box, at the end of a row or of the groups, uses the beginning. */
static void lay_grid(const dcnv4i_conv_layer *layer, int64_t first_point, const point_box *box, conv_chunk *chunk) {
    const int64_t count = points_in(box);
    const real *const grid_x = (const real *)layer->grid_x + first_point;
    const real *const grid_y = (const real *)layer->grid_y + first_point;
    if (chunk->grid_from == first_point)
        return;
    chunk->grid_from = first_point;
    for (int64_t i = 0, block = 0; i < count; ++block)
        for (int64_t k = 0; k < box->points; ++k, ++i) {
            chunk->grid_x[i] = grid_x[k];
            chunk->grid_y[i] = grid_y[k];
            chunk->sampled.middle_x[i] = (real)(block % box->pixels * layer->params.stride_w);
        }
    for (int64_t i = count; i < POINTS_ROOM; ++i)
        chunk->grid_x[i] = chunk->grid_y[i] = chunk->sampled.middle_x[i] = 0;
}

/* Reads a box of offset_mask: offsets, weights and middles. */
static void NAME(read_box)(const point_source *source, const place *at, const point_box *box, conv_chunk *chunk) {
    const dcnv4i_conv_layer *const layer = source->layer;
    const dcnv4_problem *const p = &layer->params;
    const int64_t points = layer->points, count = box->points, item = layer->offset_item, row = p->offset_mask_stride;
    const char *block = source->offset_mask + (at->pixel * row + at->group * 3 * points) * item;
    point_chunk *const to = &chunk->sampled;
    real *pairs = chunk->pairs, *weight = to->weight;
    lay_grid(layer, at->point, box, chunk);
    to->first_middle_x = middle_of(at->ox, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w);
    to->middle_y = middle_of(at->oy, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h);
    to->middle_step = p->stride_w;
    to->box = *box;
    for (int64_t g = 0; g < box->groups; ++g, block += 3 * points * item) {
        source->read(block + 2 * at->point * item, row, pairs, 2 * count, box->pixels, 2 * count);
        source->read(block + (2 * points + at->point) * item, row, weight, count, box->pixels, count);
        if (p->softmax && count == points)
            soften(weight, box->pixels, count);
        for (int64_t i = 0; p->softmax && count < points && i < box->pixels; ++i)
            NAME(soften_part)(source, block + i * row * item, at->point, weight + i * count, count, &chunk->softmax);
        pairs += 2 * count * box->pixels, weight += count * box->pixels;
    }
    /* Whole vectors are processed, so the lanes behind the last point need numbers: any that are not settled. */
    for (int64_t i = 0; i < LANES - 1; ++i)
        pairs[2 * i] = pairs[2 * i + 1] = (real)0.5, weight[i] = 0;
}

/* Places the points of a chunk: x = scale·(grid + dx), settled. */
static void NAME(place_points)(const point_source *source, int64_t count, conv_chunk *chunk) {
    const vec scale = vset(source->scale);
    vec nearest = vset(INFINITY); /* squares */
    for (int64_t i = 0; i < count; i += LANES) {
        vec dx, dy;
        vload_pairs(chunk->pairs + 2 * i, &dx, &dy);
        const vec x = vmul(scale, vadd(vload(chunk->grid_x + i), dx));
        const vec y = vmul(scale, vadd(vload(chunk->grid_y + i), dy));
        nearest = vmin(vmin(vmul(x, x), vmul(y, y)), nearest);
        vstore(chunk->sampled.x + i, x);
        vstore(chunk->sampled.y + i, y);
    }
    settle_if_near(count, nearest, &chunk->sampled);
}
