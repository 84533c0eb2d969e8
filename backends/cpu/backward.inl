/* value, offset_mask, grad_output → a band of grad_value's rows and a band of grad_offset_mask's, of some groups. Output
 * pixels are gone through in order, so that every element of grad_value is added up in one order however the work is cut. */

/* Where the gradients of a piece are added up: rows [first_row, last_row) of grad_value as reals. */
typedef struct target {
    real *pixels;
    int64_t stride;
    int64_t first_row, last_row;
} target;

/* A piece at work. first_channel is that of its first group; value and grad begin there. */
typedef struct backward_run {
    const dcnv4i_layer *layer;
    const dcnv4i_tensors *tensors;
    view value;
    target grad;
    int64_t first_channel;
    inner_cells inner;
} backward_run;

/* What is added up for the corners of a chunk's points: quads of Σ over the channels of grad_output·value. */
typedef struct corner_dots {
    _Alignas(64) real corners[4 * POINTS_ROOM];
    real by_m[POINTS_ROOM];
} corner_dots;

/* One block of channels of one group and pixel: grad_value gets m·weight·grad_output, and dots what it says. Corners outside
 * the image are read as zeros; what is not in the target's rows is added to a sink. */
static ALWAYS_INLINE void spread_block(const backward_run *run, const point_chunk *chunk, int64_t first, int64_t points, int64_t c,
                                       const int vectors, const int part, const real *grad_output, corner_dots *dots) {
    const dcnv4_problem *p = &run->layer->problem->asked;
    const int64_t below = p->width * run->value.stride, grad_below = p->width * run->grad.stride;
    const int64_t grad_zero = run->grad.first_row * p->width;
    const bool more = c % p->group_channels > 0;
    real sink[BLOCK * LANES] = {0};
    vec out[BLOCK];
    for (int v = 0; v < vectors; ++v)
        out[v] = part ? vload_part(grad_output, part) : vload(grad_output + v * LANES);
    for (int64_t point = first; point < first + points; ++point) {
        const real *corner[4];
        real *grad[4];
        const point_index index = chunk->at[point];
        if (index >= 0) {
            corner[0] = run->value.pixels + index * run->value.stride + c;
            corner[1] = corner[0] + run->value.stride;
            corner[2] = corner[0] + below;
            corner[3] = corner[2] + run->value.stride;
            grad[0] = run->grad.pixels + (index - grad_zero) * run->grad.stride + c;
            grad[1] = grad[0] + run->grad.stride;
            grad[2] = grad[0] + grad_below;
            grad[3] = grad[2] + run->grad.stride;
        } else {
            const corners at = look(chunk, point, p);
            if (!at.counts || !find_corners(&run->value, &at, c, p, corner)) {
                for (int i = 0; i < 4; ++i)
                    dots->corners[4 * point + i] = 0;
                continue;
            }
            for (int i = 0; i < 4; ++i) {
                const int64_t column = at.column + (i & 1), row = at.row + (i >> 1);
                const bool ours = inside(&at, i, p) && row >= run->grad.first_row && row < run->grad.last_row;
                grad[i] = ours ? run->grad.pixels + ((row - run->grad.first_row) * p->width + column) * run->grad.stride + c
                               : sink;
            }
        }
        const quad weights = quad_load(chunk->corners + 4 * point);
        const vec weight[4] = {quad_0(weights), quad_1(weights), quad_2(weights), quad_3(weights)};
        vec dot[4];
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < vectors; ++v) {
                const vec read = part ? vload_part(corner[i], part) : vload(corner[i] + v * LANES);
                dot[i] = v == 0 ? vmul(out[v], read) : vfma(out[v], read, dot[i]);
                real *to = grad[i] + v * LANES;
                if (part)
                    vstore_part(to, vfma(weight[i], out[v], vload_part(to, part)), part);
                else
                    vstore(to, vfma(weight[i], out[v], vload(to)));
            }
        real *const sums = dots->corners + 4 * point;
        real before[4] = {0, 0, 0, 0};
        for (int i = 0; more && i < 4; ++i)
            before[i] = sums[i];
        quad_store_sums(sums, dot[0], dot[1], dot[2], dot[3]);
        for (int i = 0; more && i < 4; ++i)
            sums[i] += before[i];
    }
}

static void spread_group(const backward_run *run, const point_chunk *chunk, int64_t first, const place *at, int64_t points,
                         corner_dots *dots) {
    const dcnv4i_problem *problem = run->layer->problem;
    const int64_t depth = problem->asked.group_channels, channel = at->group * depth;
    const char *row = run->tensors->grad_output +
                      (at->pixel * problem->asked.grad_output_stride + channel) * (int64_t)problem->item;
    const int64_t from = channel - run->first_channel;
#define BODY(c, vectors, part)                                                                                         \
    do {                                                                                                               \
        const char *at_ = row + (c) * (int64_t)problem->item;                                                          \
        const real *grad_output = (const real *)at_;                                                                   \
        real converted[BLOCK * LANES];                                                                                 \
        if (run->layer->read) {                                                                                        \
            run->layer->read(at_, converted, (part) ? (part) : (vectors) * LANES);                                     \
            grad_output = converted;                                                                                   \
        }                                                                                                              \
        spread_block(run, chunk, first, points, from + (c), vectors, part, grad_output, dots);                         \
    } while (0)
    FOR_CHANNEL_BLOCKS(depth, BODY);
#undef BODY
}

/* Turns dots into gradients: chunk->x and y become those of the offsets, dots->by_m those of the weights. */
static void finish_dots(const dcnv4_problem *p, point_chunk *chunk, corner_dots *dots, int64_t count) {
    const vec one = vset(1), scale = vset((real)p->offset_scale);
    const real width = real_above(p->width), height = real_above(p->height);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i);
        const vec right = vsub(x, vfloor(x)), lower = vsub(y, vfloor(y));
        const vec left = vsub(one, right), upper = vsub(one, lower);
        vec a, b, c, d;
        vload_quads(dots->corners + 4 * i, &a, &b, &c, &d);
        const vec scaled = vmul(scale, vload(chunk->m + i));
        const vec by_x = vfma(lower, vsub(d, c), vmul(upper, vsub(b, a)));
        const vec by_y = vfma(right, vsub(d, b), vmul(left, vsub(c, a)));
        const vec by_m = vfma(lower, vfma(right, d, vmul(left, c)), vmul(upper, vfma(right, b, vmul(left, a))));
        vstore(chunk->x + i, vkeep_counting(vmul(scaled, by_x), x, y, width, height));
        vstore(chunk->y + i, vkeep_counting(vmul(scaled, by_y), x, y, width, height));
        vstore(dots->by_m + i, vkeep_counting(by_m, x, y, width, height));
    }
}

/* Writes the gradients of one group and pixel, which are the chunk's from number `from` on. */
static void write_points(const backward_run *run, const place *at, int64_t count, const point_chunk *chunk, int64_t from,
                         const corner_dots *dots) {
    const dcnv4i_layer *layer = run->layer;
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->item;
    char *block = run->tensors->grad_offset_mask + (at->pixel * p->grad_offset_mask_stride + at->group * 3 * points) * item;
    char *pairs_at = block + 2 * at->point * item, *weights_at = block + (2 * points + at->point) * item;
    real staged[2 * POINTS];
    real *pairs = layer->write ? staged : (real *)pairs_at;
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES)
        vstore_pairs(pairs + 2 * k, vload(chunk->x + from + k), vload(chunk->y + from + k));
    for (; k < count; ++k)
        pairs[2 * k] = chunk->x[from + k], pairs[2 * k + 1] = chunk->y[from + k];
    if (layer->write) {
        layer->write(staged, pairs_at, 2 * count);
        layer->write(dots->by_m + from, weights_at, count);
    } else {
        memcpy(weights_at, dots->by_m + from, (size_t)count * sizeof(real));
    }
}

/* Whether a point of the chunk can reach the target's rows. */
static bool reaches(const backward_run *run, const point_chunk *chunk, int64_t count) {
    const real above = real_above(run->grad.first_row - 1), end = real_above(run->grad.last_row);
    int reaching = 0;
    for (int64_t i = 0; i < count; ++i)
        reaching |= chunk->y[i] >= above && chunk->y[i] < end;
    return reaching;
}

/* Σ_k m_k·∂/∂m_k over the points of one group and pixel that a chunk has. */
static real weighted_sum(const point_chunk *chunk, const corner_dots *dots, int64_t from, int64_t count) {
    real sum = 0;
    for (int64_t k = from; k < from + count; ++k)
        sum += chunk->m[k] * dots->by_m[k];
    return sum;
}

/* Finds a box and spreads its gradients; false if the box does not concern the piece. */
static bool spread_box(const backward_run *run, const place *at, const point_box *box, bool ours, point_chunk *chunk, corner_dots *dots) {
    const int64_t count = box->pixels * box->groups * box->points;
    find_box(run->layer, run->tensors, *at, box, &run->inner, chunk);
    if (!ours && !reaches(run, chunk, count))
        return false;
    place group_at = *at;
    for (int64_t i = 0, first = 0; i < box->pixels; ++i, ++group_at.pixel)
        for (int64_t g = 0; g < box->groups; ++g, first += box->points) {
            group_at.group = at->group + g;
            spread_group(run, chunk, first, &group_at, box->points, dots);
        }
    finish_dots(&run->layer->problem->asked, chunk, dots, count);
    return true;
}

/* With softmax: the mean of a block that does not fit one chunk, by a round in which nothing is ours to add to. */
static real mean_of_large_block(const backward_run *run, place at, point_chunk *chunk, corner_dots *dots) {
    const int64_t points = run->layer->problem->points;
    backward_run dry = *run;
    dry.grad.first_row = dry.grad.last_row = 0;
    dry.inner = inner_cells_of(0, 0, 0, run->layer->problem->asked.width);
    real mean = 0;
    for (; at.point < points; at.point += POINTS) {
        const point_box box = {1, 1, smaller(POINTS, points - at.point)};
        spread_box(&dry, &at, &box, true, chunk, dots);
        mean += weighted_sum(chunk, dots, 0, box.points);
    }
    return mean;
}

static void backward_box(const backward_run *run, const place *at, const point_box *box, bool ours, real large_mean, point_chunk *chunk,
                         corner_dots *dots) {
    const dcnv4i_problem *problem = run->layer->problem;
    if (!spread_box(run, at, box, ours, chunk, dots) || !ours)
        return;
    place group_at = *at;
    for (int64_t i = 0, from = 0; i < box->pixels; ++i, ++group_at.pixel)
        for (int64_t g = 0; g < box->groups; ++g, from += box->points) {
            group_at.group = at->group + g;
            if (problem->asked.softmax) {
                const bool whole = box->points == problem->points;
                const real mean = whole ? weighted_sum(chunk, dots, from, box->points) : large_mean;
                for (int64_t k = from; k < from + box->points; ++k)
                    dots->by_m[k] = chunk->m[k] * (dots->by_m[k] - mean);
            }
            write_points(run, &group_at, box->points, chunk, from, dots);
        }
}

/* Zeroes the padding of grad_offset_mask behind the last group, in the piece's output rows. */
static void clear_padding(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = layer->problem;
    const dcnv4_problem *p = &problem->asked;
    const size_t used = (size_t)(3 * problem->points * p->groups), padding = (size_t)p->offset_mask_row - used;
    const int64_t row = problem->output_width, before = piece->image * problem->output_height;
    if (piece->last_group < p->groups || padding == 0)
        return;
    for (int64_t i = (before + piece->first_output) * row; i < (before + piece->last_output) * row; ++i)
        memset(tensors->grad_offset_mask + ((size_t)(i * p->grad_offset_mask_stride) + used) * problem->item, 0,
               padding * problem->item);
}

/* Goes through all output rows of the image for the rows of grad_value that are the piece's. */
static void backward_rows(const backward_run *run, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = run->layer->problem;
    const int64_t width = problem->output_width, points = problem->points;
    const point_box largest = largest_box(width, piece->last_group - piece->first_group, points);
    const bool split = points > largest.points;
    point_chunk cells;
    corner_dots sums;
    for (int64_t oy = 0; oy < problem->output_height; ++oy) {
        const bool ours = oy >= piece->first_output && oy < piece->last_output;
        for (int64_t ox = 0; ox < width; ox += largest.pixels)
            for (int64_t group = piece->first_group; group < piece->last_group; group += largest.groups) {
                place at = {(piece->image * problem->output_height + oy) * width + ox, oy, ox, group, 0};
                const real mean = split && ours && problem->asked.softmax ? mean_of_large_block(run, at, &cells, &sums) : 0;
                do {
                    const point_box box = {smaller(largest.pixels, width - ox), smaller(largest.groups, piece->last_group - group),
                                     smaller(largest.points, points - at.point)};
                    backward_box(run, &at, &box, ours, mean, &cells, &sums);
                    at.point += largest.points;
                } while (at.point < points);
            }
    }
}

static void backward(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const dcnv4i_piece *piece) {
    const dcnv4i_problem *problem = layer->problem;
    const dcnv4_problem *p = &problem->asked;
    const int64_t item = (int64_t)problem->item, first = piece->first_group * p->group_channels;
    const int64_t channels = (piece->last_group - piece->first_group) * p->group_channels;
    const int64_t pixels = (piece->last_input - piece->first_input) * p->width;
    const int64_t first_pixel = (piece->image * p->height + piece->first_input) * p->width;
    char *const rows = tensors->grad_value + (first_pixel * p->grad_value_stride + first) * item;
    real *const scratch_value = piece->scratch;
    real *const scratch_grad = layer->read ? scratch_value + p->height * p->width * channels : NULL;
    const char *image = tensors->value + piece->image * p->height * p->width * p->value_stride * item;
    backward_run run = {
        .layer = layer,
        .tensors = tensors,
        .value = see(layer, image, 0, p->height, first, channels, scratch_value),
        .grad = {layer->write ? scratch_grad : (real *)rows, layer->write ? channels : p->grad_value_stride,
                 piece->first_input, piece->last_input},
        .first_channel = first,
        .inner = inner_cells_of(piece->first_input, piece->last_input, 0, p->width),
    };
    for (int64_t i = 0; i < pixels; ++i)
        memset(run.grad.pixels + i * run.grad.stride, 0, (size_t)channels * sizeof(real));
    backward_rows(&run, piece);
    clear_padding(layer, tensors, piece);
    for (int64_t i = 0; layer->write && i < pixels; ++i)
        layer->write(scratch_grad + i * channels, rows + i * p->grad_value_stride * item, channels);
}
