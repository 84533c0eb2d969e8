/* What a layer fixes: its tensors' rows, the places where its points look before offsets, and the weights. And which
 * output pixel, group and channels a work-item has. */

/* offset_mask and its gradient may be float32 where the other tensors have 16 bits. */
#if DCN_OFFSET_DTYPE == DCN_DTYPE
typedef dcn_item dcn_offset_item;
#define dcn_read_offset dcn_read
#define dcn_write_offset dcn_write
#else
typedef float dcn_offset_item;

DCN_INLINE float dcn_read_offset(const DCN_GLOBAL float *tensor, dcn_index at) {
    return tensor[at];
}

DCN_INLINE void dcn_write_offset(DCN_GLOBAL float *tensor, dcn_index at, float number) {
    tensor[at] = number;
}
#endif

#define DCN_CENTER (DCN_KERNEL_W / 2 * DCN_KERNEL_H + DCN_KERNEL_H / 2)

/* A program has one size of each kind for all images: they come as arguments. */
typedef struct dcn_sizes {
    dcn_index height, width, output_height, output_width;
    dcn_long by_columns, by_rows; /* reciprocals of how many tiles an image has along each axis */
} dcn_sizes;

/* number / divisor, by the reciprocal that backends/gpu/deform_conv/geometry.c has for it: three instructions instead of twenty. It knows
 * numbers of 31 bits. */
DCN_INLINE dcn_unsigned dcn_quotient(dcn_unsigned number, dcn_unsigned divisor, dcn_long reciprocal) {
#if DCN_WIDE
    return number / divisor;
#else
    return DCN_MULTIPLY_HIGH(2 * number, (dcn_unsigned)reciprocal) >> (dcn_unsigned)(reciprocal >> 32);
#endif
}

/* One group of one output pixel. */
typedef struct dcn_block {
    dcn_index n, oy, ox;
    dcn_index pixel;   /* its row in output and offset_mask */
    dcn_index offsets; /* element of its first offset */
    dcn_index group;
} dcn_block;

DCN_INLINE dcn_block dcn_block_of(dcn_index n, dcn_index oy, dcn_index ox, dcn_index group,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_block b;
    b.n = n, b.oy = oy, b.ox = ox, b.group = group;
    b.pixel = (n * sizes->output_height + oy) * sizes->output_width + ox;
    b.offsets = DCN_SUM(DCN_PRODUCT(b.pixel, DCN_OFFSET_MASK_STRIDE), group * 3 * DCN_POINTS);
    return b;
}

/* What turns raw weights into the weights that are used: exp(raw − largest) / sum with softmax. */
typedef struct dcn_softmax {
    float largest, sum;
} dcn_softmax;

DCN_INLINE dcn_softmax dcn_softmax_of(const DCN_GLOBAL dcn_offset_item *offset_mask, dcn_index offsets) {
    dcn_softmax norm;
    norm.largest = -DCN_INFINITY, norm.sum = 0.0f;
#if DCN_SOFTMAX
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.largest = DCN_MAX(norm.largest, dcn_read_offset(offset_mask, offsets + 2 * DCN_POINTS + k));
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.sum += DCN_EXP(dcn_read_offset(offset_mask, offsets + 2 * DCN_POINTS + k) - norm.largest);
#endif
    return norm;
}

/* Where point k looks without an offset, from the middle of the kernel. Points are numbered with the kernel's width outside;
 * remove_center closes the gap up. */
DCN_INLINE int dcn_number(int k) {
    return DCN_REMOVE_CENTER && k >= DCN_CENTER ? k + 1 : k;
}

DCN_INLINE dcn_index dcn_tap_x(int k) {
    return dcn_number(k) / DCN_KERNEL_H * (dcn_index)DCN_DILATION_W - DCN_HALF_W;
}

DCN_INLINE dcn_index dcn_tap_y(int k) {
    return dcn_number(k) % DCN_KERNEL_H * (dcn_index)DCN_DILATION_H - DCN_HALF_H;
}

/* Where the middle of a block's kernel is, on each axis. */
#define DCN_MIDDLE_X(b) ((b)->ox * DCN_STRIDE_W - DCN_PAD_W + DCN_HALF_W)
#define DCN_MIDDLE_Y(b) ((b)->oy * DCN_STRIDE_H - DCN_PAD_H + DCN_HALF_H)

/* How far point k is from there, on each axis, with the offsets at `offsets`. Numbers that a float holds are divided as
 * such. */
DCN_INLINE void dcn_shift(const DCN_GLOBAL dcn_offset_item *offset_mask, dcn_index offsets, int k, DCN_PRIVATE float *x,
                          DCN_PRIVATE float *y) {
#if DCN_STAGED && DCN_POINTS < 0x10000 && DCN_HALF_H < 0x400000 && DCN_HALF_W < 0x400000
    const float number = dcn_number(k), column = DCN_FLOOR(number * (1.0f / DCN_KERNEL_H) + 0.5f / DCN_KERNEL_H);
    const float row = number - column * DCN_KERNEL_H;
    const float tap_x = column * DCN_DILATION_W - DCN_HALF_W, tap_y = row * DCN_DILATION_H - DCN_HALF_H;
#else
    const float tap_x = dcn_tap_x(k), tap_y = dcn_tap_y(k);
#endif
    const DCN_GLOBAL dcn_offset_item *const at = offset_mask + offsets + 2 * k;
    const float dx = dcn_read_offset(at, 0), dy = dcn_read_offset(at, 1);
    *x = DCN_SCALE * (tap_x + dx), *y = DCN_SCALE * (tap_y + dy);
}

/* Where point k of a block lies. */
DCN_INLINE dcn_sample dcn_place(const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_sizes *sizes) {
    float x, y;
    dcn_shift(offset_mask, b->offsets, k, &x, &y);
    return dcn_locate(x, y, DCN_MIDDLE_X(b), DCN_MIDDLE_Y(b), sizes->width, sizes->height);
}

/* Its weight. */
DCN_INLINE float dcn_mask_of(const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                             const DCN_PRIVATE dcn_softmax *norm) {
    const float raw = dcn_read_offset(offset_mask, b->offsets + 2 * DCN_POINTS + k);
#if DCN_SOFTMAX
    return DCN_EXP(raw - norm->largest) / norm->sum;
#else
    return raw;
#endif
}

DCN_INLINE dcn_sample dcn_point(const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_softmax *norm, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_sample s = dcn_place(offset_mask, b, k, sizes);
    s.mask = dcn_mask_of(offset_mask, b, k, norm);
    return s;
}

/* Pixel number, in the batch, of a sample's top left corner; the others are 1, width and width + 1 further. */
DCN_INLINE dcn_index dcn_at(const DCN_PRIVATE dcn_sample *s, dcn_index n, const DCN_PRIVATE dcn_sizes *sizes) {
    return (n * sizes->height + s->row) * sizes->width + s->column;
}

/* Whether points have cells, and all numbers are known exactly that these begin between, as they are unless DCN_WIDE. Then the
 * sums are made of numbers that are small enough for it. */
#define DCN_IS_EXACT(size, outputs, stride, pad, half)                                          \
    ((size) < DCN_EXACT && (outputs) < DCN_EXACT / (stride) && (pad) < DCN_EXACT && (half) < DCN_EXACT && \
     (outputs) * (stride) + (pad) + (half) < DCN_EXACT)

DCN_INLINE int dcn_has_cells(const DCN_PRIVATE dcn_sizes *sizes) {
    int known = 1;
#if DCN_WIDE
    known = DCN_IS_EXACT(sizes->width, sizes->output_width, DCN_STRIDE_W, DCN_PAD_W, DCN_HALF_W) &&
            DCN_IS_EXACT(sizes->height, sizes->output_height, DCN_STRIDE_H, DCN_PAD_H, DCN_HALF_H);
#endif
    return known && sizes->width > 1 && sizes->height > 1;
}

/* Where the cells of a block begin at most, from the middle of its kernel. They begin at −middle at least. */
#define DCN_HIGH_X(b, sizes) ((float)((sizes)->width - 2) - (float)DCN_MIDDLE_X(b))
#define DCN_HIGH_Y(b, sizes) ((float)((sizes)->height - 2) - (float)DCN_MIDDLE_Y(b))

/* Pixel number, in the batch, of a cell that begins there. */
DCN_INLINE dcn_index dcn_cell_at(const DCN_PRIVATE dcn_block *b, float first_x, float first_y,
                                 const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index row = b->n * sizes->height + DCN_MIDDLE_Y(b) + (dcn_index)first_y;
    return row * sizes->width + DCN_MIDDLE_X(b) + (dcn_index)first_x;
}

/* ---- Who is who: a work-group has a tile of output pixels, some groups of each, and DCN_LANES work-items a block ------ */

#define DCN_TILE_BLOCKS (DCN_TILE_H * DCN_TILE_W * DCN_TILE_GROUPS)
#define DCN_WORK_GROUP (DCN_RUN > 1 ? 1 : DCN_TILE_BLOCKS * DCN_LANES)
/* Channels of a block: DCN_VECTORS vectors a lane, the lanes' ones next to each other; what is left are other parts. */
#define DCN_PART_CHANNELS (DCN_VECTOR * DCN_LANES * DCN_VECTORS)
#define DCN_CHANNEL_PARTS ((DCN_CHANNELS + DCN_PART_CHANNELS - 1) / DCN_PART_CHANNELS)
/* Channel of a work-item's vector number v, counted in its group; some of the last part's stand out of the group. */
#define DCN_CHANNEL(part, lane, v) ((((part) * DCN_VECTORS + (v)) * DCN_LANES + (lane)) * DCN_VECTOR)
#define DCN_HAS_CHANNEL(channel) (DCN_CHANNELS % DCN_PART_CHANNELS == 0 || (channel) < DCN_CHANNELS)

/* Vectors of a group that one work-item has; the last may be there for some lanes only. */
#define DCN_LANE_VECTORS ((DCN_CHANNELS + DCN_VECTOR * DCN_LANES - 1) / (DCN_VECTOR * DCN_LANES))
#define DCN_LANE_TAIL (DCN_CHANNELS % (DCN_VECTOR * DCN_LANES) != 0)
/* Whether the work-item whose first channel this is has vector v. */
#define DCN_HAS_VECTOR(channel, v) (!DCN_LANE_TAIL || (channel) + (v) * DCN_LANES * DCN_VECTOR < DCN_CHANNELS)

/* From one block's staged points to the next one's: odd, so that neighbouring blocks are in different banks. */
#define DCN_PITCH (DCN_TAPS | 1)
#define DCN_GROUP_BLOCKS ((DCN_GROUPS + DCN_TILE_GROUPS - 1) / DCN_TILE_GROUPS)

typedef struct dcn_tile {
    dcn_index n, oy, ox; /* its first output pixel */
    dcn_index group;     /* its first group */
    dcn_index part;      /* its channel part */
} dcn_tile;

/* Work-groups are numbered: tile columns fastest, then tile rows, groups, channel parts, images. A tile never straddles
 * images. */
DCN_INLINE dcn_tile dcn_tile_of(dcn_unsigned number, dcn_unsigned parts,
                                const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_unsigned columns = ((dcn_unsigned)sizes->output_width + DCN_TILE_W - 1) / DCN_TILE_W;
    const dcn_unsigned rows = ((dcn_unsigned)sizes->output_height + DCN_TILE_H - 1) / DCN_TILE_H;
    dcn_tile t;
    const dcn_unsigned row = dcn_quotient(number, columns, sizes->by_columns);
    const dcn_unsigned image = dcn_quotient(row, rows, sizes->by_rows); /* of one group and part */
    t.ox = (number - row * columns) * DCN_TILE_W;
    t.oy = (row - image * rows) * DCN_TILE_H;
    number = image;
    t.group = number % DCN_GROUP_BLOCKS * DCN_TILE_GROUPS, number /= DCN_GROUP_BLOCKS;
    t.part = number % parts, t.n = number / parts;
    return t;
}

/* Block `number` of a tile, 0 ≤ number < DCN_TILE_BLOCKS: groups fastest, then columns, then rows. */
DCN_INLINE dcn_block dcn_tile_block(const DCN_PRIVATE dcn_tile *t, int number, const DCN_PRIVATE dcn_sizes *sizes) {
    const int pixel = number / DCN_TILE_GROUPS;
    return dcn_block_of(t->n, t->oy + pixel / DCN_TILE_W, t->ox + pixel % DCN_TILE_W,
                        t->group + number % DCN_TILE_GROUPS, sizes);
}

/* Tiles at the right and bottom edge, and the last block of groups, may stand out. */
DCN_INLINE int dcn_exists(const DCN_PRIVATE dcn_block *b, const DCN_PRIVATE dcn_sizes *sizes) {
    return b->oy < sizes->output_height && b->ox < sizes->output_width && b->group < DCN_GROUPS;
}
