/* What everything in sampling works on: a chunk of points, and blocks of channels. */

enum {
    POINTS = 256,              /* in a chunk: its arrays lie in the first-level cache */
    POINTS_ROOM = POINTS + 16, /* the last vector may end past the last point; each array begins with a cache line */
    VECTORS_ROOM = POINTS_ROOM / LANES
};

/* The extent of a chunk: the points of some pixels of some groups. A group is D channels that are sampled at points
 * of their own. Neighbouring pixels of one group follow each other, since they sample the same few rows: point k of
 * pixel i of group g is number (g·pixels + i)·points + k. */
typedef struct point_box {
    int64_t pixels, groups, points;
} point_box;

/* The pixel and the group of a box that a point is of. A chunk's numbers are small, and short divisions take less. */
typedef struct point_block {
    int64_t pixel, group;
} point_block;

static inline point_block block_of(const point_box *box, int64_t point) {
    const uint32_t pixels = (uint32_t)box->pixels, block = (uint32_t)point / (uint32_t)box->points;
    return (point_block){block % pixels, block / pixels};
}

typedef struct point_chunk {
    _Alignas(64) real weight[POINTS_ROOM];
    /* Positions, measured from the output pixel's middle: a column and a row of the image that the operator chooses,
     * such as where the kernel's centre is without offsets. Since that whole number is kept apart, a float has all
     * its bits for the fraction, however large the image is. */
    real x[POINTS_ROOM], y[POINTS_ROOM];
    real middle_x[POINTS_ROOM];       /* of the point's pixel, from first_middle_x on */
    real corners[4 * POINTS_ROOM];    /* quads of weight·bilinear weight, for the four pixels of the cell */
    point_index at[POINTS_ROOM];      /* the cell's upper left pixel, see vstore_index */
    point_index grad_at[POINTS_ROOM]; /* the same in the gradient of the image */
    int64_t first_middle_x, middle_y; /* middles: the first pixel's column, and the row of all */
    int64_t middle_step;              /* columns from one pixel's middle to the next one's */
    point_box box;
    bool inner[VECTORS_ROOM]; /* whether LANES points all have cells inside the image */
    bool complete;            /* whether every point has a cell */
} point_chunk;

/* Channels are processed in blocks of vectors: the kernels are compiled for each number of vectors, so that it is a
 * constant in them and sums stay in registers. */
typedef struct channel_block {
    int64_t first; /* channel */
    int vectors;   /* BLOCK, HALF_BLOCK or 1 */
    int part;      /* the number of channels, if they are less than one vector; else 0 */
    int channels;
} channel_block;

/* The block that begins at channel c of so many. */
static inline channel_block block_at(int64_t c, int64_t channels) {
    const int64_t left = channels - c;
    if (left < LANES)
        return (channel_block){c, 1, (int)left, (int)left};
    const int vectors = left >= BLOCK * LANES ? BLOCK : left >= HALF_BLOCK * LANES ? HALF_BLOCK : 1;
    return (channel_block){c, vectors, 0, vectors * LANES};
}

/* Of the functions for the kinds of block, whose names begin alike, the one for block b. */
#define CHOOSE(begin, b)                              \
    ((b).part                    ? NAME(begin##part)  \
     : (b).vectors == BLOCK      ? NAME(begin##block) \
     : (b).vectors == HALF_BLOCK ? NAME(begin##half)  \
                                 : NAME(begin##vector))

/* The one of 0 to count − 1 that is nearest to a; 0 if count is 0. */
static inline int64_t clamped(int64_t a, int64_t count) {
    return a < 0 || count <= 0 ? 0 : dcnv4i_min64(a, count - 1);
}

/* Rows that are needed soon, one for each pixel of a box: what the next box reads, or what this one will write. One is
 * prefetched with each pixel that is computed; all of them together would wait for each other. */
typedef struct row_stream {
    const char *row; /* of the first pixel; it may be invalid */
    int64_t step;    /* bytes */
    int64_t last;    /* the row's last byte */
} row_stream;

/* The first two cache lines of a row and its last one: all there is of the offsets and weights of nine points. There is
 * no loop, and no test for a row that is shorter: both cost more than what they save. It must be inlined: gcc drops calls of a
 * function that only prefetches (findings/gcc-drops-prefetches.sh). */
static ALWAYS_INLINE void prefetch_stream(const row_stream *stream, int64_t pixel) {
    enum { LINE = 64 };
    PREFETCH(stream->row, pixel, stream->step);
    PREFETCH((const char *)((uintptr_t)stream->row + LINE), pixel, stream->step);
    PREFETCH((const char *)((uintptr_t)stream->row + (uintptr_t)stream->last), pixel, stream->step);
}

/* Prefetches `reals` elements, rows_ahead rows of this stride ahead. The address may be invalid. */
static ALWAYS_INLINE void prefetch_reals(const real *row, int64_t rows_ahead, int64_t stride, const int reals) {
    for (int i = 0; i < reals; i += 64 / (int)sizeof(real))
        PREFETCH(row + i, rows_ahead, stride);
}
