/* Where the points of multi-scale deformable attention are: from rows of locations and weights to samples. A *block* is one head
 * of one query; it has P points and D channels. */

/* Locations and weights have dtypes of their own: that of value, or float32 beside 16 bits. */
#if DCN_LOCATION_DTYPE == DCN_DTYPE
typedef dcn_element attn_location_element;
#define ATTN_READ_LOCATION(tensor, at) dcn_read(tensor, at)
#define ATTN_WRITE_LOCATION(tensor, at, number) dcn_write(tensor, at, number)
#else
typedef float attn_location_element;
#define ATTN_READ_LOCATION(tensor, at) ((tensor)[at])
#define ATTN_WRITE_LOCATION(tensor, at, number) ((tensor)[at] = (number))
#endif
#if DCN_WEIGHT_DTYPE == DCN_DTYPE
typedef dcn_element attn_weight_element;
#define ATTN_READ_WEIGHT(tensor, at) dcn_read(tensor, at)
#define ATTN_WRITE_WEIGHT(tensor, at, number) dcn_write(tensor, at, number)
#else
typedef float attn_weight_element;
#define ATTN_READ_WEIGHT(tensor, at) ((tensor)[at])
#define ATTN_WRITE_WEIGHT(tensor, at, number) ((tensor)[at] = (number))
#endif

/* A level: an image within value. */
typedef struct attn_level {
    dcn_index height, width, start;
} attn_level;

/* The table has three numbers a level. */
DCN_INLINE attn_level attn_level_of(const DCN_GLOBAL dcn_long *levels, int number) {
    attn_level level;
    level.height = (dcn_index)levels[3 * number], level.width = (dcn_index)levels[3 * number + 1];
    level.start = (dcn_index)levels[3 * number + 2];
    return level;
}

typedef struct attn_block {
    dcn_index n, row, head; /* batch; number of the query among those of all batches */
    dcn_index locations, weights; /* elements of its first location and weight */
} attn_block;

/* Block `number`: heads vary fastest. */
DCN_INLINE attn_block attn_block_of(dcn_index number, dcn_index queries) {
    attn_block b;
    b.row = number / DCN_HEADS, b.head = number % DCN_HEADS;
    b.n = b.row / queries;
    b.locations = b.row * DCN_LOCATION_STRIDE + b.head * DCN_LOCATION_HEAD;
    b.weights = b.row * DCN_WEIGHT_STRIDE + b.head * DCN_WEIGHT_HEAD + DCN_WEIGHT_BEGIN;
    return b;
}

/* The largest raw weight of a block and Σ exp(raw − largest): the softmax is exp(raw − largest) / sum. Unused without softmax. */
typedef struct attn_softmax {
    float largest, sum;
} attn_softmax;

DCN_INLINE attn_softmax attn_softmax_of(const DCN_GLOBAL attn_weight_element *weights, const DCN_PRIVATE attn_block *b) {
    attn_softmax norm;
    norm.largest = -DCN_INFINITY, norm.sum = 0.0f;
#if DCN_SOFTMAX
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.largest = DCN_MAX(norm.largest, ATTN_READ_WEIGHT(weights, b->weights + k));
    for (int k = 0; k < DCN_POINTS; ++k)
        norm.sum += DCN_EXP(ATTN_READ_WEIGHT(weights, b->weights + k) - norm.largest);
#endif
    return norm;
}

DCN_INLINE float attn_weight_of(const DCN_GLOBAL attn_weight_element *weights, const DCN_PRIVATE attn_block *b, int k,
                                const DCN_PRIVATE attn_softmax *norm) {
    const float raw = ATTN_READ_WEIGHT(weights, b->weights + k);
#if DCN_SOFTMAX
    return DCN_EXP(raw - norm->largest) / norm->sum;
#else
    return raw;
#endif
}

/* Point k of a block, which is in this level. */
DCN_INLINE dcn_sample attn_sample_of(const DCN_GLOBAL attn_location_element *locations, const DCN_PRIVATE attn_block *b, int k,
                                     const DCN_PRIVATE attn_level *level) {
    const dcn_index at = b->locations + 2 * k;
    float x = ATTN_READ_LOCATION(locations, at), y = ATTN_READ_LOCATION(locations, at + 1);
#if DCN_NORMALIZED
    x = x * (float)level->width - 0.5f, y = y * (float)level->height - 0.5f;
#endif
    return dcn_locate(x, y, 0, 0, level->width, level->height);
}

/* Number of a sample's top left place in the batch of value. */
DCN_INLINE dcn_index attn_place_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE attn_block *b,
                                   const DCN_PRIVATE attn_level *level, dcn_index value_length) {
    return b->n * value_length + level->start + s->row * level->width + s->column;
}

/* Work-item number in a launch of DCN_FLAT_GROUP. */
#define ATTN_ITEM (DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID)
