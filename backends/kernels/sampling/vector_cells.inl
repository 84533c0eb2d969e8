/* Cells (cells.inl) of eight points at a time, one in each component of a vector: for CPUs, in OpenCL alone, whose
 * vectors these are. There are no branches; comparisons set all bits of a component or none. */

typedef float8 dcn_floats;
typedef int8 dcn_ints;

/* ---- Where cells are --------------------------------------------------------------------------------------------- */

/* The cells of eight points along one axis. */
typedef struct dcn_axis {
    dcn_ints cell;                              /* the first of a cell's two rows or columns */
    dcn_floats near, far;                       /* bilinear weights of the two; 0 for a pixel that is no corner */
    dcn_floats near_derivative, far_derivative; /* of these weights by the position */
    dcn_ints counts;                            /* whether the point counts */
} dcn_axis;

/* For positions relative to middle, and cells in rows or columns begin to end − 1, of which there are two or more. */
DCN_INLINE dcn_axis dcn_axis_of(dcn_floats position, dcn_ints middle, dcn_index begin, dcn_index end) {
    const dcn_ints nearest = fabs(position) < DCN_NEAREST * fabs(convert_float8(middle));
    const dcn_ints in_range = fabs(position) < DCN_FARTHEST;
    position = in_range & ~nearest ? position : 0.0f;
    const dcn_ints cut = convert_int8(position), whole = cut + (position < convert_float8(cut));
    const dcn_floats far = position - convert_float8(whole), near = 1.0f - far;
    /* A position that is out of range is put at −1, exactly, where a point does not count. */
    const dcn_ints own = middle + whole | ~in_range, cell = clamp(own, (dcn_ints)(begin), (dcn_ints)(end - 2));
    const dcn_ints both = cell == own, second = cell == own + 1, first = cell == own - 1;
    dcn_axis axis;
    axis.cell = cell;
    axis.near = both ? near : second ? far : 0.0f;
    axis.far = both ? far : first ? near : 0.0f;
    axis.counts = both | first | second & far > 0.0f;
    axis.near_derivative = both ? -1.0f : second ? 1.0f : 0.0f;
    axis.far_derivative = both ? 1.0f : first ? -1.0f : 0.0f;
    return axis;
}

/* The rows of an image, begin_row to end_row − 1, and the columns that cells are in. */
typedef struct dcn_frame {
    dcn_index begin_row, end_row, width;
} dcn_frame;

typedef struct dcn_cells {
    dcn_axis x, y;
} dcn_cells;

/* ---- Staging them in private arrays: eight points are turned into one record each -------------------------------- */

/* Writes the weights of each point's cell, times its mask. A point's are `stride` quads behind those of the one
 * before. */
DCN_INLINE void dcn_stage_weights(const DCN_PRIVATE dcn_cells *cells, dcn_floats mask, DCN_PRIVATE dcn_quad *to,
                                  int stride) {
    const dcn_floats upper = mask * cells->y.near, lower = mask * cells->y.far;
    const dcn_floats a = upper * cells->x.near, b = upper * cells->x.far;
    const dcn_floats c = lower * cells->x.near, d = lower * cells->x.far;
    const dcn_floats p = dcn_zip_firsts(a, b), q = dcn_zip_lasts(a, b);
    const dcn_floats r = dcn_zip_firsts(c, d), s = dcn_zip_lasts(c, d);
    const dcn_floats e = dcn_join_firsts(p, r), f = dcn_join_lasts(p, r);
    const dcn_floats g = dcn_join_firsts(q, s), h = dcn_join_lasts(q, s);
    vstore4(e.lo, 0, to[0 * stride].part), vstore4(e.hi, 0, to[4 * stride].part);
    vstore4(f.lo, 0, to[1 * stride].part), vstore4(f.hi, 0, to[5 * stride].part);
    vstore4(g.lo, 0, to[2 * stride].part), vstore4(g.hi, 0, to[6 * stride].part);
    vstore4(h.lo, 0, to[3 * stride].part), vstore4(h.hi, 0, to[7 * stride].part);
}

/* Writes the index, within the image, of the first pixel of each point's cell, times stride, to eight neighbours. */
DCN_INLINE void dcn_stage_cells(const DCN_PRIVATE dcn_cells *cells, dcn_index width, dcn_index stride,
                                DCN_PRIVATE dcn_index *to) {
    vstore8((cells->y.cell * width + cells->x.cell) * stride, 0, to);
}

/* ---- Derivatives: four dot products a point (derivatives.inl) ---------------------------------------------------- */

/* dcn_cell_dots for a work-item that has all channels: each sum is a vector until the end. */
DCN_INLINE dcn_quad dcn_cell_vector_dots(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_element *grad_output,
                                         dcn_index below) {
    dcn_partials sum[4];
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        sum[c] = dcn_no_products();
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v) {
        const dcn_vector grad = dcn_load_once(grad_output, 0, 0, v);
        const dcn_index step = DCN_STEP(0, v);
        sum[0] = dcn_add_products(grad, dcn_load(value, step), sum[0]);
        sum[1] = dcn_add_products(grad, dcn_load(value, step + DCN_VALUE_STRIDE), sum[1]);
        sum[2] = dcn_add_products(grad, dcn_load(value + below, step), sum[2]);
        sum[3] = dcn_add_products(grad, dcn_load(value + below, step + DCN_VALUE_STRIDE), sum[3]);
    }
    dcn_quad dot;
    dcn_sum4(sum, dot.part);
    return dot;
}

/* Eight quads lie in this order, point p at DCN_SLOT(p), so that they are turned into vectors with few shuffles. */
#define DCN_SLOT(p) ((p) % 4 * 2 + (p) / 4)

/* Through an array, which compilers optimise away: Oclgrind 21.10 takes a vector made of two for uninitialised. */
DCN_INLINE dcn_floats dcn_load_two(const DCN_PRIVATE dcn_quad *from) {
    float both[8];
    vstore4(vload4(0, from[0].part), 0, both), vstore4(vload4(0, from[1].part), 1, both);
    return vload8(0, both);
}

/* to[c] is number c of each point's quad. */
DCN_INLINE void dcn_load_quads(const DCN_PRIVATE dcn_quad *from, DCN_PRIVATE dcn_floats *to) {
    const dcn_floats a = dcn_load_two(from), b = dcn_load_two(from + 2);
    const dcn_floats c = dcn_load_two(from + 4), d = dcn_load_two(from + 6);
    const dcn_floats p = dcn_zip_firsts(a, b), q = dcn_zip_lasts(a, b);
    const dcn_floats r = dcn_zip_firsts(c, d), s = dcn_zip_lasts(c, d);
    to[0] = dcn_join_firsts(p, r), to[1] = dcn_join_lasts(p, r);
    to[2] = dcn_join_firsts(q, s), to[3] = dcn_join_lasts(q, s);
}

/* dcn_derivatives of eight points. */
typedef struct dcn_vector_derivatives {
    dcn_floats mask, x, y;
} dcn_vector_derivatives;

DCN_INLINE dcn_vector_derivatives dcn_vector_derivatives_of(const DCN_PRIVATE dcn_cells *cells,
                                                            const DCN_PRIVATE dcn_floats *dot) {
    const dcn_axis x = cells->x, y = cells->y;
    const dcn_floats upper = x.near * dot[0] + x.far * dot[1], lower = x.near * dot[2] + x.far * dot[3];
    dcn_vector_derivatives d;
    d.mask = y.near * upper + y.far * lower;
    d.x = y.near * (x.near_derivative * dot[0] + x.far_derivative * dot[1]) +
          y.far * (x.near_derivative * dot[2] + x.far_derivative * dot[3]);
    d.y = y.near_derivative * upper + y.far_derivative * lower;
    return d;
}

/* ---- Whether cells may be used ----------------------------------------------------------------------------------- */

/* Whether all gradients of a work-item's channels are finite, so that 0 times each is 0: a cell's pixels that are no
 * corners must get nothing when gradients are scattered to cells. */
DCN_INLINE int dcn_are_grads_finite(const DCN_GLOBAL dcn_element *grad) {
    dcn_partials nothing = dcn_no_products();
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v)
        nothing = dcn_add_zero_or_nan(dcn_load(grad, DCN_STEP(0, v)), nothing);
    return dcn_are_zero(nothing);
}
