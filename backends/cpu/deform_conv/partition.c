#include "partition.h"
#include "../../../core/checked_math.h"
#include "../../../core/status.h"

#include <math.h>

#define min dcnv4i_min64
#define max dcnv4i_max64
#define ceil_div dcnv4i_ceil_div64
#define mul dcnv4i_saturating_mul64
#define add dcnv4i_saturating_add64

/* Costs are counted in multiply-adds, copies in reals. */
enum {
    /* What is worth waking a thread for: some 30 µs of one core. */
    WAKING_COST = 3 << 18,
    /* A task: small enough for threads to end together when one began late. */
    TASK_COST = 1 << 18,
    /* The same where value is converted: bands are longer, since rows on both sides of them are converted too. */
    CONVERTED_TASK_COST = 1 << 24,
    /* Rows of value that are converted beyond those that the kernel's grid touches, for the offsets. Points that sample
     * rows further away take the exact path. */
    MARGIN = 4,
    /* A small copy of some channels of an image, 64 KiB of floats: it stays in the second-level cache beside all
     * other data of a task, and is small enough to make however small value is. */
    COPY_REALS = 1 << 14,
    /* A copy that stays in the first-level cache. */
    CACHED_COPY_REALS = 1 << 12
};

/* The cost of a row of output. */
static int64_t row_cost(const dcnv4i_conv_layer *layer) {
    return mul(layer->output_width, mul(layer->channels, max(4 * min(layer->points, 1 << 30), 1)));
}

int64_t dcnv4i_partition_halo(const dcnv4_problem *p) {
    const int64_t half = dcnv4i_half_span(p->kernel_h, p->dilation_h), rest = p->dilation_h * (p->kernel_h - 1) - half;
    const double halo = ceil(fabs(p->offset_scale) * (double)max(half, rest));
    return halo < 0x1p60 ? (int64_t)halo : isnan(halo) ? 0 : INT64_C(1) << 60;
}

/* Rows of value above and below a middle that points sample, unless their offsets are larger than MARGIN. */
static int64_t rows_around(const dcnv4i_conv_layer *layer) {
    return layer->halo + MARGIN;
}

/* A middle is from −2⁶² to the padded height. */
void dcnv4i_partition_input_rows(const dcnv4i_conv_layer *layer, int64_t first, int64_t last, int64_t *first_input,
                                 int64_t *last_input) {
    const dcnv4_problem *p = &layer->params;
    const int64_t half = dcnv4i_half_span(p->kernel_h, p->dilation_h), around = rows_around(layer);
    const int64_t first_middle = first * p->stride_h - p->pad_h + half;
    const int64_t last_middle = (last - 1) * p->stride_h - p->pad_h + half;
    *first_input = min(max(first_middle - around, 0), p->height);
    *last_input = last_middle > p->height - around - 2 ? p->height : last_middle + around + 2;
    *last_input = max(*last_input, *first_input);
}

/* The largest number of them that any band has. */
static int64_t max_input_rows(const dcnv4i_conv_layer *layer, const dcnv4i_partition *partition) {
    const dcnv4_problem *p = &layer->params;
    const int64_t rows = add(mul(partition->band_rows - 1, p->stride_h), 2 * rows_around(layer) + 2);
    return partition->whole ? p->height : min(rows, p->height);
}

static int64_t real_size(const dcnv4i_conv_layer *layer) {
    return layer->params.dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
}

static dcnv4_status set_scratch(const dcnv4i_conv_layer *layer, int64_t reals, dcnv4i_partition *partition) {
    const int64_t limit = (int64_t)(PTRDIFF_MAX / (1024 * sizeof(double))) - 64;
    if (reals > limit)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "the cpu needs more than %lld numbers of workspace, past what can be addressed",
                           (long long)limit);
    partition->scratch = ((size_t)reals * (size_t)real_size(layer) + 63) / 64 * 64;
    return DCNV4_SUCCESS;
}

/* How many threads are worth waking, including the caller's. */
static int workers_for(int64_t cost, int threads) {
    return (int)max(1, min(threads, cost / WAKING_COST));
}

/* ---- Forward ----------------------------------------------------------------------------------------------------- */

/* Whether forward works on copies of value that need no conversion. Pixels of many groups that are a large power of
 * two apart compete for few sets of the first-level cache. A copy does not pay where it does not stay there, with
 * few points for each pixel of value, or with too few groups for the threads. `copy` is that of one group. */
static bool forward_packs(const dcnv4i_conv_layer *layer, int64_t copy, int workers) {
    const dcnv4_problem *p = &layer->params;
    const int64_t points = mul(layer->output_pixels, layer->points);
    return p->groups > 1 && mul(p->value_stride, layer->image.item) % 1024 == 0 && copy <= CACHED_COPY_REALS &&
           points / 4 >= layer->value_pixels && mul(p->batch, p->groups) >= workers;
}

/* Whether a task has room for a converted copy of all rows, so that no point is too far away for it: if that of a group is no
 * larger than value, or small. Only the rows that are needed are converted. */
static bool has_room_for_all_rows(const dcnv4i_conv_layer *layer, int64_t copy) {
    const int64_t value = mul(layer->value_pixels, layer->channels);
    return copy <= max(mul(value, layer->image.item) / real_size(layer), COPY_REALS);
}

/* Slices and bands of a pass that works on copies of all rows: images, then groups are shared out; then rows, for
 * which every task has copies of its own. cost is that of a row. */
static void share_out_groups(const dcnv4i_conv_layer *layer, int64_t cost, dcnv4i_partition *partition) {
    const dcnv4_problem *p = &layer->params;
    const int64_t rows = layer->output_height;
    const int64_t packed = max(mul(cost / p->groups, mul(partition->packed_groups, rows)), 1);
    partition->slice_groups = min(p->groups, partition->packed_groups * max(1, TASK_COST / packed));
    const int64_t slices = mul(p->batch, ceil_div(p->groups, partition->slice_groups));
    const int64_t missing = ceil_div(partition->workers, max(slices, 1));
    partition->band_rows = max(1, ceil_div(rows, max(1, min(missing, packed / TASK_COST))));
}

static dcnv4_status partition_forward(const dcnv4i_conv_layer *layer, int threads, dcnv4i_partition *partition) {
    const dcnv4_problem *p = &layer->params;
    const bool converts = layer->converts;
    const int64_t cost = max(row_cost(layer), 1), rows = layer->output_height;
    partition->workers = workers_for(mul(cost, mul(p->batch, rows)), threads);
    const int64_t copy = mul(mul(p->height, p->width), p->group_channels);
    const bool packs = converts ? copy <= COPY_REALS : forward_packs(layer, copy, partition->workers);
    partition->slice_groups = partition->packed_groups = p->groups;
    partition->band_rows = max(1, min(rows, (converts ? CONVERTED_TASK_COST : TASK_COST) / cost));
    if (converts && partition->workers > 1)
        partition->band_rows = min(partition->band_rows,
                                   ceil_div(mul(p->batch, rows), 4 * (int64_t)partition->workers));
    if (packs || converts)
        partition->packed_groups = max(1, min(p->groups, DCNV4I_BOX_PIXELS / max(layer->output_width, 1)));
    if (packs)
        share_out_groups(layer, cost, partition);
    partition->slices = ceil_div(p->groups, partition->slice_groups);
    partition->bands = ceil_div(rows, partition->band_rows);
    partition->tasks = p->batch * partition->slices * partition->bands;
    partition->whole = packs || (converts && has_room_for_all_rows(layer, copy));
    if (!(packs || converts) || partition->tasks == 0)
        return DCNV4_SUCCESS;
    const int64_t pixels = mul(mul(max_input_rows(layer, partition), p->width), partition->packed_groups);
    return set_scratch(layer, mul(add(pixels, DCNV4I_BOX_PIXELS), p->group_channels), partition);
}

/* ---- Backward ---------------------------------------------------------------------------------------------------- */

/* Whether backward works on copies of value and grad_value, a group at a time. A single group's pixels are side by
 * side without one; but only in a copy are its channels whole vectors, whatever D is. Storing a part of a vector takes
 * ten times as long on some processors, and delays the load that follows on others. */
static bool backward_packs(const dcnv4i_conv_layer *layer) {
    return layer->converts || layer->params.groups > 1 || layer->packed_depth != layer->params.group_channels;
}

/* Keeps a copy of one group and its gradients no larger than value, had it whole vectors of channels. With 16-bit storage and fewer than four groups
 * that takes bands: a copy then has the band's rows and some on each side, and points that sample others take the
 * exact path. Where value is small, copies may be larger; and they have at least one row. */
static void limit_copy(const dcnv4i_conv_layer *layer, dcnv4i_partition *partition) {
    const dcnv4_problem *p = &layer->params;
    const int64_t value = mul(layer->value_pixels, mul(p->groups, layer->packed_depth));
    const int64_t allowed = max(mul(value, layer->image.item) / real_size(layer), COPY_REALS);
    const int64_t rows = max(1, allowed / max(1, mul(mul(2, p->width), layer->packed_depth)));
    if (rows >= p->height)
        return;
    partition->margin_rows = min(MARGIN, rows / 4);
    partition->bands = max(partition->bands, ceil_div(p->height, rows - 2 * partition->margin_rows));
}

static dcnv4_status partition_backward(const dcnv4i_conv_layer *layer, int threads, dcnv4i_partition *partition) {
    const dcnv4_problem *p = &layer->params;
    const int64_t cost = mul(mul(max(layer->output_height, 1), max(row_cost(layer), 1)), max(p->batch, 1));
    /* A few tasks for every thread, so that they end together, but none too small. Those of one image share out its
     * groups, which costs nothing; two at a time, since the gradients of neighbouring groups are in the same cache
     * lines. Where there are fewer groups than threads they share out its rows too, though each then has to read all
     * points. */
    partition->workers = workers_for(cost, threads);
    const int64_t wanted = partition->workers == 1 ? 1 : 4 * (int64_t)partition->workers;
    const int64_t wanted_slices = min(p->groups, ceil_div(wanted, max(p->batch, 1)));
    const int64_t alone = ceil_div(p->groups, max(wanted_slices, 1)), enough = partition->workers;
    partition->slice_groups = alone == 1 && mul(p->batch, p->groups / 2) >= enough ? 2 : alone;
    partition->slices = ceil_div(p->groups, partition->slice_groups);
    const int64_t missing = ceil_div(enough, max(mul(p->batch, partition->slices), 1));
    partition->bands = max(1, min(missing, p->height / 8));
    partition->margin_rows = p->height;
    if (backward_packs(layer))
        limit_copy(layer, partition);
    partition->tasks = p->batch * partition->slices * partition->bands;
    if (!backward_packs(layer) || partition->tasks == 0)
        return DCNV4_SUCCESS;
    const int64_t rows = min(p->height, add(ceil_div(p->height, partition->bands), mul(2, partition->margin_rows)));
    const int64_t pixels = add(mul(mul(2, rows), p->width), dcnv4i_copies_grad_output(layer) ? DCNV4I_BOX_PIXELS : 0);
    return set_scratch(layer, mul(pixels, layer->packed_depth), partition);
}

/* ---- Both -------------------------------------------------------------------------------------------------------- */

dcnv4_status dcnv4i_partition_make(const dcnv4i_conv_layer *layer, dcnv4_pass pass, int threads,
                                   dcnv4i_partition *partition) {
    *partition = (dcnv4i_partition){0};
    return (pass == DCNV4_PASS_FORWARD ? partition_forward : partition_backward)(layer, threads, partition);
}

size_t dcnv4i_partition_workspace(const dcnv4i_partition *partition) {
    return partition->scratch ? (size_t)min(partition->tasks, partition->workers) * partition->scratch + 63 : 0;
}

dcnv4i_conv_task dcnv4i_partition_task(const dcnv4i_conv_layer *layer, dcnv4_pass pass,
                                       const dcnv4i_partition *partition, int64_t number) {
    const dcnv4_problem *p = &layer->params;
    const int64_t band = number % partition->bands, slice = number / partition->bands % partition->slices;
    dcnv4i_conv_task task = {
        .image = number / partition->bands / partition->slices,
        .first_group = slice * partition->slice_groups,
        .last_group = min((slice + 1) * partition->slice_groups, p->groups),
        .last_input = p->height,
        .packed_groups = partition->packed_groups,
    };
    if (pass == DCNV4_PASS_FORWARD) {
        task.first_output = band * partition->band_rows;
        task.last_output = min(task.first_output + partition->band_rows, layer->output_height);
        if (layer->converts && !partition->whole)
            dcnv4i_partition_input_rows(layer, task.first_output, task.last_output, &task.first_input,
                                        &task.last_input);
    } else {
        const int64_t output_rows = ceil_div(layer->output_height, partition->bands),
                      rows = ceil_div(p->height, partition->bands);
        task.first_output = min(band * output_rows, layer->output_height);
        task.last_output = min(task.first_output + output_rows, layer->output_height);
        task.first_own = min(band * rows, p->height);
        task.last_own = min(task.first_own + rows, p->height);
        task.first_input = max(task.first_own - partition->margin_rows, 0);
        task.last_input = min(add(task.last_own, partition->margin_rows), p->height);
    }
    return task;
}
