/* Runs, for CPUs, in OpenCL alone. A *run* is DCN_RUN (8) neighbouring output pixels of a row, in one group. A
 * work-item goes through many of them, and finds cells a vector at a time: point k of all eight pixels
 * (vector_cells.inl). */

typedef struct dcn_run {
    dcn_index n, oy, ox, group; /* of its first pixel */
    /* Its own pixels are first to end − 1: those before belong to the run on the left, those behind do not exist. */
    int first, end;
    /* The first offset of each pixel; for pixels that do not exist, that of the last one. */
    const DCN_GLOBAL dcn_offset_element *offsets[DCN_RUN];
} dcn_run;

/* The run that begins at column ox, moved left if it would end past its row. */
DCN_INLINE dcn_run dcn_run_of(dcn_index n, dcn_index oy, dcn_index ox, dcn_index group,
                              const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_run run;
    run.n = n, run.oy = oy, run.group = group;
    run.ox = DCN_MAX_INDEX(DCN_MIN_INDEX(ox, sizes->output_width - DCN_RUN), 0);
    run.first = (int)(ox - run.ox), run.end = (int)DCN_MIN_INDEX(sizes->output_width - run.ox, DCN_RUN);
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN; ++i)
        run.offsets[i] = offset_mask +
                         dcn_block_of(n, oy, run.ox + DCN_MIN_INDEX(i, run.end - 1), group, sizes).offsets;
    return run;
}

#define DCN_TILE_RUNS (DCN_TILE_BLOCKS / DCN_RUN)

/* Run `item` of a tile: groups vary fastest, then runs of a row, then rows. */
DCN_INLINE dcn_run dcn_tile_run(const DCN_PRIVATE dcn_tile *t, int item,
                                const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_sizes *sizes) {
    const int number = item / DCN_TILE_GROUPS, runs = DCN_TILE_W / DCN_RUN;
    return dcn_run_of(t->n, t->oy + number / runs, t->ox + number % runs * DCN_RUN, t->group + item % DCN_TILE_GROUPS,
                      offset_mask, sizes);
}

/* Tiles may extend past the right and bottom edge, and past the last group. */
DCN_INLINE int dcn_run_exists(const DCN_PRIVATE dcn_run *run, const DCN_PRIVATE dcn_sizes *sizes) {
    return run->oy < sizes->output_height && run->first < run->end && run->group < DCN_GROUPS;
}

/* Pixel number `pixel` of a run. */
DCN_INLINE dcn_block dcn_run_block(const DCN_PRIVATE dcn_run *run, int pixel, const DCN_PRIVATE dcn_sizes *sizes) {
    return dcn_block_of(run->n, run->oy, run->ox + pixel, run->group, sizes);
}

/* Eight elements of offset_mask, one a pixel, as they are stored; and conversion to and from float32. */
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

/* Element k of each pixel's offsets and weights. */
DCN_INLINE dcn_floats dcn_read_run(const DCN_PRIVATE dcn_run *run, int k) {
    dcn_stored part[DCN_RUN];
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN; ++i)
        part[i] = ((const DCN_GLOBAL dcn_stored *)run->offsets[i])[k];
    return dcn_decode(part);
}

/* dcn_softmax of each pixel. */
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

/* The weight of point k of each pixel. */
DCN_INLINE dcn_floats dcn_masks_of(const DCN_PRIVATE dcn_run *run, int k, const DCN_PRIVATE dcn_softmaxes *norm) {
    const dcn_floats raw = dcn_read_run(run, 2 * DCN_POINTS + k);
#if DCN_SOFTMAX
    return DCN_EXP(raw - norm->largest) / norm->sum;
#else
    return raw;
#endif
}

/* Points are staged in rounds of DCN_ROUND_POINTS. If the last round is not full, it repeats the last point, with
 * weight 0. */
#define DCN_HAS_POINT(k) (DCN_POINTS % DCN_ROUND_POINTS == 0 || (k) < DCN_POINTS)
#define DCN_POINT(k) (DCN_HAS_POINT(k) ? (k) : DCN_POINTS - 1)

/* The cells of point k of each pixel, within a frame. */
DCN_INLINE dcn_cells dcn_cells_of(const DCN_PRIVATE dcn_run *run, int k, const DCN_PRIVATE dcn_frame *frame) {
    const dcn_ints middle_x = (run->ox + (dcn_ints)(0, 1, 2, 3, 4, 5, 6, 7)) * DCN_STRIDE_W - DCN_PAD_W + DCN_HALF_W;
    const dcn_index middle_y = run->oy * DCN_STRIDE_H - DCN_PAD_H + DCN_HALF_H;
    const dcn_floats dx = dcn_read_run(run, 2 * k), dy = dcn_read_run(run, 2 * k + 1);
    dcn_cells cells;
    cells.x = dcn_axis_of(DCN_SCALE * ((float)dcn_tap_x(k) + dx), middle_x, 0, frame->width);
    cells.y = dcn_axis_of(DCN_SCALE * ((float)dcn_tap_y(k) + dy), middle_y, frame->begin_row, frame->end_row);
    return cells;
}

/* Writes element k of each pixel's gradients; `to` points to the first pixel's element 0. */
DCN_INLINE void dcn_write_run(DCN_GLOBAL dcn_offset_element *to, const DCN_PRIVATE dcn_run *run, int k, dcn_floats a) {
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
