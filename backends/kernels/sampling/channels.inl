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

/* Vectors of a lane that has all of them; some lanes may lack the last. */
#define DCN_LANE_VECTORS ((DCN_CHANNELS + DCN_VECTOR * DCN_LANES - 1) / (DCN_VECTOR * DCN_LANES))
#define DCN_LANE_TAIL (DCN_CHANNELS % (DCN_VECTOR * DCN_LANES) != 0)
/* Whether the lane whose first channel this is has vector v. */
#define DCN_HAS_VECTOR(channel, v) (!DCN_LANE_TAIL || (channel) + (v) * DCN_LANES * DCN_VECTOR < DCN_CHANNELS)
