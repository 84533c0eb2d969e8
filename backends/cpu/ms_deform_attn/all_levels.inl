/* Forward of all points of all levels of a query's head at once: their cells are found together, a vector of points at a time
 * whatever levels they are of, and the head's channels are summed in registers over all of them. It serves whatever has few
 * enough points and places (see box_rows_of); forward.inl, which goes level by level, serves the rest, and recomputes the
 * heads whose results are not finite. */

/* Some heads of some queries; the head's number counts fastest. */
typedef struct head_box {
    int64_t row; /* number of the first query among all queries of all batches */
    int64_t queries;
    int64_t head, heads;
} head_box;

/* A level as the gather steps through it, in bytes: to the place at the right, and to the one below; 0 where a level is one
 * place wide or high. */
typedef struct level_steps {
    int64_t points, right, below;
} level_steps;

typedef struct all_levels_state {
    const dcnv4i_attn_layer *layer;
    const dcnv4i_attn_tensors *tensors;
    int64_t batch;
    const char *value; /* of the task's batch; or its heads, each packed as reals */
    element_type type;
    int64_t value_stride; /* bytes from one place to the next … */
    int64_t head_stride;  /* … and from one head to the next */
    int64_t levels;       /* those with points */
    level_steps steps[DCNV4_MSDA_MAX_LEVELS];
    _Alignas(64) real pairs[2 * POINTS_ROOM];
    real weight[POINTS_ROOM];
    real corners[4 * POINTS_ROOM];
    point_index place[POINTS_ROOM]; /* the cell's upper left place, from the first of value on */
    /* The levels of the points, row after row of P points. */
    real width[POINTS_ROOM], height[POINTS_ROOM], start[POINTS_ROOM];
    real scale_x[POINTS_ROOM], shift_x[POINTS_ROOM], scale_y[POINTS_ROOM], shift_y[POINTS_ROOM];
} all_levels_state;

/* ---- Cells ----------------------------------------------------------------------------------------------------------- */

/* Repeats the first `filled` numbers up to number `count`. */
static void repeat(real *numbers, int64_t filled, int64_t count) {
    for (; filled < count; filled *= 2)
        memcpy(numbers + filled, numbers, (size_t)dcnv4i_min64(filled, count - filled) * sizeof *numbers);
}

/* Lays out the scales and shifts of a query's points, from number `first` on, again and again for `count` points. A level without places has NaN, so
 * that none of its points has a weight. */
static void lay_out_axes(all_levels_state *state, int64_t row, int64_t first, int64_t count) {
    const dcnv4i_ms_deform_attn *const problem = state->layer->problem;
    real *const to[] = {state->scale_x + first, state->shift_x + first, state->scale_y + first, state->shift_y + first};
    int64_t i = 0;
    for (int l = 0; l < problem->params.level_count; ++l) {
        const dcnv4_msda_level *const level = &state->tensors->levels[l];
        level_axes axes = NAME(axes_of)(state->layer, state->tensors, row, l);
        if (level->width == 0 || level->height == 0)
            axes.scale_x = axes.scale_y = NAN;
        for (const int64_t end = i + level->points; i < end; ++i) {
            to[0][i] = axes.scale_x, to[1][i] = axes.shift_x;
            to[2][i] = axes.scale_y, to[3][i] = axes.shift_y;
        }
    }
    for (int a = 0; a < 4; ++a)
        repeat(to[a], problem->points, count);
}

/* Lays out the sizes of the points' levels. */
static void lay_out_sizes(all_levels_state *state) {
    const dcnv4i_ms_deform_attn *const problem = state->layer->problem;
    int64_t i = 0;
    for (int l = 0; l < problem->params.level_count; ++l) {
        const dcnv4_msda_level *const level = &state->tensors->levels[l];
        const bool empty = level->width == 0 || level->height == 0;
        for (const int64_t end = i + level->points; i < end; ++i) {
            state->width[i] = empty ? 0 : (real)level->width;
            state->height[i] = empty ? 0 : (real)level->height;
            state->start[i] = empty ? 0 : (real)level->start;
        }
    }
    repeat(state->width, i, POINTS_ROOM);
    repeat(state->height, i, POINTS_ROOM);
    repeat(state->start, i, POINTS_ROOM);
}

/* Along one axis: the first place of the cell, counted from 1, and the linear weights of its two places. `size` is the
 * level's. */
static inline vec vlevel_cell(vec position, vec size, vec *near, vec *far) {
    const vec one = vset(1), whole = vfloor(position);
    vmask same;
    *far = vsub(position, whole);
    *near = vsub(one, *far);
    const vec first = vnearest(vadd(whole, one), vmax(vsub(size, one), one), near, far, &same);
    *far = vdrop(vless(size, vset(2)), *far);
    return first;
}

/* The positions of LANES points from number i of a box on, in places of their levels. */
static inline void find_positions(const all_levels_state *state, int64_t i, vec *x, vec *y) {
    vload_pairs(state->pairs + 2 * i, x, y);
    *x = vadd(vmul(*x, vload(state->scale_x + i)), vload(state->shift_x + i));
    *y = vadd(vmul(*y, vload(state->scale_y + i)), vload(state->shift_y + i));
}

/* From pairs and weights of `count` points to places and corners. */
static void find_places(all_levels_state *state, int64_t count) {
    const vec one = vset(1);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec width = vload(state->width + i), height = vload(state->height + i), weight = vload(state->weight + i);
        vec x, y, left, right, upper, lower;
        find_positions(state, i, &x, &y);
        const vec column = vsub(vlevel_cell(x, width, &left, &right), one);
        const vec row = vsub(vlevel_cell(y, height, &upper, &lower), one);
        const vec place = vfma(row, width, vadd(column, vload(state->start + i)));
        upper = vmul(weight, upper), lower = vmul(weight, lower);
        vstore_index(state->place + i, place, vset(0), 1, 0);
        vstore_quads(state->corners + 4 * i, vmul(upper, left), vmul(upper, right), vmul(lower, left),
                     vmul(lower, right));
    }
}

/* Rows that are read: one for each head of each query of a box, of `count` elements. */
typedef struct head_rows {
    const char *from;
    int64_t query_stride, head_stride; /* elements */
    int64_t count, item;
} head_rows;

/* Where the heads' rows of a query follow each other, the processor prefetches by itself. */
static void prefetch_rows(const head_rows *rows, int64_t queries) {
    enum { LINE = 64 };
    for (int64_t i = 0; i < queries; ++i)
        for (int64_t at = 0; at < rows->count * rows->item; at += LINE)
            PREFETCH(rows->from + at, i + DCNV4I_ROWS_AHEAD, rows->query_stride * rows->item);
}

static void read_heads(dcnv4i_copy_rows *read, const head_rows *rows, const head_box *box, real *to) {
    const int64_t count = rows->count;
    if (box->heads == 1) {
        prefetch_rows(rows, box->queries);
        read(rows->from, rows->query_stride, to, count, box->queries, count);
        return;
    }
    for (int64_t i = 0; i < box->queries; ++i)
        read(rows->from + i * rows->query_stride * rows->item, rows->head_stride, to + i * box->heads * count, count,
             box->heads, count);
}

/* Reads the locations and weights of a box, and finds the cells of its points. */
static void read_box(all_levels_state *state, const head_box *box) {
    const dcnv4i_attn_layer *const layer = state->layer;
    const dcnv4i_ms_deform_attn *const problem = layer->problem;
    const dcnv4_msda_problem *const p = &problem->params;
    const int64_t points = problem->points, rows = box->queries * box->heads, count = rows * points;
    const int64_t weight_stride = p->packed ? p->location_stride : p->weight_stride;
    const int64_t location = box->row * p->location_stride + box->head * problem->location_head;
    const int64_t weight = box->row * weight_stride + box->head * problem->weight_head;
    const head_rows locations = {
        .from = state->tensors->locations + location * layer->location_item,
        .query_stride = p->location_stride,
        .head_stride = problem->location_head,
        .count = 2 * points,
        .item = layer->location_item,
    };
    const head_rows weights = {
        .from = state->tensors->weights + weight * layer->weight_item,
        .query_stride = weight_stride,
        .head_stride = problem->weight_head,
        .count = points,
        .item = layer->weight_item,
    };
    read_heads(layer->read_locations, &locations, box, state->pairs);
    read_heads(layer->read_weights, &weights, box, state->weight);
    if (p->softmax)
        soften(state->weight, rows, points);
    /* Whole vectors are processed, so the lanes behind the last point need numbers. */
    for (int64_t i = count; i < count + LANES - 1; ++i)
        state->pairs[2 * i] = state->pairs[2 * i + 1] = state->weight[i] = 0;
    for (int64_t i = 0; problem->reference_numbers > 0 && i < box->queries; ++i)
        lay_out_axes(state, box->row + i, i * box->heads * points, box->heads * points);
    find_places(state, count);
}

/* ---- The gather ------------------------------------------------------------------------------------------------------ */

/* The sums of one row: `from` is the first of these channels in place 0. There are enough independent sums that no multiply-add
 * waits for the one before. */
static ALWAYS_INLINE void gather_row(const all_levels_state *state, const char *from, const point_index *place,
                                     const real *weights, const int vectors, const int part, const element_type type,
                                     vec *total) {
    enum { LARGEST = 4 * BLOCK };
    const int chains = 4 * vectors <= 8 ? 4 : 2 * vectors <= 8 ? 2 : 1;
    const int64_t stride = state->value_stride;
    vec sum[LARGEST];
    for (int i = 0; i < chains * vectors; ++i)
        sum[i] = vset(0);
    for (const level_steps *level = state->steps, *end = level + state->levels; level < end; ++level) {
        const int64_t right = level->right, below = level->below;
        for (int64_t k = level->points; k > 0; --k, ++place, weights += 4) {
            const char *const upper = from + *place * stride, *const lower = upper + below;
            const char *const corner[4] = {upper, upper + right, lower, lower + right};
            const quad four = quad_load(weights);
            for (int i = 0; i < 4; ++i)
                for (int v = 0; v < vectors; ++v) {
                    vec *const to = &sum[i % chains * vectors + v];
                    *to = vfma(quad_lane(four, i),
                               part ? load_elements_part(corner[i], part, type)
                                    : load_elements(corner[i], v * LANES, type),
                               *to);
                }
        }
    }
    for (int v = 0; v < vectors; ++v) {
        total[v] = sum[v];
        for (int i = 1; i < chains; ++i)
            total[v] = vadd(total[v], sum[i * vectors + v]);
    }
}

/* The results of a box, heads one after the other, queries query_stride reals apart. */
typedef struct box_sums {
    real *to;
    int64_t query_stride;
} box_sums;

/* Gathers `vectors` vectors of channels of a box, or `part` channels, from channel c on. Returns whether all results are
 * finite. */
static ALWAYS_INLINE bool gather_box(const all_levels_state *state, const head_box *box, int64_t c, const int vectors,
                                     const int part, const element_type type, const box_sums *sums) {
    const dcnv4i_ms_deform_attn *const problem = state->layer->problem;
    const int64_t depth = problem->params.head_channels, points = problem->points, head_stride = state->head_stride;
    const char *const value = state->value + box->head * head_stride + c * element_size(type);
    const point_index *place = state->place;
    const real *weights = state->corners;
    vec zero_or_nan = vset(0);
    for (int64_t i = 0; i < box->queries; ++i)
        for (int64_t m = 0; m < box->heads; ++m, place += points, weights += 4 * points) {
            real *const to = sums->to + i * sums->query_stride + m * depth + c;
            vec total[BLOCK];
            gather_row(state, value + m * head_stride, place, weights, vectors, part, type, total);
            for (int v = 0; v < vectors; ++v) {
                zero_or_nan = vfma(total[v], vset(0), zero_or_nan);
                if (part)
                    vstore_part(to, total[v], part);
                else
                    vstore(to + v * LANES, total[v]);
            }
        }
    return vmask_full(vfinite(zero_or_nan));
}

typedef bool box_gatherer(const all_levels_state *state, const head_box *box, int64_t c, int part,
                          const box_sums *sums);

/* gather_box as one function for each number of vectors and type. */
#define GATHER_BOX(type, size, vectors, part_)                                                                \
    static NOINLINE bool NAME(gather_box_##type##_##size)(const all_levels_state *state, const head_box *box, \
                                                          int64_t c, int part, const box_sums *sums) {        \
        (void)part;                                                                                           \
        return gather_box(state, box, c, vectors, part_, type, sums);                                         \
    }
#define GATHER_BOXES(type)                \
    GATHER_BOX(type, block, BLOCK, 0)     \
    GATHER_BOX(type, half, HALF_BLOCK, 0) \
    GATHER_BOX(type, vector, 1, 0)        \
    GATHER_BOX(type, part, 1, part)
GATHER_BOXES(REALS)
#ifndef REAL_IS_DOUBLE
GATHER_BOXES(FLOAT16S)
GATHER_BOXES(BFLOAT16S)
#endif
#undef GATHER_BOXES
#undef GATHER_BOX

static box_gatherer *gatherer_of(element_type type, const channel_block *b) {
#ifndef REAL_IS_DOUBLE
    if (type == FLOAT16S)
        return CHOOSE(gather_box_FLOAT16S_, *b);
    if (type == BFLOAT16S)
        return CHOOSE(gather_box_BFLOAT16S_, *b);
#endif
    (void)type;
    return CHOOSE(gather_box_REALS_, *b);
}

/* ---- Boxes ----------------------------------------------------------------------------------------------------------- */

/* Of `count` points of a box: which places of their cells are not their own, and whether their weights are finite. */
static NOINLINE void NAME(find_doubtful_places)(const all_levels_state *state, int64_t count, real *why) {
    const vec one = vset(1);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec last_column = vmax(vsub(vload(state->width + i), one), one);
        const vec last_row = vmax(vsub(vload(state->height + i), one), one);
        vec x, y;
        find_positions(state, i, &x, &y);
        const vec whole_x = vfloor(x), whole_y = vfloor(y);
        const vec columns = vothers(vadd(whole_x, one), vsub(x, whole_x), last_column, LEFT, RIGHT);
        const vec rows = vothers(vadd(whole_y, one), vsub(y, whole_y), last_row, UPPER, LOWER);
        vstore(why + i, vadd(vadd(columns, rows), vodd_weight(vload(state->weight + i))));
    }
}

/* Gathers `vectors` vectors of a head's channels, or `part` channels, again, without places that are not the points' own.
 * `value` is the first of these channels in place 0. */
static ALWAYS_INLINE void gather_own_places(const all_levels_state *state, const char *value, int64_t first,
                                            const real *why, const int vectors, const int part, real *to) {
    static const int sides[4] = {UPPER | LEFT, UPPER | RIGHT, LOWER | LEFT, LOWER | RIGHT};
    const element_type type = state->type;
    const point_index *place = state->place + first;
    const real *weights = state->corners + 4 * first;
    vec sum[4 * BLOCK];
    for (int i = 0; i < 4 * vectors; ++i)
        sum[i] = vset(0);
    for (const level_steps *level = state->steps, *end = level + state->levels; level < end; ++level) {
        const int second = (level->right ? 0 : RIGHT) | (level->below ? 0 : LOWER);
        for (int64_t k = level->points; k > 0; --k, ++place, ++why, weights += 4) {
            const int other = (int)*why | second;
            const char *const upper = value + *place * state->value_stride, *const lower = upper + level->below;
            const char *const inner[4] = {upper, upper + level->right, lower, lower + level->right};
            for (int i = 0; i < 4; ++i)
                for (int v = 0; v < vectors; ++v) {
                    const void *const corner = other & sides[i] ? (const void *)zeros : inner[i];
                    sum[i * vectors + v] = vfma(vset(weights[i]),
                                                part ? load_elements_part(corner, part, type)
                                                     : load_elements(corner, v * LANES, type),
                                                sum[i * vectors + v]);
                }
        }
    }
    for (int v = 0; v < vectors; ++v) {
        const vec total = vadd(vadd(vadd(sum[v], sum[vectors + v]), sum[2 * vectors + v]), sum[3 * vectors + v]);
        if (part)
            vstore_part(to, total, part);
        else
            vstore(to + v * LANES, total);
    }
}

#define GATHER_OWN(size, vectors, part_)                                                                          \
    static NOINLINE void NAME(gather_own_##size)(const all_levels_state *state, const char *value, int64_t first, \
                                                 const real *why, int part, real *to) {                           \
        (void)part;                                                                                               \
        gather_own_places(state, value, first, why, vectors, part_, to);                                          \
    }
GATHER_OWN(block, BLOCK, 0)
GATHER_OWN(half, HALF_BLOCK, 0)
GATHER_OWN(vector, 1, 0)
GATHER_OWN(part, 1, part)
#undef GATHER_OWN

/* Recomputes one head of a box, some of whose points are doubtful. `why` begins with its first point, number `first` of the
 * box. A weight that is not finite must be multiplied last, as forward.inl does it. */
static void recompute_head(const all_levels_state *state, const query_box *head, int64_t first, const real *why,
                           real *to, real *scratch) {
    const dcnv4i_attn_layer *const layer = state->layer;
    const dcnv4_msda_problem *const p = &layer->problem->params;
    const int64_t depth = p->head_channels;
    if (is_nan_throughout(why, layer->problem->points))
        return;
    if (has_odd_weight(why, layer->problem->points)) {
        forward_state exact;
        NAME(start_forward)(&exact, layer, state->tensors, batch_value(layer, state->tensors, state->batch), NULL,
                            scratch);
        NAME(forward_box)(&exact, head);
        return;
    }
    const char *const value = state->value + head->head * state->head_stride;
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth))
        CHOOSE(gather_own_, b)(state, value + b.first * element_size(state->type), first, why, b.part, to + b.first);
    if (layer->converts)
        layer->write(to, 0, state->tensors->output + (head->row * p->output_stride + head->head * depth) * layer->item,
                     0, 1, depth);
}

/* Recomputes those heads of a box that are not finite, if they may not be the formula's. */
static NOINLINE void NAME(recompute_heads)(const all_levels_state *state, const head_box *box, const box_sums *sums,
                                           real *scratch) {
    const int64_t depth = state->layer->problem->params.head_channels, points = state->layer->problem->points;
    real why[POINTS_ROOM];
    bool single = false; /* whether there are cells whose second place is the first one again */
    for (const level_steps *level = state->steps; level < state->steps + state->levels; ++level)
        single = single || level->right == 0 || level->below == 0;
    NAME(find_doubtful_places)(state, box->queries * box->heads * points, why);
    for (int64_t i = 0; i < box->queries; ++i)
        for (int64_t m = 0; m < box->heads; ++m) {
            real *const to = sums->to + i * sums->query_stride + m * depth;
            const int64_t first = (i * box->heads + m) * points;
            const query_box head = {box->row + i, box->head + m, 1};
            if (!all_finite(to, depth) && (single || !none_doubtful(why + first, points)))
                recompute_head(state, &head, first, why + first, to, scratch);
        }
}

static void NAME(sum_box)(all_levels_state *state, const head_box *box, real *scratch) {
    const dcnv4i_attn_layer *const layer = state->layer;
    const dcnv4_msda_problem *const p = &layer->problem->params;
    const int64_t depth = p->head_channels, channels = box->heads * depth;
    char *const out = state->tensors->output + (box->row * p->output_stride + box->head * depth) * layer->item;
    const box_sums sums = {layer->converts ? scratch : (real *)out, layer->converts ? channels : p->output_stride};
    bool finite = true;
    read_box(state, box);
    for (channel_block b = block_at(0, depth); b.channels > 0; b = block_at(b.first + b.channels, depth))
        finite &= gatherer_of(state->type, &b)(state, box, b.first, b.part, &sums);
    if (layer->converts)
        layer->write(scratch, channels, out, p->output_stride, box->queries, channels);
    if (!finite)
        NAME(recompute_heads)(state, box, &sums, scratch + layer->box_rows * depth);
}

static void start_all_levels(all_levels_state *state, const dcnv4i_attn_task *task) {
    const dcnv4i_ms_deform_attn *const problem = state->layer->problem;
    const dcnv4_msda_problem *const p = &problem->params;
    const bool packed = state->tensors->packed_value != NULL;
    state->batch = task->batch;
    state->type = packed                       ? REALS
                  : p->dtype == DCNV4_FLOAT16  ? FLOAT16S
                  : p->dtype == DCNV4_BFLOAT16 ? BFLOAT16S
                                               : REALS;
    state->value_stride = packed ? p->head_channels * (int64_t)sizeof(real) : p->value_stride * state->layer->item;
    state->head_stride = packed ? p->value_length * state->value_stride : p->head_channels * state->layer->item;
    state->value = packed ? (const char *)state->tensors->packed_value
                          : batch_value(state->layer, state->tensors, task->batch);
    state->levels = 0;
    for (int l = 0; l < p->level_count; ++l) {
        const dcnv4_msda_level *const level = &state->tensors->levels[l];
        state->steps[state->levels] = (level_steps){
            .points = problem->levels[l].points,
            .right = level->width > 1 && level->height > 0 ? state->value_stride : 0,
            .below = level->height > 1 ? level->width * state->value_stride : 0,
        };
        state->levels += problem->levels[l].points > 0;
    }
    lay_out_sizes(state);
    lay_out_axes(state, task->batch * p->queries + task->first_query, 0, POINTS_ROOM);
}

/* Some queries of some heads. */
static void NAME(forward_all_levels)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors,
                                     const dcnv4i_attn_task *task) {
    const int64_t rows = layer->box_rows, heads = task->last_head - task->head;
    const int64_t queries = dcnv4i_max64(1, rows / heads);
    all_levels_state state;
    state.layer = layer;
    state.tensors = tensors;
    start_all_levels(&state, task);
    for (int64_t query = task->first_query; query < task->last_query; query += queries)
        for (int64_t head = task->head; head < task->last_head; head += rows) {
            const head_box box = {
                .row = task->batch * layer->problem->params.queries + query,
                .queries = dcnv4i_min64(queries, task->last_query - query),
                .head = head,
                .heads = dcnv4i_min64(rows, task->last_head - head),
            };
            NAME(sum_box)(&state, &box, task->scratch);
        }
}

static void NAME(forward)(const dcnv4i_attn_layer *layer, const dcnv4i_attn_tensors *tensors,
                          const dcnv4i_attn_task *task) {
    if (task->first_query < task->last_query)
        (layer->box_rows > 0 ? NAME(forward_all_levels) : NAME(forward_by_level))(layer, tensors, task);
}
