/* Where the points of multi-scale deformable attention are: from rows of locations and weights to a chunk of positions and
 * weights, for some queries of one head and some points of one level. */

/* Some queries of one head. */
typedef struct query_box {
    int64_t row; /* number of the first query among all queries of all batches */
    int64_t head;
    int64_t queries;
} query_box;

/* Some points of a level. */
typedef struct level_points {
    int64_t level;
    int64_t first; /* number of the first among the P points of a head */
    int64_t count;
} level_points;

/* With softmax: weight = exp(raw − largest) / sum over the P raw weights of a query. */
typedef struct normalizer {
    real largest, sum;
} normalizer;

/* What points are read from. */
typedef struct point_source {
    const dcnv4i_attn_layer *layer;
    const dcnv4i_attn_tensors *tensors;
    normalizer norms[DCNV4I_ROWS_AHEAD]; /* of the box's queries */
} point_source;

static inline const char *weights_of(const point_source *source, const query_box *box, int64_t point) {
    const dcnv4i_ms_deform_attn *problem = source->layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t stride = p->packed ? p->location_stride : p->weight_stride;
    return source->tensors->weights +
           (box->row * stride + box->head * problem->weight_head + point) * source->layer->weight_item;
}

static inline int64_t weight_stride_of(const point_source *source) {
    const dcnv4_msda_problem *p = &source->layer->problem->params;
    return p->packed ? p->location_stride : p->weight_stride;
}

/* Computes the norms of a box's queries. */
static NOINLINE void NAME(normalize)(point_source *source, const query_box *box) {
    const dcnv4i_attn_layer *const layer = source->layer;
    const int64_t points = layer->problem->points, stride = weight_stride_of(source);
    real staged[POINTS];
    for (int64_t i = 0; i < box->queries; ++i) {
        normalizer norm = {-INFINITY, 0};
        for (int pass = 0; pass < 2; ++pass)
            for (int64_t k = 0; k < points; k += POINTS) {
                const int64_t count = dcnv4i_min64(points - k, POINTS);
                layer->read_weights(weights_of(source, box, k) + i * stride * layer->weight_item, 0, staged, 0, 1,
                                    count);
                for (int64_t j = 0; j < count; ++j)
                    if (pass == 0)
                        norm.largest = staged[j] > norm.largest ? staged[j] : norm.largest;
                    else
                        norm.sum += real_exp(staged[j] - norm.largest);
            }
        source->norms[i] = norm;
    }
}

/* What part of a reference box an offset of 1 is. */
static inline real box_part(const dcnv4_msda_problem *p, const dcnv4_msda_level *level) {
    return real_of(p->box_scale / (double)dcnv4i_max64(level->points, 1));
}

/* Positions in a level from the locations of a query: scale·X + shift. */
typedef struct level_axes {
    real scale_x, shift_x, scale_y, shift_y;
} level_axes;

/* Those of a query's level; `row` is the query's number among all of all batches. */
static level_axes NAME(axes_of)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors, int64_t row,
                                int64_t number) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    const dcnv4_msda_level *const level = &tensors->levels[number];
    const real width = (real)level->width, height = (real)level->height;
    const int numbers = layer->problem->reference_numbers;
    if (p->location_unit == DCNV4_MSDA_PLACES)
        return (level_axes){1, 0, 1, 0};
    if (numbers == 0)
        return (level_axes){width, (real)-0.5, height, (real)-0.5};
    real reference[4];
    const int64_t at = row * p->reference_stride + (p->reference_levels == 1 ? 0 : number * numbers);
    layer->read_references(tensors->references + at * layer->reference_item, 0, reference, 0, 1, numbers);
    level_axes axes = {1, reference[0] * width - (real)0.5, 1, reference[1] * height - (real)0.5};
    if (p->location_unit == DCNV4_MSDA_BOX_OFFSETS) {
        const real part = box_part(p, level);
        axes.scale_x = width * part * reference[2], axes.scale_y = height * part * reference[3];
    }
    return axes;
}

/* Reads points of a level into a chunk: positions in the level, measured from its first place, and weights. */
static void NAME(read_points)(const point_source *source, const query_box *box, const level_points *from, real *pairs,
                              point_chunk *chunk) {
    const dcnv4i_attn_layer *const layer = source->layer;
    const dcnv4i_ms_deform_attn *problem = layer->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t count = from->count, all = count * box->queries;
    const int64_t location = box->row * p->location_stride + box->head * problem->location_head + 2 * from->first;
    layer->read_locations(source->tensors->locations + location * layer->location_item, p->location_stride, pairs,
                          2 * count, box->queries, 2 * count);
    layer->read_weights(weights_of(source, box, from->first), weight_stride_of(source), chunk->weight, count,
                        box->queries, count);
    for (int64_t i = 0; p->softmax && i < all; ++i) {
        const normalizer *const norm = &source->norms[i / count];
        chunk->weight[i] = real_exp(chunk->weight[i] - norm->largest) / norm->sum;
    }
    chunk->first_middle_x = chunk->middle_y = chunk->middle_step = 0;
    chunk->box = (point_box){box->queries, 1, count};
    /* Whole vectors are processed, so the lanes behind the last point need numbers. */
    for (int64_t i = 0; i < LANES - 1; ++i)
        pairs[2 * (all + i)] = pairs[2 * (all + i) + 1] = chunk->weight[all + i] = 0;
    for (int64_t i = 0; i < all + LANES - 1; ++i)
        chunk->middle_x[i] = chunk->x[i] = chunk->y[i] = 0;
    for (int64_t query = 0, i = 0; query < box->queries; ++query) {
        const level_axes axes = NAME(axes_of)(layer, source->tensors, box->row + query, from->level);
        for (const int64_t end = i + count; i < end; ++i) {
            chunk->x[i] = pairs[2 * i] * axes.scale_x + axes.shift_x;
            chunk->y[i] = pairs[2 * i + 1] * axes.scale_y + axes.shift_y;
        }
    }
}

/* ---- Levels ---------------------------------------------------------------------------------------------------------- */

/* One level of value, of one batch and head, and of its gradient: frame and view; `copy` are the head's channels of all places as
 * reals, `copy_stride` reals apart, where value is not stored as such; without one, the view has no rows then. grad: likewise, or
 * NULL. */
static scatter_image NAME(level_image)(const dcnv4i_attn_layer *layer, const dcnv4_msda_level *level, const char *value,
                                       int64_t head, const real *copy, real *grad, int64_t copy_stride,
                                       int64_t grad_stride) {
    const dcnv4_msda_problem *p = &layer->problem->params;
    const int64_t depth = p->head_channels, limit = REAL_WHOLE / 2;
    const dcnv4i_image image = {level->width, level->height, depth, p->value_stride, layer->item, layer->read};
    const int64_t rows = layer->converts && !copy ? 0 : level->height;
    const char *const storage = value + level->start * p->value_stride * layer->item;
    scatter_image made = {
        .frame = NAME(make_frame)(&image, level->width < limit && level->height < limit, 0, rows,
                                  copy ? copy_stride : p->value_stride, grad_stride),
        .value = view_rows(&image, storage, 0, rows, head * depth, depth, NULL),
    };
    if (copy)
        made.value.pixels = copy + level->start * copy_stride, made.value.stride = copy_stride;
    if (grad)
        made.grad = (grad_rows){grad + level->start * grad_stride, grad_stride, 0, level->height};
    return made;
}
