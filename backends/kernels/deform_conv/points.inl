/* Where DCNv4's points come from: rows of offset_mask, the kernel's grid, offset_scale and softmax. A *block* is one
 * group of one output pixel: K points, and D channels to sum up. */

/* offset_mask and its gradient may be float32 although the other tensors have 16 bits. */
#if DCN_OFFSET_DTYPE == DCN_DTYPE
typedef dcn_element dcn_offset_element;
#define dcn_read_offset dcn_read
#define dcn_write_offset dcn_write
#else
typedef float dcn_offset_element;

DCN_INLINE float dcn_read_offset(const DCN_GLOBAL float *tensor, dcn_index at) {
    return tensor[at];
}

DCN_INLINE void dcn_write_offset(DCN_GLOBAL float *tensor, dcn_index at, float number) {
    tensor[at] = number;
}
#endif

/* Index of the kernel's middle tap, which remove_center leaves out. */
#define DCN_CENTER (DCN_KERNEL_W / 2 * DCN_KERNEL_H + DCN_KERNEL_H / 2)

/* What changes from image to image: arguments of the kernels, not constants of their text. */
typedef struct dcn_sizes {
    dcn_index height, width, output_height, output_width;
    dcn_long by_columns, by_rows; /* reciprocals (dcn_quotient) of the tiles along each axis of an image */
} dcn_sizes;

typedef struct dcn_block {
    dcn_index n, oy, ox; /* image, output row, output column */
    dcn_index pixel;     /* row of output and of offset_mask */
    dcn_index offsets;   /* element of its first offset in offset_mask */
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

/* The largest raw weight of a block and Σ exp(raw − largest): the softmax is exp(raw − largest) / sum. Unused
 * without softmax. */
typedef struct dcn_softmax {
    float largest, sum;
} dcn_softmax;

DCN_INLINE dcn_softmax dcn_softmax_of(const DCN_GLOBAL dcn_offset_element *offset_mask, dcn_index offsets) {
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

/* The tap of point k in the kernel's grid. Taps are numbered column by column; remove_center skips the middle one. */
DCN_INLINE int dcn_number(int k) {
    return DCN_REMOVE_CENTER && k >= DCN_CENTER ? k + 1 : k;
}

/* Position of point k without its offset, from the middle of the kernel. */
DCN_INLINE dcn_index dcn_tap_x(int k) {
    return dcn_number(k) / DCN_KERNEL_H * (dcn_index)DCN_DILATION_W - DCN_HALF_W;
}

DCN_INLINE dcn_index dcn_tap_y(int k) {
    return dcn_number(k) % DCN_KERNEL_H * (dcn_index)DCN_DILATION_H - DCN_HALF_H;
}

/* Position of the middle of a block's kernel in the image: an integer. */
#define DCN_MIDDLE_X(b) ((b)->ox * DCN_STRIDE_W - DCN_PAD_W + DCN_HALF_W)
#define DCN_MIDDLE_Y(b) ((b)->oy * DCN_STRIDE_H - DCN_PAD_H + DCN_HALF_H)

/* Position of point k from the middle of its kernel, with the offsets that begin at element `offsets`. Where k
 * differs between lanes and the numbers are exact in float32, the tap is computed in float32: integer division takes
 * some twenty instructions. */
DCN_INLINE void dcn_shift(const DCN_GLOBAL dcn_offset_element *offset_mask, dcn_index offsets, int k,
                          DCN_PRIVATE float *x, DCN_PRIVATE float *y) {
#if DCN_STAGED && DCN_POINTS < 0x10000 && DCN_HALF_H < 0x400000 && DCN_HALF_W < 0x400000
    const float number = dcn_number(k), column = DCN_FLOOR(number * (1.0f / DCN_KERNEL_H) + 0.5f / DCN_KERNEL_H);
    const float row = number - column * DCN_KERNEL_H;
    const float tap_x = column * DCN_DILATION_W - DCN_HALF_W, tap_y = row * DCN_DILATION_H - DCN_HALF_H;
#else
    const float tap_x = dcn_tap_x(k), tap_y = dcn_tap_y(k);
#endif
    const DCN_GLOBAL dcn_offset_element *const at = offset_mask + offsets + 2 * k;
    const float dx = dcn_read_offset(at, 0), dy = dcn_read_offset(at, 1);
    *x = DCN_SCALE * (tap_x + dx), *y = DCN_SCALE * (tap_y + dy);
}

/* Point k of a block as a sample without its weight. */
DCN_INLINE dcn_sample dcn_locate_point(const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b,
                                       int k, const DCN_PRIVATE dcn_sizes *sizes) {
    float x, y;
    dcn_shift(offset_mask, b->offsets, k, &x, &y);
    return dcn_locate(x, y, DCN_MIDDLE_X(b), DCN_MIDDLE_Y(b), sizes->width, sizes->height);
}

/* The weight of point k. */
DCN_INLINE float dcn_mask_of(const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                             const DCN_PRIVATE dcn_softmax *norm) {
    const float raw = dcn_read_offset(offset_mask, b->offsets + 2 * DCN_POINTS + k);
#if DCN_SOFTMAX
    return DCN_EXP(raw - norm->largest) / norm->sum;
#else
    return raw;
#endif
}

/* Point k with its weight. */
DCN_INLINE dcn_sample dcn_point(const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_softmax *norm, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_sample s = dcn_locate_point(offset_mask, b, k, sizes);
    s.mask = dcn_mask_of(offset_mask, b, k, norm);
    return s;
}

/* Index, in the batch, of the value pixel at the top left corner of a sample. */
DCN_INLINE dcn_index dcn_at(const DCN_PRIVATE dcn_sample *s, dcn_index n, const DCN_PRIVATE dcn_sizes *sizes) {
    return dcn_pixel_of(s, n, sizes->height, sizes->width);
}

/* Whether the points of a block have cells: the image has one, and the middle of every kernel is exact in float32,
 * as it always is unless DCN_WIDE. The limits are such that the last sum cannot overflow. */
#define DCN_IS_EXACT(size, outputs, stride, pad, half)                                                    \
    ((size) < DCN_EXACT && (outputs) < DCN_EXACT / (stride) && (pad) < DCN_EXACT && (half) < DCN_EXACT && \
     (outputs) * (stride) + (pad) + (half) < DCN_EXACT)

DCN_INLINE int dcn_points_have_cells(const DCN_PRIVATE dcn_sizes *sizes) {
    int exact = 1;
#if DCN_WIDE
    exact = DCN_IS_EXACT(sizes->width, sizes->output_width, DCN_STRIDE_W, DCN_PAD_W, DCN_HALF_W) &&
            DCN_IS_EXACT(sizes->height, sizes->output_height, DCN_STRIDE_H, DCN_PAD_H, DCN_HALF_H);
#endif
    return exact && DCN_HAS_CELLS(sizes->height, sizes->width);
}

/* Position of point k from the middle of its kernel, settled (dcn_settle), for finding its cell. */
DCN_INLINE void dcn_settled_shift(const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b,
                                  int k, DCN_PRIVATE float *x, DCN_PRIVATE float *y) {
    dcn_shift(offset_mask, b->offsets, k, x, y);
    *x = dcn_settle(*x, DCN_MIDDLE_X(b)), *y = dcn_settle(*y, DCN_MIDDLE_Y(b));
}

/* Where cells of a block begin, from the middle of its kernel: the range on each axis (cells.inl). */
#define DCN_FIRST_X(b) DCN_FIRST_CELL(DCN_MIDDLE_X(b))
#define DCN_FIRST_Y(b) DCN_FIRST_CELL(DCN_MIDDLE_Y(b))
#define DCN_LAST_X(b, sizes) DCN_LAST_CELL(DCN_MIDDLE_X(b), (sizes)->width)
#define DCN_LAST_Y(b, sizes) DCN_LAST_CELL(DCN_MIDDLE_Y(b), (sizes)->height)

/* Index, in the batch, of the first pixel of the cell that begins at (first_x, first_y). */
DCN_INLINE dcn_index dcn_cell_at(const DCN_PRIVATE dcn_block *b, float first_x, float first_y,
                                 const DCN_PRIVATE dcn_sizes *sizes) {
    return dcn_cell_pixel(first_x, first_y, DCN_MIDDLE_X(b), DCN_MIDDLE_Y(b), b->n, sizes->height, sizes->width);
}
