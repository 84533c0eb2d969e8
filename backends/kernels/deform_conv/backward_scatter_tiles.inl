/* offset_mask, grad_output → grad_value, on GPUs: a work-group owns a tile of value in one group and gathers what
 * belongs there, so there are no atomic additions to global memory. The README says how.
 *
 * A *chunk* is DCN_CHUNK_H × DCN_CHUNK_W output pixels. A *hit* is a point whose cell has a pixel in the tile. Such
 * cells begin at most one pixel above or left of the tile, and are numbered from there. */

#define DCN_CELLS_W (DCN_TILE_W + 1)
#define DCN_CELLS (DCN_CELLS_W * (DCN_TILE_H + 1))
#define DCN_CHUNK_POINTS (DCN_CHUNK_H * DCN_CHUNK_W * DCN_POINTS)

/* Bounds of the points of a chunk: the rows and columns of value that they touch, inclusive; none if last < first. */
typedef struct dcn_bounds {
    dcn_index first_row, last_row, first_column, last_column;
} dcn_bounds;

DCN_INLINE dcn_index dcn_chunk_columns(const DCN_PRIVATE dcn_sizes *sizes) {
    return (sizes->output_width + DCN_CHUNK_W - 1) / DCN_CHUNK_W;
}

DCN_INLINE dcn_index dcn_chunks(const DCN_PRIVATE dcn_sizes *sizes) {
    return (sizes->output_height + DCN_CHUNK_H - 1) / DCN_CHUNK_H * dcn_chunk_columns(sizes);
}

/* The first output pixel of a chunk. */
typedef struct dcn_start {
    dcn_index oy, ox;
} dcn_start;

DCN_INLINE dcn_start dcn_chunk_start(dcn_index chunk, dcn_long by_chunk_columns, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index columns = dcn_chunk_columns(sizes), row = dcn_quotient(chunk, columns, by_chunk_columns);
    dcn_start start;
    start.oy = row * DCN_CHUNK_H, start.ox = (chunk - row * columns) * DCN_CHUNK_W;
    return start;
}

/* The bounds of each chunk, in each image and group: one work-group each. A reduction in local memory. */
DCN_KERNEL(dcn_backward_bounds, DCN_FLAT_GROUP)
(DCN_PARAMETERS(BOUNDS_TILES)) {
    offset_mask += offset_mask_at, bounds += bounds_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    DCN_LOCAL_ARRAY dcn_bounds found[DCN_FLAT_GROUP];
    const dcn_index chunks = dcn_chunks(&sizes);
    const dcn_unsigned image = dcn_quotient(DCN_GROUP_ID, chunks, by_chunks); /* of one group */
    const dcn_index n = image / DCN_GROUPS, group = image % DCN_GROUPS;
    const dcn_start start = dcn_chunk_start(DCN_GROUP_ID - image * chunks, by_chunk_columns, &sizes);
    const int item = DCN_LOCAL_ID;

    dcn_bounds own;
    own.first_row = DCN_INDEX_MAX, own.last_row = -1, own.first_column = DCN_INDEX_MAX, own.last_column = -1;
    for (int p = item; p < DCN_CHUNK_POINTS; p += DCN_FLAT_GROUP) {
        const int pixel = p / DCN_POINTS;
        const dcn_index oy = start.oy + pixel / DCN_CHUNK_W, ox = start.ox + pixel % DCN_CHUNK_W;
        if (oy < sizes.output_height && ox < sizes.output_width) {
            const dcn_block b = dcn_block_of(n, oy, ox, group, &sizes);
            const dcn_sample s = dcn_locate_point(offset_mask, &b, p % DCN_POINTS, &sizes);
            if (s.inside) {
                own.first_row = DCN_MIN_INDEX(own.first_row, s.row),
                own.last_row = DCN_MAX_INDEX(own.last_row, s.row + 1);
                own.first_column = DCN_MIN_INDEX(own.first_column, s.column);
                own.last_column = DCN_MAX_INDEX(own.last_column, s.column + 1);
            }
        }
    }
    found[item] = own;
    DCN_BARRIER();
    for (int apart = DCN_FLAT_GROUP / 2; apart > 0; apart /= 2) {
        if (item < apart) {
            const dcn_bounds other = found[item + apart];
            own.first_row = DCN_MIN_INDEX(own.first_row, other.first_row);
            own.last_row = DCN_MAX_INDEX(own.last_row, other.last_row);
            own.first_column = DCN_MIN_INDEX(own.first_column, other.first_column);
            own.last_column = DCN_MAX_INDEX(own.last_column, other.last_column);
            found[item] = own;
        }
        DCN_BARRIER();
    }
    if (item == 0) {
        bounds += 4 * DCN_GROUP_ID;
        bounds[0] = own.first_row, bounds[1] = own.last_row, bounds[2] = own.first_column, bounds[3] = own.last_column;
    }
}

/* A hit in order: its index, and the element of grad_output where its block begins, in one access. */
typedef struct DCN_ALIGN(2 * sizeof(dcn_index)) dcn_entry {
    dcn_index block, hit;
} dcn_entry;

/* What a work-group collects before it gathers: at most DCN_HITS hits, and the chunks that they come from. A hit's
 * *key* is its index among the points of these chunks; it fixes the order of additions. */
typedef struct dcn_hits {
    union {
        int keys[2][DCN_HITS];       /* each hit's key; and the keys by cell, unordered within a cell */
        dcn_entry entries[DCN_HITS]; /* by cell, and by key within a cell */
    } order;
    float weights[4][DCN_HITS]; /* of the cell's corners, times the mask; neighbouring hits are in different banks */
    dcn_index block[DCN_HITS];
    int cell[DCN_HITS];         /* bits 0–15: a hit's cell, bits 16–31: its rank there; later its position */
    int in_row[DCN_TILE_H + 1]; /* number of hits in each row of cells */
    int in_cell[DCN_CELLS];     /* number of hits in each cell */
    int begin[DCN_CELLS + 1];   /* position of a cell's first hit */
    int count;                  /* hits */
    int found;                  /* chunks whose bounds touch the tile */
    int chunk[DCN_WORK_GROUP];  /* these, within their span, in any order */
    dcn_index oy[DCN_WORK_GROUP], ox[DCN_WORK_GROUP]; /* first output pixel of each, in order */
} dcn_hits;

/* Each step recomputes the work-item's index to shorten its live range: what is derived from it would stay in
 * registers through all other steps. */

/* Finds the chunks of a span, DCN_WORK_GROUP of them from `span` on, whose bounds touch the tile. Returns how many. */
DCN_INLINE int dcn_find_chunks(DCN_LOCAL dcn_hits *hits, const DCN_GLOBAL dcn_index *bounds,
                               const DCN_PRIVATE dcn_tile *tile, dcn_index span, dcn_long by_chunk_columns,
                               const DCN_PRIVATE dcn_sizes *sizes) {
    const int item = DCN_LOCAL_ID_RECOMPUTED;
    const dcn_index chunks = dcn_chunks(sizes), chunk = span + item;
    if (item == 0)
        hits->found = 0;
    DCN_BARRIER();
    int touches = 0;
    if (chunk < chunks) {
        bounds += 4 * ((tile->n * DCN_GROUPS + tile->group) * chunks + chunk);
        touches = (bounds[0] < tile->oy + DCN_TILE_H) & (bounds[1] >= tile->oy) & (bounds[2] < tile->ox + DCN_TILE_W) &
                  (bounds[3] >= tile->ox);
    }
    if (touches)
        hits->chunk[dcn_increment(&hits->found)] = item;
    DCN_BARRIER();
    const int found = hits->found;
    if (touches) {
        int rank = 0;
        for (int i = 0; i < found; ++i)
            rank += hits->chunk[i] < item;
        const dcn_start start = dcn_chunk_start(chunk, by_chunk_columns, sizes);
        hits->oy[rank] = start.oy, hits->ox[rank] = start.ox;
    }
    DCN_BARRIER();
    return found;
}

/* Where a point lies among a tile's cells, if it is a hit. */
typedef struct dcn_landing {
    int hits, row, column;
    float fx, fy; /* where in the cell */
} dcn_landing;

DCN_INLINE dcn_landing dcn_land(const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_tile *tile, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_landing landing;
#if DCN_WIDE
    const dcn_sample s = dcn_locate_point(offset_mask, b, k, sizes);
    const dcn_index row = s.row - tile->oy + 1, column = s.column - tile->ox + 1;
    landing.hits = s.inside && (row >= 0) & (row <= DCN_TILE_H) & (column >= 0) & (column <= DCN_TILE_W);
    landing.fx = s.fx, landing.fy = s.fy;
#else
    /* The same in float32, which is exact near the tile. A point counts only if it is less than a pixel left of, or
     * above, the image. Points right of it or below need no test: the cells they hit have no pixel that is written. */
    const dcn_index middle_x = DCN_MIDDLE_X(b), middle_y = DCN_MIDDLE_Y(b);
    float x, y;
    dcn_shift(offset_mask, b->offsets, k, &x, &y);
    x = dcn_settle(x, middle_x), y = dcn_settle(y, middle_y);
    const float whole_x = DCN_FLOOR(x), whole_y = DCN_FLOOR(y);
    const float row = whole_y + (float)(middle_y - tile->oy + 1), column = whole_x + (float)(middle_x - tile->ox + 1);
    landing.hits = (row >= 0.0f) & (row <= DCN_TILE_H) & (column >= 0.0f) & (column <= DCN_TILE_W) &
                   (y > (float)(-1 - middle_y)) & (x > (float)(-1 - middle_x));
    landing.fx = x - whole_x, landing.fy = y - whole_y;
#endif
    landing.row = landing.hits ? (int)row : 0, landing.column = landing.hits ? (int)column : 0;
    return landing;
}

/* Tests point `key` of the chunks found, and adds it to the hits if it is one. */
DCN_INLINE void dcn_try_point(DCN_LOCAL dcn_hits *hits, const DCN_GLOBAL dcn_offset_element *offset_mask, int key,
                              const DCN_PRIVATE dcn_tile *tile, const DCN_PRIVATE dcn_sizes *sizes) {
    const int chunk = key / DCN_CHUNK_POINTS, pixel = key % DCN_CHUNK_POINTS / DCN_POINTS, k = key % DCN_POINTS;
    const dcn_index oy = hits->oy[chunk] + pixel / DCN_CHUNK_W, ox = hits->ox[chunk] + pixel % DCN_CHUNK_W;
    if (oy >= sizes->output_height || ox >= sizes->output_width)
        return;
    const dcn_block b = dcn_block_of(tile->n, oy, ox, tile->group, sizes);
    const dcn_landing landing = dcn_land(offset_mask, &b, k, tile, sizes);
    if (landing.hits) {
        const int cell = landing.row * DCN_CELLS_W + landing.column;
        const int hit = dcn_increment(&hits->count), before = dcn_increment(&hits->in_cell[cell]);
        const dcn_softmax norm = dcn_softmax_of(offset_mask, b.offsets);
        float weight[4];
        dcn_weights(landing.fx, landing.fy, dcn_mask_of(offset_mask, &b, k, &norm), weight);
        for (int c = 0; c < 4; ++c)
            hits->weights[c][hit] = weight[c];
        hits->block[hit] = b.pixel * DCN_GRAD_OUTPUT_STRIDE + b.group * DCN_CHANNELS;
        hits->order.keys[0][hit] = key;
        hits->cell[hit] = cell | before << 16;
    }
}

/* Sorts the hits by cell, and by key within a cell, so that additions have the same order in every run. A counting
 * sort: atomic counters gave positions within a cell in any order, so each hit then counts the smaller keys of its
 * cell. */
DCN_INLINE void dcn_order_hits(DCN_LOCAL dcn_hits *hits) {
    const int item = DCN_LOCAL_ID_RECOMPUTED, count = hits->count;
    for (int row = item; row <= DCN_TILE_H; row += DCN_WORK_GROUP) {
        int sum = 0;
        for (int c = 0; c < DCN_CELLS_W; ++c)
            sum += hits->in_cell[row * DCN_CELLS_W + c];
        hits->in_row[row] = sum;
    }
    DCN_BARRIER();
    for (int cell = item; cell <= DCN_CELLS; cell += DCN_WORK_GROUP) {
        const int row = cell / DCN_CELLS_W, column = cell % DCN_CELLS_W;
        int begin = 0;
        DCN_UNROLL /* constant trip counts, so that all loads are in flight */
            for (int r = 0; r <= DCN_TILE_H; ++r) begin += r < row ? hits->in_row[r] : 0;
        DCN_UNROLL
        for (int c = 0; c < DCN_CELLS_W; ++c)
            begin += c < column ? hits->in_cell[row * DCN_CELLS_W + c] : 0;
        hits->begin[cell] = begin;
    }
    DCN_BARRIER();
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP)
        hits->order.keys[1][hits->begin[hits->cell[hit] & 0xffff] + (hits->cell[hit] >> 16)] = hits->order.keys[0][hit];
    DCN_BARRIER();
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP) {
        const int cell = hits->cell[hit] & 0xffff, key = hits->order.keys[0][hit];
        const int begin = hits->begin[cell], end = hits->begin[cell + 1];
        int rank = begin;
        for (int i = begin; i < end; ++i)
            rank += hits->order.keys[1][i] < key;
        hits->cell[hit] = rank;
    }
    DCN_BARRIER(); /* before entries overwrite the keys */
    for (int hit = item; hit < count; hit += DCN_WORK_GROUP) {
        dcn_entry entry;
        entry.block = hits->block[hit], entry.hit = hit;
        hits->order.entries[hits->cell[hit]] = entry;
    }
    DCN_BARRIER();
}

/* Unrolled so that four loads are in flight. */
#if DCN_VECTORS > 1
#define DCN_UNROLL_HITS DCN_UNROLL_BY_2
#else
#define DCN_UNROLL_HITS DCN_UNROLL_BY_4
#endif

/* Adds weight·grad_output of all hits that have pixel (y, x) of the tile as a corner: the hits of four cells, which
 * are two ranges since neighbouring cells of a row are neighbours in the order. */
DCN_INLINE void dcn_gather_hits(DCN_PRIVATE dcn_vector *sum, const DCN_LOCAL dcn_hits *hits,
                                const DCN_GLOBAL dcn_element *grad_output, int y, int x, dcn_index channel) {
    DCN_UNROLL
    for (int lower = 0; lower < 2; ++lower) {
        const int cell = (y + lower) * DCN_CELLS_W + x;
        const int middle = hits->begin[cell + 1], end = hits->begin[cell + 2];
        DCN_UNROLL_HITS
        for (int i = hits->begin[cell]; i < end; ++i) {
            const dcn_entry entry = hits->order.entries[i];
            const DCN_GLOBAL dcn_element *const grad = grad_output + entry.block + channel;
            const float weight = hits->weights[(lower ? 0 : 2) + (i < middle)][entry.hit];
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
                    sum[v] = dcn_fma(weight, dcn_load(grad, v * DCN_LANES * DCN_VECTOR), sum[v]);
        }
    }
}

/* A work-group goes through the chunks whose bounds touch its tile, DCN_WORK_GROUP chunks (a span) at a time: it
 * collects hits, sorts them, and each work-item gathers those of its pixel. If the hits do not fit, this is
 * repeated. */
#if DCN_VECTORS > 1
DCN_KERNEL_WITH_REGISTERS(dcn_backward_scatter, DCN_WORK_GROUP, DCN_VECTORS > 2 ? 80 : 64)
#else
DCN_KERNEL(dcn_backward_scatter, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(SCATTER_TILES)) {
    offset_mask += offset_mask_at, grad_output += grad_output_at, grad_value += grad_value_at, bounds += bounds_at;
    DCN_LOCAL_ARRAY dcn_hits hits;
    dcn_sizes sizes, grid;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    grid = sizes, grid.output_height = height, grid.output_width = width; /* tiles are of value here */
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS, &grid);
    const int item = DCN_LOCAL_ID, y = item / DCN_LANES / DCN_TILE_W, x = item / DCN_LANES % DCN_TILE_W;
    const dcn_index channel = DCN_CHANNEL(tile.part, item % DCN_LANES, 0);
    dcn_vector sum[DCN_VECTORS];
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        sum[v] = dcn_zero();

    for (dcn_index span = 0; span < dcn_chunks(&sizes); span += DCN_WORK_GROUP) {
        const int points = DCN_CHUNK_POINTS * dcn_find_chunks(&hits, bounds, &tile, span, by_chunk_columns, &sizes);
        for (int next = 0; next < points;) {
            for (int cell = item; cell < DCN_CELLS; cell += DCN_WORK_GROUP)
                hits.in_cell[cell] = 0;
            if (item == 0)
                hits.count = 0;
            DCN_BARRIER();
            int count = 0;
            for (; next < points && count + DCN_WORK_GROUP <= DCN_HITS; next += DCN_WORK_GROUP) {
                if (next + item < points)
                    dcn_try_point(&hits, offset_mask, next + item, &tile, &sizes);
                DCN_BARRIER();
                count = hits.count;
                DCN_BARRIER(); /* before the next points are counted */
            }
            dcn_order_hits(&hits);
            dcn_gather_hits(sum, &hits, grad_output, y, x, channel);
        }
    }

    if (tile.oy + y < sizes.height && tile.ox + x < sizes.width) {
        const dcn_index pixel = (tile.n * sizes.height + tile.oy + y) * sizes.width + tile.ox + x;
        const dcn_index at = pixel * DCN_GRAD_VALUE_STRIDE + tile.group * DCN_CHANNELS + channel;
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
                dcn_store(grad_value, at + v * DCN_LANES * DCN_VECTOR, sum[v]);
    }
}
