/* Where the points of multi-scale deformable attention are: from rows of locations and weights to samples. A *block* is one head
 * of one query; it has P points and D channels. A *row* is a query, numbered through all batches. */

/* Locations, weights and references have dtypes of their own: that of value, or float32 beside 16 bits. */
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
#if DCN_REFERENCE_DTYPE == DCN_DTYPE
typedef dcn_element attn_reference_element;
#define ATTN_READ_REFERENCE(tensor, at) dcn_read(tensor, at)
#define ATTN_WRITE_REFERENCE(tensor, at, number) dcn_write(tensor, at, number)
#else
typedef float attn_reference_element;
#define ATTN_READ_REFERENCE(tensor, at) ((tensor)[at])
#define ATTN_WRITE_REFERENCE(tensor, at, number) ((tensor)[at] = (number))
#endif

/* ---- Levels ------------------------------------------------------------------------------------------------------ */

/* A level: an image within value. `cells`: whether its points have cells (cells.inl). */
typedef struct attn_level {
    dcn_index height, width, start;
    int cells;
} attn_level;

/* Level l of the tables, which have [H, W] and the start of each. A level that stands out of value, as the caller's own tables
 * may say, has no places. */
DCN_INLINE attn_level attn_level_of(const DCN_GLOBAL dcn_long *shapes, const DCN_GLOBAL dcn_long *starts, int l,
                                    dcn_long value_length) {
    dcn_long height = shapes[2 * l], width = shapes[2 * l + 1], start = starts[DCN_STARTS_BEGIN + l];
#if DCN_LEVELS_IN_BUFFERS
    if (height <= 0 || width <= 0 || start < 0 || start > value_length || height > (value_length - start) / width)
        height = 0, width = 0, start = 0;
#endif
    attn_level level;
    level.height = (dcn_index)height, level.width = (dcn_index)width, level.start = (dcn_index)start;
    level.cells = DCN_HAS_CELLS(height, width) && height < DCN_EXACT && width < DCN_EXACT;
    return level;
}

/* Fills a work-group's table of levels; a barrier must follow. */
DCN_INLINE void attn_stage_levels(DCN_LOCAL attn_level *table, int item, int work_group, const DCN_GLOBAL dcn_long *shapes,
                                  const DCN_GLOBAL dcn_long *starts, dcn_long value_length) {
    for (int l = item; l < DCN_LEVELS; l += work_group)
        table[l] = attn_level_of(shapes, starts, l, value_length);
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

typedef struct attn_block {
    dcn_index n, row, head;       /* batch, query of all batches */
    dcn_index locations, weights; /* elements of its first location and weight */
} attn_block;

DCN_INLINE attn_block attn_block_of(dcn_index row, dcn_index head, dcn_long queries, dcn_long by_queries) {
    attn_block b;
    b.row = row, b.head = head;
    b.n = (dcn_index)dcn_quotient((dcn_unsigned)row, (dcn_unsigned)queries, by_queries);
    b.locations = row * DCN_LOCATION_STRIDE + head * DCN_LOCATION_HEAD;
    b.weights = row * DCN_WEIGHT_STRIDE + head * DCN_WEIGHT_HEAD + DCN_WEIGHT_BEGIN;
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

/* ---- Points ------------------------------------------------------------------------------------------------------ */

typedef struct attn_position {
    float x, y;
} attn_position;

/* The numbers of a row's reference for a level: (x, y), or a box (x, y, width, height). */
#define ATTN_REFERENCE_NUMBERS (DCN_UNIT == DCN_UNIT_BOX_OFFSETS ? 4 : 2)
#define ATTN_HAS_REFERENCES (DCN_UNIT == DCN_UNIT_OFFSETS || DCN_UNIT == DCN_UNIT_BOX_OFFSETS)
#define ATTN_REFERENCE_AT(row, l) \
    ((row) * DCN_REFERENCE_STRIDE + (DCN_REFERENCE_LEVELS == 1 ? 0 : (l)) * ATTN_REFERENCE_NUMBERS)
/* Parts of a box that an offset of 1 is, in level l. */
#define ATTN_BOX_PARTS(l) (DCN_BOX_SCALE / (float)DCN_LEVEL_POINTS(l))

/* How far a point moves, in places of its level, where its location grows by 1. */
DCN_INLINE attn_position attn_units(const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b, int l,
                                    const DCN_PRIVATE attn_level *level) {
    attn_position unit;
    unit.x = 1.0f, unit.y = 1.0f;
#if DCN_UNIT == DCN_UNIT_NORMALIZED
    unit.x = (float)level->width, unit.y = (float)level->height;
#elif DCN_UNIT == DCN_UNIT_BOX_OFFSETS
    const dcn_index at = ATTN_REFERENCE_AT(b->row, l);
    unit.x = ATTN_READ_REFERENCE(references, at + 2) * ATTN_BOX_PARTS(l) * (float)level->width;
    unit.y = ATTN_READ_REFERENCE(references, at + 3) * ATTN_BOX_PARTS(l) * (float)level->height;
#endif
    return unit;
}

/* Where point k of a block, which is in level l, is in that level. */
DCN_INLINE attn_position attn_position_of(const DCN_GLOBAL attn_location_element *locations,
                                          const DCN_GLOBAL attn_reference_element *references,
                                          const DCN_PRIVATE attn_block *b, int k, int l,
                                          const DCN_PRIVATE attn_level *level) {
    const dcn_index at = b->locations + 2 * k;
    const float x = ATTN_READ_LOCATION(locations, at), y = ATTN_READ_LOCATION(locations, at + 1);
    const float width = (float)level->width, height = (float)level->height;
    attn_position p;
#if DCN_UNIT == DCN_UNIT_NORMALIZED
    p.x = x * width - 0.5f, p.y = y * height - 0.5f;
#elif DCN_UNIT == DCN_UNIT_PLACES
    p.x = x, p.y = y;
#else
    const dcn_index from = ATTN_REFERENCE_AT(b->row, l);
    const float middle_x = ATTN_READ_REFERENCE(references, from), middle_y = ATTN_READ_REFERENCE(references, from + 1);
#if DCN_UNIT == DCN_UNIT_OFFSETS
    p.x = middle_x * width - 0.5f + x, p.y = middle_y * height - 0.5f + y;
#else
    const float parts = ATTN_BOX_PARTS(l);
    p.x = (middle_x + x * ATTN_READ_REFERENCE(references, from + 2) * parts) * width - 0.5f;
    p.y = (middle_y + y * ATTN_READ_REFERENCE(references, from + 3) * parts) * height - 0.5f;
#endif
#endif
    return p;
}

/* The same as a sample without its weight. */
DCN_INLINE dcn_sample attn_sample_of(const DCN_GLOBAL attn_location_element *locations,
                                     const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b,
                                     int k, int l, const DCN_PRIVATE attn_level *level) {
    const attn_position p = attn_position_of(locations, references, b, k, l, level);
    return dcn_locate(p.x, p.y, 0, 0, level->width, level->height);
}

/* Number of a sample's top left place in its image of value; the level's first place if it does not count. */
DCN_INLINE dcn_index attn_place_within(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE attn_level *level) {
    return level->start + s->row * level->width + s->column;
}

/* The same in the batch. */
DCN_INLINE dcn_index attn_place_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE attn_block *b,
                                   const DCN_PRIVATE attn_level *level, dcn_long value_length) {
    return b->n * (dcn_index)value_length + attn_place_within(s, level);
}

/* Work-item number in a launch of DCN_FLAT_GROUP. */
#define ATTN_ITEM (DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID)
