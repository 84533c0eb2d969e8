/* A CPU's geometry: a *run* is DCN_RUN neighbouring output pixels of a row, in one group. A work-item goes through many, and
 * finds their samples a vector at a time: point k of each pixel. In OpenCL alone, whose vectors these are. */

typedef float8 dcn_floats;
typedef int8 dcn_ints;

typedef struct dcn_run {
    dcn_index n, oy, ox, group; /* of its first pixel */
    int first, end;             /* which of its pixels are its own: those before are the last run's, behind there are none */
    const DCN_GLOBAL dcn_offset_item *offsets[DCN_RUN]; /* its pixels' first; where there is no pixel the last one's again */
} dcn_run;

/* The run from column ox on, moved left as far as it would stand out of its row. */
DCN_INLINE dcn_run dcn_run_of(dcn_index n, dcn_index oy, dcn_index ox, dcn_index group,
                              const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_run run;
    run.n = n, run.oy = oy, run.group = group;
    run.ox = DCN_MAX_INDEX(DCN_MIN_INDEX(ox, sizes->output_width - DCN_RUN), 0);
    run.first = (int)(ox - run.ox), run.end = (int)DCN_MIN_INDEX(sizes->output_width - run.ox, DCN_RUN);
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN; ++i)
        run.offsets[i] = offset_mask + dcn_block_of(n, oy, run.ox + DCN_MIN_INDEX(i, run.end - 1), group, sizes).offsets;
    return run;
}

#define DCN_TILE_RUNS (DCN_TILE_BLOCKS / DCN_RUN)

/* Run number `item` of a tile: groups fastest, then runs of a row, then rows. */
DCN_INLINE dcn_run dcn_tile_run(const DCN_PRIVATE dcn_tile *t, int item, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                const DCN_PRIVATE dcn_sizes *sizes) {
    const int number = item / DCN_TILE_GROUPS, runs = DCN_TILE_W / DCN_RUN;
    return dcn_run_of(t->n, t->oy + number / runs, t->ox + number % runs * DCN_RUN, t->group + item % DCN_TILE_GROUPS,
                      offset_mask, sizes);
}

/* Tiles at the right and bottom edge, and the last block of groups, may stand out. */
DCN_INLINE int dcn_run_exists(const DCN_PRIVATE dcn_run *run, const DCN_PRIVATE dcn_sizes *sizes) {
    return run->oy < sizes->output_height && run->first < run->end && run->group < DCN_GROUPS;
}

DCN_INLINE dcn_block dcn_run_block(const DCN_PRIVATE dcn_run *run, int pixel, const DCN_PRIVATE dcn_sizes *sizes) {
    return dcn_block_of(run->n, run->oy, run->ox + pixel, run->group, sizes);
}

/* Elements of offset_mask of eight pixels, as they are stored, and the same as float32s. */
#if DCN_OFFSET_DTYPE == DCN_FLOAT32
typedef float dcn_stored;
#else
typedef ushort dcn_stored;
#endif

DCN_INLINE dcn_floats dcn_decode(const DCN_PRIVATE dcn_stored *from) {
#if DCN_OFFSET_DTYPE == DCN_FLOAT32
    return vload8(0, from);
#elif DCN_OFFSET_DTYPE == DCN_FLOAT16
    return vload_half8(0, (const DCN_PRIVATE half *)from);
#else
    return as_float8(convert_uint8(vload8(0, from)) << 16);
#endif
}

DCN_INLINE void dcn_encode(dcn_floats a, DCN_PRIVATE dcn_stored *to) {
#if DCN_OFFSET_DTYPE == DCN_FLOAT32
    vstore8(a, 0, to);
#elif DCN_OFFSET_DTYPE == DCN_FLOAT16
    vstore_half8_rte(a, 0, (DCN_PRIVATE half *)to);
#else
    float part[DCN_RUN];
    vstore8(a, 0, part);
    for (int i = 0; i < DCN_RUN; ++i)
        to[i] = dcn_to_bfloat16_one(part[i]);
#endif
}

/* Number k of each pixel's offsets and weights. */
DCN_INLINE dcn_floats dcn_read_run(const DCN_PRIVATE dcn_run *run, int k) {
    dcn_stored part[DCN_RUN];
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN; ++i)
        part[i] = ((const DCN_GLOBAL dcn_stored *)run->offsets[i])[k];
    return dcn_decode(part);
}

/* What turns raw weights into those that are used: dcn_softmax of each pixel. */
typedef struct dcn_softmaxes {
    dcn_floats largest, sum;
} dcn_softmaxes;

DCN_INLINE dcn_softmaxes dcn_softmaxes_of(const DCN_PRIVATE dcn_run *run) {
    dcn_softmaxes norm;
    norm.largest = -DCN_INFINITY, norm.sum = 0.0f;
#if DCN_SOFTMAX
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.largest = DCN_MAX(norm.largest, dcn_read_run(run, 2 * DCN_POINTS + k));
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.sum += DCN_EXP(dcn_read_run(run, 2 * DCN_POINTS + k) - norm.largest);
#endif
    return norm;
}

DCN_INLINE dcn_floats dcn_masks_of(const DCN_PRIVATE dcn_run *run, int k,
                                   const DCN_PRIVATE dcn_softmaxes *norm) {
    const dcn_floats raw = dcn_read_run(run, 2 * DCN_POINTS + k);
#if DCN_SOFTMAX
    return DCN_EXP(raw - norm->largest) / norm->sum;
#else
    return raw;
#endif
}

/* Where points lie along one axis, in rows or columns begin to end − 1, of which there are two or more. Each point has a
 * cell there, two neighbours: its own, or the nearest ones. */
typedef struct dcn_axis {
    dcn_ints cell;                    /* the first of the two */
    dcn_floats near, far;             /* their bilinear weights; 0 for what is no corner of the point */
    dcn_floats near_slope, far_slope; /* what these grow by with the position */
    dcn_ints counts;                  /* whether the point is in the rows or columns, all bits or none */
} dcn_axis;

DCN_INLINE dcn_axis dcn_axis_of(dcn_floats position, dcn_ints middle, dcn_index begin, dcn_index end) {
    const dcn_ints nearest = fabs(position) < DCN_NEAREST * fabs(convert_float8(middle));
    const dcn_ints somewhere = fabs(position) < DCN_FARTHEST;
    position = somewhere & ~nearest ? position : 0.0f;
    const dcn_ints cut = convert_int8(position), whole = cut + (position < convert_float8(cut));
    const dcn_floats far = position - convert_float8(whole), near = 1.0f - far;
    /* What is nowhere is at −1, exactly. */
    const dcn_ints own = middle + whole | ~somewhere, cell = clamp(own, (dcn_ints)(begin), (dcn_ints)(end - 2));
    const dcn_ints both = cell == own, second = cell == own + 1, first = cell == own - 1;
    dcn_axis axis;
    axis.cell = cell;
    axis.near = both ? near : second ? far : 0.0f;
    axis.far = both ? far : first ? near : 0.0f;
    axis.counts = both | first | second & far > 0.0f;
    axis.near_slope = both ? -1.0f : second ? 1.0f : 0.0f;
    axis.far_slope = both ? 1.0f : first ? -1.0f : 0.0f;
    return axis;
}

/* Points are staged DCN_TAPS at a time. In the last round there may be fewer: the last one's place with a weight of 0. */
#define DCN_HAS_POINT(k) (DCN_POINTS % DCN_TAPS == 0 || (k) < DCN_POINTS)
#define DCN_POINT(k) (DCN_HAS_POINT(k) ? (k) : DCN_POINTS - 1)

/* The part of an image that a run's cells are in. */
typedef struct dcn_frame {
    dcn_index begin_row, end_row, width;
} dcn_frame;

/* Where point k of each pixel lies. */
typedef struct dcn_cells {
    dcn_axis x, y;
} dcn_cells;

DCN_INLINE dcn_cells dcn_cells_of(const DCN_PRIVATE dcn_run *run, int k,
                                  const DCN_PRIVATE dcn_frame *frame) {
    const dcn_ints middle_x = (run->ox + (dcn_ints)(0, 1, 2, 3, 4, 5, 6, 7)) * DCN_STRIDE_W - DCN_PAD_W + DCN_HALF_W;
    const dcn_index middle_y = run->oy * DCN_STRIDE_H - DCN_PAD_H + DCN_HALF_H;
    const dcn_floats dx = dcn_read_run(run, 2 * k), dy = dcn_read_run(run, 2 * k + 1);
    dcn_cells cells;
    cells.x = dcn_axis_of(DCN_SCALE * ((float)dcn_tap_x(k) + dx), middle_x, 0, frame->width);
    cells.y = dcn_axis_of(DCN_SCALE * ((float)dcn_tap_y(k) + dy), middle_y, frame->begin_row, frame->end_row);
    return cells;
}

/* Stages points of one number of eight pixels, `to` being the first one's place: the four weights of its cell's pixels, mask
 * folded in, of which a pixel has DCN_TAPS one after the other. */
DCN_INLINE void dcn_stage_weights(const DCN_PRIVATE dcn_cells *cells, dcn_floats mask, DCN_PRIVATE dcn_quad *to) {
    const dcn_floats upper = mask * cells->y.near, lower = mask * cells->y.far;
    const dcn_floats a = upper * cells->x.near, b = upper * cells->x.far;
    const dcn_floats c = lower * cells->x.near, d = lower * cells->x.far;
    const dcn_floats p = dcn_zip_firsts(a, b), q = dcn_zip_lasts(a, b);
    const dcn_floats r = dcn_zip_firsts(c, d), s = dcn_zip_lasts(c, d);
    const dcn_floats e = dcn_join_firsts(p, r), f = dcn_join_lasts(p, r);
    const dcn_floats g = dcn_join_firsts(q, s), h = dcn_join_lasts(q, s);
    vstore4(e.lo, 0, to[0 * DCN_TAPS].part), vstore4(e.hi, 0, to[4 * DCN_TAPS].part);
    vstore4(f.lo, 0, to[1 * DCN_TAPS].part), vstore4(f.hi, 0, to[5 * DCN_TAPS].part);
    vstore4(g.lo, 0, to[2 * DCN_TAPS].part), vstore4(g.hi, 0, to[6 * DCN_TAPS].part);
    vstore4(h.lo, 0, to[3 * DCN_TAPS].part), vstore4(h.hi, 0, to[7 * DCN_TAPS].part);
}

/* And the number of the cell's first pixel in the image, times stride: those of eight pixels one after the other. */
DCN_INLINE void dcn_stage_cells(const DCN_PRIVATE dcn_cells *cells, dcn_index width, dcn_index stride,
                                DCN_PRIVATE dcn_index *to) {
    vstore8((cells->y.cell * width + cells->x.cell) * stride, 0, to);
}

/* Writes number k of each pixel's gradients; `to` is the first of the first pixel. */
DCN_INLINE void dcn_write_run(DCN_GLOBAL dcn_offset_item *to, const DCN_PRIVATE dcn_run *run, int k, dcn_floats a) {
    DCN_GLOBAL dcn_stored *const at = (DCN_GLOBAL dcn_stored *)to + k;
    dcn_stored part[DCN_RUN];
    dcn_encode(a, part);
    if (run->end - run->first == DCN_RUN) {
        DCN_UNROLL
        for (int i = 0; i < DCN_RUN; ++i)
            at[i * DCN_GRAD_OFFSET_MASK_STRIDE] = part[i];
    } else
        for (int i = run->first; i < run->end; ++i)
            at[i * DCN_GRAD_OFFSET_MASK_STRIDE] = part[i];
}

/* Point k of pixel p has four numbers at DCN_RUN·k + DCN_SLOT(p), so that vectors of them are turned with few moves. */
#define DCN_SLOT(p) ((p) % 4 * 2 + (p) / 4)

/* By an array, which compilers take away again: Oclgrind 21.10 cannot tell what is initialised of a vector made of two. */
DCN_INLINE dcn_floats dcn_load_two(const DCN_PRIVATE dcn_quad *from) {
    float both[8];
    vstore4(vload4(0, from[0].part), 0, both), vstore4(vload4(0, from[1].part), 1, both);
    return vload8(0, both);
}

/* Those of each pixel, as four vectors. */
DCN_INLINE void dcn_load_quads(const DCN_PRIVATE dcn_quad *from, DCN_PRIVATE dcn_floats *to) {
    const dcn_floats a = dcn_load_two(from), b = dcn_load_two(from + 2);
    const dcn_floats c = dcn_load_two(from + 4), d = dcn_load_two(from + 6);
    const dcn_floats p = dcn_zip_firsts(a, b), q = dcn_zip_lasts(a, b);
    const dcn_floats r = dcn_zip_firsts(c, d), s = dcn_zip_lasts(c, d);
    to[0] = dcn_join_firsts(p, r), to[1] = dcn_join_lasts(p, r);
    to[2] = dcn_join_firsts(q, s), to[3] = dcn_join_lasts(q, s);
}
