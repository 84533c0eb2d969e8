/* value, offset_mask → a band of output rows. One group of one output pixel is added up in registers over all points of its
 * chunk and stored once. */

/* Rows of value as reals: the tensor itself, or what was converted of it. */
typedef struct view {
    const real *pixels; /* of first_row */
    int64_t stride;     /* reals from one pixel to the next */
    int64_t first_row, last_row;
    const char *storage; /* the whole image */
} view;

static const real zeros[BLOCK * LANES];

/* mixed = Σ over the corners inside the image of their bilinear weight times count channels of value from c on: for the
 * points whose weight is not finite, which must be multiplied last, and those that look outside the view. */
static void mix_slowly(const dcnv4i_layer *layer, const view *value, const point_chunk *chunk, int64_t point, int64_t c, int count,
                       real *mixed) {
    const dcnv4_problem *p = &layer->problem->asked;
    const corners at = look(chunk, point, p);
    const real right = chunk->x[point] - (real)at.column, lower = chunk->y[point] - (real)at.row;
    for (int i = 0; i < count; ++i)
        mixed[i] = 0;
    for (int corner = 0; corner < 4; ++corner) {
        if (!inside(&at, corner, p))
            continue;
        const int64_t column = at.column + (corner & 1), row = at.row + (corner >> 1);
        const real weight = (corner & 1 ? right : 1 - right) * (corner >> 1 ? lower : 1 - lower);
        real converted[BLOCK * LANES];
        const real *from = converted;
        if (row >= value->first_row && row < value->last_row)
            from = value->pixels + ((row - value->first_row) * p->width + column) * value->stride + c;
        else
            layer->read(value->storage + ((row * p->width + column) * p->value_stride + c) * (int64_t)layer->problem->item,
                        converted, count);
        for (int i = 0; i < count; ++i)
            mixed[i] = real_fma(weight, from[i], mixed[i]);
    }
}

/* Whether the cell of a point is all in the view, but for what is outside the image; then corner[] are where its corners
 * are, those outside the image being zeros. */
static inline bool find_corners(const view *value, const corners *at, int64_t c, const dcnv4_problem *p, const real *corner[4]) {
    for (int i = 0; i < 4; ++i) {
        const int64_t column = at->column + (i & 1), row = at->row + (i >> 1);
        if (!inside(at, i, p))
            corner[i] = zeros;
        else if (row >= value->first_row && row < value->last_row)
            corner[i] = value->pixels + ((row - value->first_row) * p->width + column) * value->stride + c;
        else
            return false;
    }
    return true;
}

/* vectors (or one vector of which only part lanes are) of channels of one group and pixel, whose points in the chunk are
 * first, first + 1, …; added to what is in out already where `more` says so. c counts from value's first channel. */
static ALWAYS_INLINE void mix_block(const dcnv4i_layer *layer, const view *value, const point_chunk *chunk, int64_t first,
                                    int64_t points, int64_t c, const int vectors, const int part, bool more, real *out) {
    const dcnv4_problem *p = &layer->problem->asked;
    /* Enough sums that no multiply-add waits for the one before. */
    enum { MOST = 4 * BLOCK };
    const int chains = 4 * vectors <= 8 ? 4 : 2 * vectors <= 8 ? 2 : 1;
    const int64_t below = p->width * value->stride;
    vec sum[MOST];
    for (int i = 0; i < chains * vectors; ++i)
        sum[i] = vset(0);
    for (int64_t point = first; point < first + points; ++point) {
        const real *corner[4];
        const point_index index = chunk->at[point];
        if (index >= 0) {
            corner[0] = value->pixels + index * value->stride + c;
            corner[1] = corner[0] + value->stride;
            corner[2] = corner[0] + below;
            corner[3] = corner[2] + value->stride;
        } else {
            const corners at = look(chunk, point, p);
            if (!at.counts)
                continue;
            const real m = chunk->m[point];
            if (!(m - m == 0) || !find_corners(value, &at, c, p, corner)) {
                real mixed[BLOCK * LANES];
                mix_slowly(layer, value, chunk, point, c, part ? part : vectors * LANES, mixed);
                for (int v = 0; v < vectors; ++v)
                    sum[v] = vfma(vset(m), part ? vload_part(mixed, part) : vload(mixed + v * LANES), sum[v]);
                continue;
            }
        }
        const quad weights = quad_load(chunk->corners + 4 * point);
        const vec weight[4] = {quad_0(weights), quad_1(weights), quad_2(weights), quad_3(weights)};
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < vectors; ++v) {
                const vec read = part ? vload_part(corner[i], part) : vload(corner[i] + v * LANES);
                vec *const to = &sum[i % chains * vectors + v];
                *to = vfma(weight[i], read, *to);
            }
    }
    for (int v = 0; v < vectors; ++v) {
        vec total = sum[v];
        for (int i = 1; i < chains; ++i)
            total = vadd(total, sum[i * vectors + v]);
        if (part)
            vstore_part(out, more ? vadd(total, vload_part(out, part)) : total, part);
        else
            vstore(out + v * LANES, more ? vadd(total, vload(out + v * LANES)) : total);
    }
}

static void mix_group(const dcnv4i_layer *layer, const view *value, const point_chunk *chunk, int64_t first, int64_t points,
                      int64_t group, bool more, real *out) {
    const int64_t depth = layer->problem->asked.group_channels;
#define BODY(c, vectors, part) \
    mix_block(layer, value, chunk, first, points, group * depth + (c), vectors, part, more, out + (c))
    FOR_CHANNEL_BLOCKS(depth, BODY);
#undef BODY
}

/* Makes a view of rows first to last − 1 of an image's channels, converting them into scratch where they are not reals. */
static view see(const dcnv4i_layer *layer, const char *image, int64_t first, int64_t last, int64_t channel, int64_t channels,
                real *scratch) {
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t item = (int64_t)layer->problem->item, stride = p->value_stride * item;
    const char *pixel = image + first * p->width * stride + channel * item;
    if (!layer->read)
        return (view){(const real *)pixel, p->value_stride, first, last, image};
    const bool dense = p->value_stride == channels;
    for (int64_t i = 0, end = (last - first) * (dense ? 1 : p->width); i < end; ++i)
        layer->read(pixel + i * stride * (dense ? p->width : 1), scratch + i * channels * (dense ? p->width : 1),
                    channels * (dense ? p->width : 1));
    return (view){scratch, channels, first, last, image};
}

static void forward_box(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const view *value, place at, const point_box *box,
                        const inner_cells *inner, point_chunk *chunk, real *scratch_out) {
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t item = (int64_t)layer->problem->item, depth = p->group_channels;
    const bool last = at.point + box->points == layer->problem->points;
    find_box(layer, tensors, at, box, inner, chunk);
    for (int64_t i = 0, first = 0; i < box->pixels; ++i)
        for (int64_t g = 0; g < box->groups; ++g, first += box->points) {
            const int64_t group = at.group + g;
            char *out = tensors->output + ((at.pixel + i) * p->output_stride + group * depth) * item;
            real *sums = layer->write ? scratch_out : (real *)out;
            mix_group(layer, value, chunk, first, box->points, group, at.point > 0, sums);
            if (layer->write && last)
                layer->write(sums, out, depth);
        }
}

static void forward(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = layer->problem;
    const dcnv4_problem *p = &problem->asked;
    const int64_t item = (int64_t)problem->item, width = problem->output_width, points = problem->points;
    const char *image = tensors->value + piece->image * p->height * p->width * p->value_stride * item;
    real *const scratch_out = piece->scratch;
    const view value = see(layer, image, piece->first_input, piece->last_input, 0, problem->channels,
                           layer->write ? scratch_out + p->group_channels : NULL);
    const inner_cells inner = inner_cells_of(piece->first_input, piece->last_input, piece->first_input, p->width);
    const point_box largest = largest_box(width, p->groups, points);
    point_chunk cells;
    for (int64_t oy = piece->first_output; oy < piece->last_output; ++oy)
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = 0; group < p->groups; group += largest.groups) {
                place at = {(piece->image * problem->output_height + oy) * width + ox, oy, ox, group, 0};
                do {
                    const point_box box = {smaller(largest.pixels, width - ox), smaller(largest.groups, p->groups - group),
                                     smaller(largest.points, points - at.point)};
                    forward_box(layer, tensors, &value, at, &box, &inner, &cells, scratch_out);
                    at.point += largest.points;
                } while (at.point < points);
            }
}
