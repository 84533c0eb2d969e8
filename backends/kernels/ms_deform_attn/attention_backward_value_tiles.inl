/* locations, weights, grad_output → grad_value, on GPUs, with the same bits in every run: a work-group owns a tile, DCN_BLOCKS
 * neighbouring places of one image in one head, whatever levels they are of, and gathers what belongs there. Gaps between levels
 * get their zeros so, and levels that overlap their sum.
 *
 * A *chunk* is DCN_CHUNK neighbouring queries of an image. A *hit* is a corner of a point that lies in the tile. A work-group goes
 * through the chunks that touch its tile, collects hits in local memory, sorts them by place, and by query and point within a
 * place, and each work-item adds up those of its place. If the hits do not fit, this is repeated. */

#define ATTN_TILE_PLACES DCN_BLOCKS

DCN_INLINE dcn_index attn_chunks(dcn_long queries) {
    return (dcn_index)((queries + DCN_CHUNK - 1) / DCN_CHUNK);
}

/* The first of a chunk's bounds, of which there are two: the first and last place that points in level l touch. */
DCN_INLINE dcn_index attn_bounds_at(dcn_index n, dcn_index head, int l, dcn_index chunk, dcn_long queries) {
    return 2 * (((n * DCN_HEADS + head) * DCN_LEVELS + l) * attn_chunks(queries) + chunk);
}

/* The bounds of each chunk: a work-item has those of one level. Bounds are a range of places, empty if last < first. */
DCN_KERNEL(attn_backward_bounds, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_BOUNDS)) {
    locations += locations_at, references += references_at, bounds += bounds_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at;
    const dcn_index item = ATTN_ITEM, chunks = attn_chunks(queries), chunk = item % chunks;
    const dcn_index l = item / chunks % DCN_LEVELS, head = item / chunks / DCN_LEVELS % DCN_HEADS;
    const dcn_index n = item / chunks / DCN_LEVELS / DCN_HEADS;
    if (n >= batch)
        return;
    const attn_level level = attn_level_of(level_shapes, level_starts, (int)l, value_length);
    const int begin = DCN_LEVEL_BEGIN((int)l), end = begin + DCN_LEVEL_POINTS((int)l);
    dcn_index first = DCN_INDEX_MAX, last = -1;
    for (dcn_index q = chunk * DCN_CHUNK; q < chunk * DCN_CHUNK + DCN_CHUNK && q < queries; ++q) {
        const attn_block b = attn_block_of(n * (dcn_index)queries + q, head, queries, by_queries);
        DCN_UNROLL_BY_4
        for (int k = begin; k < end; ++k) {
            const dcn_sample s = attn_sample_of(locations, references, &b, k, (int)l, &level);
            const dcn_index place = attn_place_within(&s, &level);
            DCN_UNROLL
            for (int c = 0; c < 4; ++c)
                if (s.inside >> c & 1) {
                    const dcn_index corner = place + (c & 1) + (c & 2 ? level.width : 0);
                    first = DCN_MIN_INDEX(first, corner), last = DCN_MAX_INDEX(last, corner);
                }
        }
    }
    const dcn_index at = attn_bounds_at(n, head, (int)l, chunk, queries);
    bounds[at] = first, bounds[at + 1] = last;
}

/* A hit in order: where its block's grad_output begins, and its weight. */
typedef struct DCN_ALIGN(2 * sizeof(dcn_index)) attn_entry {
    dcn_index block;
    float weight;
} attn_entry;

/* What a work-group collects before it adds up: at most DCN_HITS hits. A hit's *key* is its number among the corners of the chunks
 * found; it fixes the order of additions. */
typedef struct attn_hits {
    union {
        int keys[2][DCN_HITS];        /* each hit's key; and the keys by place, unordered within a place */
        attn_entry entries[DCN_HITS]; /* by place, and by key within a place */
    } order;
    float weight[DCN_HITS];
    dcn_index block[DCN_HITS];
    int place[DCN_HITS]; /* bits 0–15: a hit's place in the tile, bits 16–31: its rank there; later its position */
    int in_place[ATTN_TILE_PLACES];
    int begin[ATTN_TILE_PLACES + 1]; /* position of a place's first hit */
    int count;                       /* hits */
    int found;                       /* chunks that touch the tile */
    int chunk[DCN_WORK_GROUP];       /* these, within their span, in any order */
    dcn_index query[DCN_WORK_GROUP]; /* first query of each, in order */
} attn_hits;

typedef struct attn_owned {
    dcn_index n, head, part, first; /* the tile's first place in its image */
} attn_owned;

/* The tile of a work-group. Heads vary fastest. The last places come first: coarse levels, which are the last as a rule, have the
 * most hits a place. */
DCN_INLINE attn_owned attn_owned_of(dcn_unsigned number, dcn_long value_length) {
    const dcn_unsigned tiles = (dcn_unsigned)((value_length + ATTN_TILE_PLACES - 1) / ATTN_TILE_PLACES);
    attn_owned t;
    t.head = number % DCN_HEADS, number /= DCN_HEADS;
    t.part = number % DCN_CHANNEL_PARTS, number /= DCN_CHANNEL_PARTS;
    t.n = number / tiles, t.first = (tiles - 1 - number % tiles) * ATTN_TILE_PLACES;
    return t;
}

/* Finds the chunks of a span, DCN_WORK_GROUP of them from `span` on, that touch the tile in level l. Returns how many. */
DCN_INLINE int attn_find_chunks(DCN_LOCAL attn_hits *hits, const DCN_GLOBAL dcn_index *bounds,
                                const DCN_PRIVATE attn_owned *tile, int l, dcn_index span, dcn_long queries) {
    const int item = DCN_LOCAL_ID_RECOMPUTED;
    const dcn_index chunk = span + item;
    if (item == 0)
        hits->found = 0;
    DCN_BARRIER();
    int touches = 0;
    if (chunk < attn_chunks(queries)) {
        bounds += attn_bounds_at(tile->n, tile->head, l, chunk, queries);
        touches = (bounds[0] < tile->first + ATTN_TILE_PLACES) & (bounds[1] >= tile->first);
    }
    if (touches)
        hits->chunk[dcn_increment(&hits->found)] = item;
    DCN_BARRIER();
    const int found = hits->found;
    if (touches) {
        int rank = 0;
        for (int i = 0; i < found; ++i)
            rank += hits->chunk[i] < item;
        hits->query[rank] = chunk * DCN_CHUNK;
    }
    DCN_BARRIER();
    return found;
}

/* Tests point `number` of the chunks found, in level l, and adds its corners that lie in the tile to the hits. */
DCN_INLINE void attn_try_point(DCN_LOCAL attn_hits *hits, const DCN_GLOBAL attn_location_element *locations,
                               const DCN_GLOBAL attn_weight_element *weights,
                               const DCN_GLOBAL attn_reference_element *references, int number,
                               const DCN_PRIVATE attn_owned *tile, int l, const DCN_PRIVATE attn_level *level,
                               dcn_long queries, dcn_long by_queries) {
    const int each = DCN_CHUNK * DCN_LEVEL_POINTS(l), chunk = number / each, within = number % each;
    const dcn_index q = hits->query[chunk] + within / DCN_LEVEL_POINTS(l);
    const int k = DCN_LEVEL_BEGIN(l) + within % DCN_LEVEL_POINTS(l);
    if (q >= queries)
        return;
    const attn_block b = attn_block_of(tile->n * (dcn_index)queries + q, tile->head, queries, by_queries);
    const dcn_sample s = attn_sample_of(locations, references, &b, k, l, level);
    const dcn_index place = attn_place_within(&s, level) - tile->first;
    int lands = 0;
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        lands |= (s.inside >> c & 1 & dcn_within(place + (c & 1) + (c & 2 ? level->width : 0), ATTN_TILE_PLACES)) << c;
    if (!lands)
        return;
    const attn_softmax norm = attn_softmax_of(weights, &b);
    float corner[4];
    dcn_weights(s.fx, s.fy, attn_weight_of(weights, &b, k, &norm), corner);
    for (int c = 0; c < 4; ++c)
        if (lands >> c & 1) {
            const int at = (int)(place + (c & 1) + (c & 2 ? level->width : 0));
            const int hit = dcn_increment(&hits->count), before = dcn_increment(&hits->in_place[at]);
            hits->weight[hit] = corner[c];
            hits->block[hit] = b.row * DCN_GRAD_OUTPUT_STRIDE + b.head * DCN_CHANNELS;
            hits->order.keys[0][hit] = 4 * number + c;
            hits->place[hit] = at | before << 16;
        }
}

/* Sorts the hits by place, and by key within a place. A counting sort: atomic counters gave positions within a place in any order,
 * so each hit then counts the smaller keys of its place. */
DCN_INLINE void attn_order_hits(DCN_LOCAL attn_hits *hits) {
    const int item = DCN_LOCAL_ID_RECOMPUTED, count = hits->count;
    for (int place = item; place <= ATTN_TILE_PLACES; place += DCN_WORK_GROUP) {
        int begin = 0;
        DCN_UNROLL_BY_4
        for (int p = 0; p < place; ++p)
            begin += hits->in_place[p];
        hits->begin[place] = begin;
    }
    DCN_BARRIER();
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP)
        hits->order.keys[1][hits->begin[hits->place[hit] & 0xffff] + (hits->place[hit] >> 16)] = hits->order.keys[0][hit];
    DCN_BARRIER();
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP) {
        const int place = hits->place[hit] & 0xffff, key = hits->order.keys[0][hit];
        const int begin = hits->begin[place], end = hits->begin[place + 1];
        int rank = begin;
        for (int i = begin; i < end; ++i)
            rank += hits->order.keys[1][i] < key;
        hits->place[hit] = rank;
    }
    DCN_BARRIER(); /* before entries overwrite the keys */
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP) {
        attn_entry entry;
        entry.block = hits->block[hit], entry.weight = hits->weight[hit];
        hits->order.entries[hits->place[hit]] = entry;
    }
    DCN_BARRIER();
}

/* Unrolled so that four loads are in flight. */
#if DCN_VECTORS > 2
#define ATTN_UNROLL_HITS
#elif DCN_VECTORS > 1
#define ATTN_UNROLL_HITS DCN_UNROLL_BY_2
#else
#define ATTN_UNROLL_HITS DCN_UNROLL_BY_4
#endif

/* Adds weight·grad_output of all hits of a place. */
DCN_INLINE void attn_gather_hits(DCN_PRIVATE dcn_vector *sum, const DCN_LOCAL attn_hits *hits,
                                 const DCN_GLOBAL dcn_element *grad_output, int place, dcn_index channel) {
    const int end = hits->begin[place + 1];
    ATTN_UNROLL_HITS
    for (int i = hits->begin[place]; i < end; ++i) {
        const attn_entry entry = hits->order.entries[i];
        const DCN_GLOBAL dcn_element *const grad = grad_output + entry.block + channel;
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
                sum[v] = dcn_fma(entry.weight, dcn_load(grad, v * DCN_LANES * DCN_VECTOR), sum[v]);
    }
}

#if DCN_VECTORS > 1 && !DCN_WIDE
DCN_KERNEL_WITH_REGISTERS(attn_backward_value, DCN_WORK_GROUP, DCN_VECTORS > 2 ? 80 : 64)
#else
DCN_KERNEL(attn_backward_value, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(ATTN_TILES)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, references += references_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at, grad_value += grad_value_at, bounds += bounds_at;
    DCN_LOCAL_ARRAY attn_hits hits;
    const attn_owned tile = attn_owned_of(DCN_GROUP_ID, value_length);
    const int item = DCN_LOCAL_ID, own = item / DCN_LANES;
    const dcn_index channel = DCN_CHANNEL(tile.part, item % DCN_LANES, 0);
    dcn_vector sum[DCN_VECTORS];
    dcn_clear_sums(sum);
    DCN_UNROLL_NOT
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = attn_level_of(level_shapes, level_starts, l, value_length);
        if (level.start >= tile.first + ATTN_TILE_PLACES || level.start + level.height * level.width <= tile.first)
            continue;
        for (dcn_index span = 0; span < attn_chunks(queries); span += DCN_WORK_GROUP) {
            const int points = DCN_CHUNK * DCN_LEVEL_POINTS(l) * attn_find_chunks(&hits, bounds, &tile, l, span, queries);
            for (int next = 0; next < points;) {
                for (int place = item; place < ATTN_TILE_PLACES; place += DCN_WORK_GROUP)
                    hits.in_place[place] = 0;
                if (item == 0)
                    hits.count = 0;
                DCN_BARRIER();
                int count = 0;
                for (; next < points && count + 4 * DCN_WORK_GROUP <= DCN_HITS; next += DCN_WORK_GROUP) {
                    if (next + item < points)
                        attn_try_point(&hits, locations, weights, references, next + item, &tile, l, &level, queries,
                                       by_queries);
                    DCN_BARRIER();
                    count = hits.count;
                    DCN_BARRIER(); /* before the next points are counted */
                }
                attn_order_hits(&hits);
                /* No barrier after it: what is cleared before the next one was read before the last. */
                attn_gather_hits(sum, &hits, grad_output, own, channel);
            }
        }
    }
    if (tile.first + own < value_length) {
        const dcn_index place = tile.n * (dcn_index)value_length + tile.first + own;
        const dcn_index at = place * DCN_GRAD_VALUE_STRIDE + tile.head * DCN_CHANNELS + channel;
        dcn_store_sums(grad_value, at, sum, channel);
    }
}
