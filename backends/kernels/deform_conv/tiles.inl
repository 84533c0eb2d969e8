/* Work-item to (pixel, group, channels): a work-group has a tile of output pixels, with some groups of each, and
 * DCN_LANES work-items have the channels of one block (channels.inl). */

#define DCN_TILE_BLOCKS (DCN_TILE_H * DCN_TILE_W * DCN_TILE_GROUPS)
#define DCN_WORK_GROUP (DCN_RUN > 1 ? 1 : DCN_TILE_BLOCKS * DCN_LANES)
/* Distance between the staged points of neighbouring blocks: odd, so that these are in different banks. */
#define DCN_PITCH (DCN_ROUND_POINTS | 1)
/* Tiles that it takes to cover all groups. */
#define DCN_GROUP_TILES ((DCN_GROUPS + DCN_TILE_GROUPS - 1) / DCN_TILE_GROUPS)

typedef struct dcn_tile {
    dcn_index n, oy, ox; /* its first output pixel */
    dcn_index group;     /* its first group */
    dcn_index part;      /* its channel part */
} dcn_tile;

/* The tile of a work-group. Tile columns vary fastest, then tile rows, groups, channel parts, images; a tile is
 * within one image. */
DCN_INLINE dcn_tile dcn_tile_of(dcn_unsigned number, dcn_unsigned parts, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_unsigned columns = ((dcn_unsigned)sizes->output_width + DCN_TILE_W - 1) / DCN_TILE_W;
    const dcn_unsigned rows = ((dcn_unsigned)sizes->output_height + DCN_TILE_H - 1) / DCN_TILE_H;
    dcn_tile t;
    const dcn_unsigned row = dcn_quotient(number, columns, sizes->by_columns);
    const dcn_unsigned image = dcn_quotient(row, rows, sizes->by_rows); /* image × channel part × groups */
    t.ox = (number - row * columns) * DCN_TILE_W;
    t.oy = (row - image * rows) * DCN_TILE_H;
    number = image;
    t.group = number % DCN_GROUP_TILES * DCN_TILE_GROUPS, number /= DCN_GROUP_TILES;
    t.part = number % parts, t.n = number / parts;
    return t;
}

/* Block `number` of a tile, 0 ≤ number < DCN_TILE_BLOCKS: groups vary fastest, then columns, then rows. */
DCN_INLINE dcn_block dcn_tile_block(const DCN_PRIVATE dcn_tile *t, int number, const DCN_PRIVATE dcn_sizes *sizes) {
    const int pixel = number / DCN_TILE_GROUPS;
    return dcn_block_of(t->n, t->oy + pixel / DCN_TILE_W, t->ox + pixel % DCN_TILE_W,
                        t->group + number % DCN_TILE_GROUPS, sizes);
}

/* Whether a block exists: tiles may extend past the right and bottom edge, and past the last group. */
DCN_INLINE int dcn_exists(const DCN_PRIVATE dcn_block *b, const DCN_PRIVATE dcn_sizes *sizes) {
    return b->oy < sizes->output_height && b->ox < sizes->output_width && b->group < DCN_GROUPS;
}
