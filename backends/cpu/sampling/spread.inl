/* grad_output to the cells: adds up grad_value, and projects grad_output on what is in the cells. */

/* Where the gradients of a piece are added up: rows [first_row, last_row) of grad_value as reals. */
typedef struct target {
    real *pixels;
    int64_t stride;
    int64_t first_row, last_row;
} target;

/* A piece at work. grad begins at the channel that value begins at. */
typedef struct backward_run {
    const dcnv4i_layer *layer;
    const dcnv4i_tensors *tensors;
    image_frame frame;
    view value;
    target grad;
    int64_t first_own, last_own; /* the rows of grad_value that the piece is for; others may be added to as well */
    real *row;                   /* room for one group's grad_output of a box, where it is converted */
} backward_run;

/* What is added up for the pixels of a chunk's cells: quads of Σ over the channels of grad_output·value. */
typedef struct corner_dots {
    _Alignas(64) real corners[4 * POINTS_ROOM];
    real by_m[POINTS_ROOM];
} corner_dots;

/* Points of a group and pixel, looked up one by one: those that count, with where their corners are in value and in grad_value,
 * in the order of a cell's pixels. What the view has not is converted here; what the target has not is added to a sink. */
enum { LOOKED_UP = 9 };
typedef struct gradient_lookup {
    int64_t count;
    int64_t number[LOOKED_UP]; /* in the chunk */
    const real *corner[LOOKED_UP][4];
    real *grad[LOOKED_UP][4];
    real weights[4 * LOOKED_UP];
    real room[LOOKED_UP][4][BLOCK * LANES];
    real sink[BLOCK * LANES];
} gradient_lookup;

/* Looks up `channels` channels from c on. */
static NOINLINE void look_up_gradients(const backward_run *run, const point_chunk *chunk, int64_t first, int64_t points,
                                       int64_t c, int channels, gradient_lookup *found) {
    const dcnv4_problem *p = &run->layer->problem->params;
    const target *grad = &run->grad;
    int64_t n = 0;
    for (int i = 0; i < BLOCK * LANES; ++i)
        found->sink[i] = 0;
    for (int64_t point = first; point < first + points; ++point) {
        const cell at = look(chunk, point, p);
        if (!at.counts)
            continue;
        /* At the image's edges the cell is not the formula's, see vnearest. */
        const int across = at.column < 0 || at.column == p->width - 1, along = at.row < 0 || at.row == p->height - 1;
        const int turn = run->frame.has_cells ? across + 2 * along : 0;
        for (int i = 0; i < 4; ++i) {
            const int64_t column = at.column + (i & 1), row = at.row + (i >> 1) - grad->first_row;
            const bool ours = inside(&at, i, p) && row >= 0 && row < grad->last_row - grad->first_row;
            found->corner[n][i ^ turn] = see_corner(run->layer, &run->value, &at, i, c, channels, found->room[n][i]);
            found->grad[n][i ^ turn] = ours ? grad->pixels + (row * p->width + column) * grad->stride + c : found->sink;
            found->weights[4 * n + (i ^ turn)] = weight_of(&at, i, chunk->m[point]);
        }
        found->number[n++] = point;
    }
    found->count = n;
}

/* What is spread: points first, first + 1, … of a chunk for each of some neighbouring pixels of one group. They all
 * have cells; or there is one pixel, some of whose points were looked up. */
typedef struct spreading {
    const backward_run *run;
    const point_chunk *chunk;
    const gradient_lookup *found;
    int64_t first, points, pixels;
    int64_t out_stride; /* reals from a pixel of grad_output to the next */
    real *dots;         /* as corner_dots says, of the whole chunk */
} spreading;

/* What a pixel is spread on: where indices are 0 in value and in grad_value, how many reals they count, and how far it is
 * to the next pixel and to the one below. */
typedef struct ground {
    const real *value;
    real *grad;
    int64_t unit, stride, below;
    int64_t grad_unit, grad_stride, grad_below;
    uintptr_t apart; /* bytes from a number of value to its gradient, where they are laid out alike */
} ground;

/* Spreads count points of one pixel, whose vectors of grad_output are out. `alike` says that value and grad_value are laid
 * out alike, and that indices count reals. */
static ALWAYS_INLINE void spread_points(const ground *on, const gradient_lookup *found, const point_index *index,
                                        const point_index *grad_index, const real *weights, const int64_t count,
                                        const int vectors, const int part, const bool alike, const vec *out,
                                        const bool more, real *dots) {
    const int64_t grad_stride = alike ? on->stride : on->grad_stride;
    UNROLL(9)
    for (int64_t k = 0; k < count; ++k) {
        const real *const upper = on->value + index[k] * (alike ? 1 : on->unit), *const lower = upper + on->below;
        real *const grad_upper = alike ? (real *)((uintptr_t)upper + on->apart)
                                       : on->grad + grad_index[k] * on->grad_unit;
        real *const grad_lower = alike ? (real *)((uintptr_t)lower + on->apart) : grad_upper + on->grad_below;
        const real *const inner[4] = {upper, upper + on->stride, lower, lower + on->stride};
        real *const grad_inner[4] = {grad_upper, grad_upper + grad_stride, grad_lower, grad_lower + grad_stride};
        const quad four = quad_load(weights + 4 * k);
        const vec weight[4] = {quad_0(four), quad_1(four), quad_2(four), quad_3(four)};
        vdots dot[4];
        for (int i = 0; i < 4; ++i) {
            const real *const from = found ? found->corner[k][i] : inner[i];
            real *const to = found ? found->grad[k][i] : grad_inner[i];
            dot[i] = vdots_zero();
            for (int v = 0; v < vectors; ++v) {
                dot[i] = part ? vdots_add_part(dot[i], out[v], from, part)
                              : vdots_add(dot[i], out[v], from + v * LANES);
                if (part)
                    vstore_part(to, vfma(weight[i], out[v], vload_part(to, part)), part);
                else
                    vstore(to + v * LANES, vfma(weight[i], out[v], vload(to + v * LANES)));
            }
        }
        quad_store_sums(dots + 4 * (found ? found->number[k] : k), dot[0], dot[1], dot[2], dot[3], more);
    }
}

/* spread_block on this ground. count is the number of points of a pixel. */
static ALWAYS_INLINE int64_t spread_pixels(const spreading *spread, const gradient_lookup *found, const ground *on,
                                           const int64_t count, const int vectors, const int part, const bool alike,
                                           const real *grad_output, const bool more) {
    const point_chunk *chunk = spread->chunk;
    const int64_t pixels = spread->pixels, out_stride = spread->out_stride;
    const point_index *index = chunk->at + spread->first;
    const point_index *grad_index = (spread->run->frame.grad_stride ? chunk->grad_at : chunk->at) + spread->first;
    const real *weights = found ? found->weights : chunk->corners + 4 * spread->first;
    real *dots = spread->dots + (found ? 0 : 4 * spread->first);
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        vmask finite = vfinite(vset(0));
        vec out[BLOCK];
        ask_for(grad_output, 4, out_stride, vectors * LANES);
        for (int v = 0; v < vectors; ++v) {
            out[v] = part ? vload_part(grad_output, part) : vload(grad_output + v * LANES);
            finite = vmask_and(finite, vfinite(out[v]));
        }
        if (!found && !vmask_full(finite))
            return pixel;
        spread_points(on, found, index, grad_index, weights, count, vectors, part, alike, out, more, dots);
        weights += 4 * count;
        index += count;
        grad_index += count;
        dots += 4 * count;
        grad_output += out_stride;
    }
    return pixels;
}

/* vectors of channels of value from c on (or part of one vector): grad_value gets m·weight·grad_output, and dots what it
 * says, which is added to what is there where `more` says so. Returns how many pixels that was done for: with cells it ends
 * before the first whose grad_output is not finite, since that would reach pixels that are not its own. */
static ALWAYS_INLINE int64_t spread_block(const spreading *spread, const gradient_lookup *found, int64_t c,
                                          const int vectors, const int part, const real *grad_output, bool more) {
    const backward_run *run = spread->run;
    const int64_t width = run->layer->problem->params.width;
    const int64_t stride = found ? 0 : run->value.stride, grad_stride = found ? 0 : run->grad.stride;
    ground on = {
        .value = run->value.pixels + (found ? 0 : index_origin(&run->frame, run->value.first_row, stride)) + c,
        .grad = run->grad.pixels + (found ? 0 : index_origin(&run->frame, run->grad.first_row, grad_stride)) + c,
        .unit = found ? 0 : run->frame.unit,
        .stride = stride,
        .below = width * stride,
        .grad_unit = found ? 0 : run->frame.grad_unit,
        .grad_stride = grad_stride,
        .grad_below = width * grad_stride,
    };
    const bool alike = stride == grad_stride && on.unit == 1;
    on.apart = (uintptr_t)on.grad - (uintptr_t)on.value;
    /* A copy of one group: what is known when this is compiled takes no instruction. */
    ground packed = on;
    packed.stride = 2 * vectors * LANES, packed.apart = vectors * LANES * sizeof(real);
    if (found || spread->points != 9 || !alike || more)
        return spread_pixels(spread, found, &on, found ? found->count : spread->points, vectors, part, false,
                             grad_output, more);
    if (stride == packed.stride && on.apart == packed.apart)
        return spread_pixels(spread, NULL, &packed, 9, vectors, part, true, grad_output, false);
    return spread_pixels(spread, NULL, &on, 9, vectors, part, true, grad_output, false);
}

/* One function for each number of vectors, so that the compiler gives each the registers it needs. */
#define SPREAD(name, vectors, part)                                                                                  \
    static NOINLINE int64_t spread_cells_##name(const spreading *spread, int64_t c, int part_,                       \
                                                const real *grad_output, bool more) {                                \
        (void)part_;                                                                                                 \
        return spread_block(spread, NULL, c, vectors, part, grad_output, more);                                      \
    }                                                                                                                \
    static NOINLINE void spread_found_##name(const spreading *spread, int64_t c, int part_, const real *grad_output, \
                                             bool more) {                                                            \
        (void)part_;                                                                                                 \
        spread_block(spread, spread->found, c, vectors, part, grad_output, more);                                    \
    }
SPREAD(block, BLOCK, 0)
SPREAD(half, HALF_BLOCK, 0)
SPREAD(vector, 1, 0)
SPREAD(part, 1, part_)
#undef SPREAD

/* One pixel, the first, in the careful way. */
static void spread_found(const spreading *spread, int64_t c, int vectors, int part, const real *grad_output,
                         bool more) {
    gradient_lookup found;
    spreading one = *spread;
    one.found = &found;
    one.pixels = 1;
    for (int64_t i = 4 * spread->first; !more && i < 4 * (spread->first + spread->points); ++i)
        spread->dots[i] = 0;
    for (int64_t k = 0; k < spread->points; k += LOOKED_UP) {
        look_up_gradients(spread->run, spread->chunk, spread->first + k, smaller(LOOKED_UP, spread->points - k), c,
                          part ? part : vectors * LANES, &found);
        CHOOSE(spread_found_, vectors, part)(&one, c, part, grad_output, more);
    }
}

/* One group of a box's pixels, a block of channels after the other. Pixels come in their order, so that numbers are added up in
 * one order wherever points have cells. */
static void spread_group(const spreading *group, int64_t pixels, int64_t channel, int64_t depth,
                         const real *grad_output) {
#define BODY(c, vectors, part)                                                                               \
    do {                                                                                                     \
        spreading spread = *group;                                                                           \
        const real *const out = grad_output + (c);                                                           \
        for (int64_t i = 0; i < pixels; ++i, spread.first += spread.points) {                                \
            spread.pixels = complete_blocks(spread.chunk, spread.first, spread.points, pixels - i);          \
            if (spread.pixels > 0) {                                                                         \
                const int64_t done = CHOOSE(spread_cells_, vectors, part)(                                   \
                    &spread, channel + (c), part, out + i * spread.out_stride, (c) > 0);                     \
                i += done, spread.first += done * spread.points;                                             \
            }                                                                                                \
            if (i < pixels)                                                                                  \
                spread_found(&spread, channel + (c), vectors, part, out + i * spread.out_stride, (c) > 0);   \
        }                                                                                                    \
    } while (0)
    FOR_CHANNEL_BLOCKS(depth, BODY);
#undef BODY
}

/* Spreads the gradients of a box whose cells were found. */
static void spread_cells(const backward_run *run, const place *at, const point_box *box, const point_chunk *chunk,
                         corner_dots *dots) {
    const dcnv4i_layer *layer = run->layer;
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t item = (int64_t)layer->problem->item, depth = p->group_channels, stride = p->grad_output_stride;
    spreading spread = {run, chunk, NULL, 0, box->points, 0, layer->converts ? depth : stride, dots->corners};
    const int64_t count = box->pixels * box->groups * box->points;
    for (int64_t i = 4 * count; i < 4 * (count + LANES - 1); ++i)
        dots->corners[i] = 0;
    for (int64_t g = at->group; g < at->group + box->groups; ++g, spread.first += box->pixels * box->points) {
        const char *const from = run->tensors->grad_output + (at->pixel * stride + g * depth) * item;
        if (layer->converts)
            layer->read(from, stride, run->row, depth, box->pixels, depth);
        spread_group(&spread, box->pixels, g * depth - run->value.first_channel, depth,
                     layer->converts ? run->row : (const real *)from);
    }
}
