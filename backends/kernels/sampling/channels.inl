/* Which channels a work-item has. The D channels of a group (DCN_CHANNELS) are read in vectors of DCN_VECTOR
 * neighbours. DCN_LANES work-items, the *lanes*, share them: lane l has vector l, l + DCN_LANES, and so on, so that
 * neighbouring lanes read neighbouring addresses. Either a lane has all of its vectors (DCN_LANE_VECTORS), or, where
 * sums are kept in registers, at most DCN_VECTORS of them; the others are another work-group's *channel part*. */

/* Channels of a channel part, and the parts of a group. */
#define DCN_PART_CHANNELS (DCN_VECTOR * DCN_LANES * DCN_VECTORS)
#define DCN_CHANNEL_PARTS ((DCN_CHANNELS + DCN_PART_CHANNELS - 1) / DCN_PART_CHANNELS)
/* First channel of vector v of a lane, within its group; in the last part it may be past the group's end. */
#define DCN_CHANNEL(part, lane, v) ((((part) * DCN_VECTORS + (v)) * DCN_LANES + (lane)) * DCN_VECTOR)
#define DCN_HAS_CHANNEL(channel) (DCN_CHANNELS % DCN_PART_CHANNELS == 0 || (channel) < DCN_CHANNELS)

/* On CPUs D may be no multiple of DCN_VECTOR. The last vector then ends where the group does: DCN_OVERLAP of its channels
 * are also in the vector before, and are computed twice, which is faster than computing some one by one. */
#define DCN_OVERLAP (DCN_CHANNELS % DCN_VECTOR ? DCN_VECTOR - DCN_CHANNELS % DCN_VECTOR : 0)
#define DCN_OVERLAPS(channel, v) \
    (DCN_OVERLAP && (channel) + (v) * DCN_LANES * DCN_VECTOR + DCN_VECTOR > DCN_CHANNELS)
/* Elements from a lane's first channel, `channel`, to the first of its vector v. */
#define DCN_STEP(channel, v) ((v) * DCN_LANES * DCN_VECTOR - (DCN_OVERLAPS(channel, v) ? DCN_OVERLAP : 0))

/* Vectors of a lane that has all of them; some lanes may lack the last. */
#define DCN_LANE_VECTORS ((DCN_CHANNELS + DCN_VECTOR * DCN_LANES - 1) / (DCN_VECTOR * DCN_LANES))
#define DCN_LANE_TAIL (DCN_CHANNELS % (DCN_VECTOR * DCN_LANES) != 0)
/* Whether the lane whose first channel this is has vector v. */
#define DCN_HAS_VECTOR(channel, v) (!DCN_LANE_TAIL || (channel) + (v) * DCN_LANES * DCN_VECTOR < DCN_CHANNELS)

/* Vector v of a lane, with 0 in the channels that are also in the vector before: for sums over channels, and for what is added to
 * memory. */
DCN_INLINE dcn_vector dcn_once(dcn_vector a, dcn_index channel, int v) {
#if DCN_OVERLAP
    return DCN_OVERLAPS(channel, v) ? dcn_without_firsts(a, DCN_OVERLAP) : a;
#else
    return a;
#endif
}

/* The same of a tensor, where the lane's first channel is at `at`. */
DCN_INLINE dcn_vector dcn_load_once(const DCN_GLOBAL dcn_element *tensor, dcn_index at, dcn_index channel, int v) {
    return dcn_once(dcn_load(tensor, at + DCN_STEP(channel, v)), channel, v);
}
