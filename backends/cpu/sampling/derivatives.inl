/* The gradients of points: from the dots of the scatter, derivatives of Σ grad_output · result by each point's
 * position and weight. */

#include <fenv.h>

/* Clears the floating-point exception flags that tell, after a task or during it, whether a sum of it overflowed or
 * underflowed. Returns the caller's, to be raised again. */
static inline int clear_flags(void) {
    const int flags = fetestexcept(FE_OVERFLOW | FE_UNDERFLOW);
    feclearexcept(FE_OVERFLOW | FE_UNDERFLOW);
    return flags;
}

/* grad_output of a chunk, in the image's storage type: of its first pixel, from the first group's first channel on,
 * which is channel `channel` of the view. */
typedef struct output_gradient {
    const char *storage;
    int64_t stride; /* elements from one pixel to the next */
    int64_t channel;
} output_gradient;

/* A chunk whose gradients were scattered, and what its points' gradients are computed from. */
typedef struct scattered_chunk {
    const scatter_image *image;
    const point_chunk *chunk;
    output_gradient out;
    point_sums *sums;
} scattered_chunk;

/* Sums of the products of grad_output and each channel's derivatives, a vector of channels at a time. */
typedef struct channel_sums {
    vec by_x, by_y, by_weight;
} channel_sums;

/* Adds those of LANES channels, or of the first `part`. `corner` are the cell's channels: zeros outside the image. */
static ALWAYS_INLINE void add_channels(const exact_cell *cell, const real *const corner[4], const real *out,
                                       const int part, channel_sums *sums) {
    const vec right = vset(cell->right), left = vset(1 - cell->right);
    const vec lower = vset(cell->lower), upper = vset(1 - cell->lower);
    const vec gradient = part ? vload_part(out, part) : vload(out);
    vec v[4], sampled;
    for (int i = 0; i < 4; ++i)
        v[i] = part ? vload_part(corner[i], part) : vload(corner[i]);
    sampled = vmul(vset(cell->weight[0]), v[0]);
    for (int i = 1; i < 4; ++i)
        sampled = vfma(vset(cell->weight[i]), v[i], sampled);
    const vec by_x = vadd(vsub(vmul(upper, v[1]), vmul(upper, v[0])), vsub(vmul(lower, v[3]), vmul(lower, v[2])));
    const vec by_y = vadd(vsub(vmul(left, v[2]), vmul(left, v[0])), vsub(vmul(right, v[3]), vmul(right, v[1])));
    sums->by_x = vfma(gradient, by_x, sums->by_x);
    sums->by_y = vfma(gradient, by_y, sums->by_y);
    sums->by_weight = vfma(gradient, sampled, sums->by_weight);
}

/* The derivatives by one point's position and weight, summed in the order of the formula, which dots do not keep.
 * That matters where a number is not finite: the sum of dots may be NaN where the formula's is not, and the other
 * way round. */
static NOINLINE void NAME(exact_derivatives)(const scattered_chunk *s, int64_t point, real *by_x, real *by_y,
                                             real *by_weight) {
    const dcnv4i_image *image = &s->image->frame.image;
    const point_block block = block_of(&s->chunk->box, point);
    const int64_t first_channel = block.group * image->depth;
    const char *row = s->out.storage + (block.pixel * s->out.stride + first_channel) * image->item;
    const exact_cell cell = locate_point(s->chunk, point, image);
    channel_sums sums = {vset(0), vset(0), vset(0)};
    for (int64_t d = 0; cell.counts && d < image->depth; d += LANES) {
        const int count = (int)dcnv4i_min64(image->depth - d, LANES);
        real converted[LANES], room[4][LANES];
        const real *corner[4], *out = (const real *)(row + d * image->item);
        if (image->item != sizeof(real)) {
            image->read(out, 0, converted, 0, 1, count);
            out = converted;
        }
        find_corners(image, &s->image->value, &cell, s->out.channel + first_channel + d, count, room, corner);
        if (count == LANES)
            add_channels(&cell, corner, out, 0, &sums);
        else
            add_channels(&cell, corner, out, count, &sums);
    }
    real sum[4];
    store_dots(sum, dots_of(sums.by_x, sums.by_y, sums.by_weight, vset(0)), false);
    *by_x = sum[0], *by_y = sum[1], *by_weight = sum[2];
}

/* For LANES points: the derivatives by position, without the factor of the point's weight; and the derivative by the
 * weight. */
typedef struct derivatives {
    vec by_x, by_y, by_weight;
} derivatives;

/* For points whose cells are inside the image, at these distances from the cell's first pixel, from the dots of the
 * cell's four pixels. */
static inline derivatives inner_derivatives(vec right, vec below, vec a, vec b, vec c, vec d) {
    const vec left = vsub(vset(1), right), above = vsub(vset(1), below);
    return (derivatives){
        vfma(below, vsub(d, c), vmul(above, vsub(b, a))),
        vfma(right, vsub(d, b), vmul(left, vsub(c, a))),
        vfma(below, vfma(right, d, vmul(left, c)), vmul(above, vfma(right, b, vmul(left, a)))),
    };
}

/* Mask of the positions along one axis that count: −1 < middle + position < size. */
static inline vmask vcounts(vec position, vec middle, vec size) {
    return vmask_and(vless(vsub(vset(-1), middle), position), vless(position, vsub(size, middle)));
}

/* Along one axis: the first pixel of a cell, the linear weights of its two pixels, and which points lie before it or
 * behind it. For a point before the image's first cell, that cell's first pixel is the second one of its own; behind
 * the last cell it is the other way round. */
typedef struct axis_cell {
    vec low, near, far;
    vmask before, behind;
} axis_cell;

/* The cell from `first` to `last` for a position `rest` past the whole number `whole`. */
static inline axis_cell vlocate(vec whole, vec rest, vec first, vec last) {
    const vec low = vmin(vmax(whole, first), last), other = vsub(vset(1), rest);
    const vmask before = vless(whole, low), behind = vless(low, whole);
    return (axis_cell){low, vdrop(behind, vselect(before, rest, other)), vdrop(before, vselect(behind, other, rest)),
                       before, behind};
}

/* The derivatives of the two linear weights: −1 and 1 where both pixels are the point's own. */
static inline void vlinear_derivatives(const axis_cell *axis, vec *near, vec *far) {
    *near = vselect(axis->before, vset(1), vdrop(axis->behind, vset(-1)));
    *far = vselect(axis->behind, vset(-1), vdrop(axis->before, vset(1)));
}

/* Sets dots with pixels that are not the point's own to 0: they must not decide whether a point is recomputed, since
 * which pixels these are depends on the partition. */
static inline void clear_other_pixels(const axis_cell *h, const axis_cell *v, vec *a, vec *b, vec *c, vec *d) {
    *a = vdrop(vmask_or(v->behind, h->behind), *a), *b = vdrop(vmask_or(v->behind, h->before), *b);
    *c = vdrop(vmask_or(v->before, h->behind), *c), *d = vdrop(vmask_or(v->before, h->before), *d);
}

/* For points anywhere. */
static inline derivatives edge_derivatives(const axis_cell *h, const axis_cell *v, vec a, vec b, vec c, vec d) {
    vec left, right, up, down;
    vlinear_derivatives(h, &left, &right);
    vlinear_derivatives(v, &up, &down);
    return (derivatives){
        vfma(v->far, vfma(right, d, vmul(left, c)), vmul(v->near, vfma(right, b, vmul(left, a)))),
        vfma(h->far, vfma(down, d, vmul(up, b)), vmul(h->near, vfma(down, c, vmul(up, a)))),
        vfma(v->far, vfma(h->far, d, vmul(h->near, c)), vmul(v->near, vfma(h->far, b, vmul(h->near, a)))),
    };
}

/* Whether the derivatives of a chunk's points are the formula's even where they are not finite. They and the formula sum the
 * same products, in another order. If grad_output is finite and nothing overflowed, only numbers of the image make products
 * that are not finite, and the order does not matter: a product of NaN, or of 0 and infinity, makes both sums NaN, as
 * infinities of both signs do; infinities of one sign make both that infinity. */
static NOINLINE bool NAME(any_order_will_do)(const scattered_chunk *s) {
    const dcnv4i_image *image = &s->image->frame.image;
    const point_box *box = &s->chunk->box;
    const int64_t depth = image->depth;
    vmask finite = vfinite(vset(0));
    if (fetestexcept(FE_OVERFLOW))
        return false;
    for (int64_t i = 0; i < box->groups * box->pixels; ++i)
        for (int64_t d = 0; d < depth; d += LANES) {
            const int64_t element = i % box->pixels * s->out.stride + i / box->pixels * depth + d;
            const int count = (int)dcnv4i_min64(depth - d, LANES);
            const void *from = s->out.storage + element * image->item;
            real converted[LANES];
            if (image->item != sizeof(real)) {
                image->read(from, 0, converted, 0, 1, count);
                from = converted;
            }
            finite = vmask_and(finite, vfinite(count == LANES ? vload(from) : vload_part(from, count)));
        }
    return vmask_full(finite);
}

/* Recomputes those of LANES points, from number `first` of the chunk on, whose dots have a sum that is not finite. */
static NOINLINE void NAME(recompute_derivatives)(const scattered_chunk *s, int64_t first, int64_t count,
                                                 derivatives *result) {
    real by_x[LANES], by_y[LANES], by_weight[LANES];
    vstore(by_x, result->by_x), vstore(by_y, result->by_y), vstore(by_weight, result->by_weight);
    for (int64_t lane = 0; lane < count; ++lane) {
        const real *const dot = s->sums->corners + 4 * (first + lane), sum = dot[0] + dot[1] + (dot[2] + dot[3]);
        if (sum - sum != 0)
            NAME(exact_derivatives)(s, first + lane, &by_x[lane], &by_y[lane], &by_weight[lane]);
    }
    *result = (derivatives){vload(by_x), vload(by_y), vload(by_weight)};
}

/* What finish_derivatives does, one point after the other, for a frame that is not exact. */
static void NAME(finish_exactly)(const scattered_chunk *s, int64_t count, real scale_x, real scale_y, real *pairs) {
    for (int64_t i = 0; i < count; ++i) {
        real by_x, by_y;
        NAME(exact_derivatives)(s, i, &by_x, &by_y, &s->sums->by_weight[i]);
        const bool counts = locate_point(s->chunk, i, &s->image->frame.image).counts;
        pairs[2 * i] = counts ? scale_x * s->chunk->weight[i] * by_x : 0;
        pairs[2 * i + 1] = counts ? scale_y * s->chunk->weight[i] * by_y : 0;
    }
}

/* The gradients of a chunk's `count` points: sums->by_weight, and pairs by x and y, times what a position is scaled
 * by. */
static ALWAYS_INLINE void finish_derivatives(const scattered_chunk *s, int64_t count, real scale_x, real scale_y,
                                             real *pairs) {
    const image_frame *frame = &s->image->frame;
    const point_chunk *chunk = s->chunk;
    point_sums *sums = s->sums;
    const vec first = vset(frame->has_cells ? 0 : -1), width = vset(frame->width), height = vset(frame->height);
    const vec first_middle_x = vset((real)chunk->first_middle_x), middle_y = vset((real)chunk->middle_y);
    const vec last_column = vset(frame->has_cells ? frame->last_column : frame->width);
    const vec last_row = vset(frame->has_cells ? (real)dcnv4i_max64(frame->image.height - 2, 0) : frame->height);
    bool asked = false, any_order = false;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), whole_x = vfloor(x), whole_y = vfloor(y);
        const vec weight = vload(chunk->weight + i);
        vec a, b, c, d, weight_x = vmul(vset(scale_x), weight), weight_y = vmul(vset(scale_y), weight);
        vload_quads(sums->corners + 4 * i, &a, &b, &c, &d);
        if (frame->one_column)
            b = d = vset(0);
        if (frame->one_row)
            c = d = vset(0);
        derivatives by;
        if (chunk->inner[i / LANES]) {
            by = inner_derivatives(vsub(x, whole_x), vsub(y, whole_y), a, b, c, d);
        } else {
            const vec middle_x = vadd(first_middle_x, vload(chunk->middle_x + i));
            const vmask counts = vmask_and(vcounts(x, middle_x, width), vcounts(y, middle_y, height));
            const axis_cell h = vlocate(vadd(middle_x, whole_x), vsub(x, whole_x), first, last_column);
            const axis_cell v = vlocate(vadd(middle_y, whole_y), vsub(y, whole_y), first, last_row);
            clear_other_pixels(&h, &v, &a, &b, &c, &d);
            by = edge_derivatives(&h, &v, a, b, c, d);
            by = (derivatives){vkeep(counts, by.by_x), vkeep(counts, by.by_y), vkeep(counts, by.by_weight)};
            weight_x = vkeep(counts, weight_x), weight_y = vkeep(counts, weight_y);
        }
        if (!vmask_full(vfinite(vadd(vadd(a, b), vadd(c, d))))) {
            if (!asked)
                any_order = NAME(any_order_will_do)(s);
            asked = true;
            vstore_quads(sums->corners + 4 * i, a, b, c, d);
            if (!any_order)
                NAME(recompute_derivatives)(s, i, dcnv4i_min64(LANES, count - i), &by);
        }
        vstore_pairs(pairs + 2 * i, vmul(weight_x, by.by_x), vmul(weight_y, by.by_y));
        vstore(sums->by_weight + i, by.by_weight);
    }
}
