/* Work-item to (query, head, channels): a work-group has DCN_BLOCKS neighbouring rows in one head, and DCN_LANES work-items have
 * the channels of one block (channels.inl). The lanes of a block share out its points and leave what they find in local memory,
 * DCN_ROUND_POINTS points at a time. */

#define DCN_WORK_GROUP (DCN_BLOCKS * DCN_LANES)
/* Distance between the staged points of neighbouring blocks: odd, so that these are in different banks. */
#define DCN_PITCH (DCN_ROUND_POINTS | 1)
#define ATTN_ROUNDS ((DCN_POINTS + DCN_ROUND_POINTS - 1) / DCN_ROUND_POINTS)

typedef struct attn_tile {
    dcn_index row, head, part; /* the first row; channel part */
} attn_tile;

/* Heads vary fastest: their rows of locations, weights and results are neighbours. */
DCN_INLINE attn_tile attn_tile_of(dcn_unsigned number, dcn_unsigned parts) {
    attn_tile t;
    t.head = number % DCN_HEADS, number /= DCN_HEADS;
    t.part = number % parts, t.row = number / parts * DCN_BLOCKS;
    return t;
}

/* Block `number` of a tile. The last tile may have fewer: the first row stands for those that do not exist. */
DCN_INLINE attn_block attn_tile_block(const DCN_PRIVATE attn_tile *t, int number, dcn_long batch, dcn_long queries,
                                      dcn_long by_queries) {
    const dcn_index row = t->row + number;
    return attn_block_of(row < batch * queries ? row : 0, t->head, queries, by_queries);
}

DCN_INLINE int attn_exists(const DCN_PRIVATE attn_tile *t, int number, dcn_long batch, dcn_long queries) {
    return t->row + number < batch * queries;
}

/* The softmax of a block whose points its lanes share out. `shares` has a number for each work-item; all of them call this,
 * and another barrier must follow before shares are written again. */
DCN_INLINE attn_softmax attn_shared_softmax(DCN_LOCAL float *shares, const DCN_GLOBAL attn_weight_element *weights,
                                            const DCN_PRIVATE attn_block *b) {
    attn_softmax norm;
    norm.largest = -DCN_INFINITY, norm.sum = 0.0f;
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES, first = item - lane;
    for (int k = lane; k < DCN_POINTS; k += DCN_LANES)
        norm.largest = DCN_MAX(norm.largest, ATTN_READ_WEIGHT(weights, b->weights + k));
    shares[item] = norm.largest;
    DCN_BARRIER();
    DCN_UNROLL
    for (int l = 0; l < DCN_LANES; ++l)
        norm.largest = DCN_MAX(norm.largest, shares[first + l]);
    DCN_BARRIER(); /* before shares are written again */
    float sum = 0.0f;
    for (int k = lane; k < DCN_POINTS; k += DCN_LANES)
        sum += DCN_EXP(ATTN_READ_WEIGHT(weights, b->weights + k) - norm.largest);
    shares[item] = sum;
    DCN_BARRIER();
    DCN_UNROLL
    for (int l = 0; l < DCN_LANES; ++l)
        norm.sum += shares[first + l];
    return norm;
}
