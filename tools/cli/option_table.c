#include "option_table.h"

#define ON(command) (1u << DCNV4I_##command)

enum {
    INFO = ON(INFO),
    FORWARD = ON(FORWARD),
    BACKWARD = ON(BACKWARD),
    CHECK = ON(CHECK),
    BENCH = ON(BENCH),
    PLOT = ON(PLOT),
    COMPILE = ON(COMPILE),
    TUNE = ON(TUNE),
    TIMES = BENCH | TUNE, /* commands that run a list of problems */
    PASSES = FORWARD | BACKWARD,
    LAYERS = PASSES | PLOT,                      /* commands that need tensors */
    PROBLEMS = LAYERS | CHECK | TIMES | COMPILE, /* commands that take PROBLEM */
};

#define WITH(operator) .operators = 1u << DCNV4I_##operator
#define CONV WITH(DEFORM_CONV)
#define ATTN WITH(MS_DEFORM_ATTN)

const dcnv4i_choice dcnv4i_operator_choices[] = {
#define DCNV4I_TASK(NAME, object, word, title) {word, DCNV4I_##NAME},
#include "operator_list.def"
#undef DCNV4I_TASK
    {NULL, 0},
};

const char *const dcnv4i_operator_titles[DCNV4I_OPERATORS] = {
#define DCNV4I_TASK(NAME, object, word, title) title,
#include "operator_list.def"
#undef DCNV4I_TASK
};

const dcnv4i_choice dcnv4i_dtype_choices[] = {
    {"f16", DCNV4_FLOAT16}, {"bf16", DCNV4_BFLOAT16}, {"f32", DCNV4_FLOAT32}, {"f64", DCNV4_FLOAT64}, {NULL, 0},
};

/* Of tensors that may be float32 beside others of 16 bits. */
static const dcnv4i_choice other_dtypes[] = {{"same", DCNV4_SAME_DTYPE}, {"f32", DCNV4_FLOAT32}, {NULL, 0}};

static const dcnv4i_choice units[] = {
    {"normalized", DCNV4_MSDA_NORMALIZED},
    {"places", DCNV4_MSDA_PLACES},
    {"offsets", DCNV4_MSDA_OFFSETS},
    {"box_offsets", DCNV4_MSDA_BOX_OFFSETS},
    {NULL, 0},
};

static const dcnv4i_choice passes[] = {
    {"forward", DCNV4_PASS_FORWARD},
    {"backward", DCNV4_PASS_BACKWARD},
    {"both", DCNV4I_BOTH_PASSES},
    {NULL, 0},
};

static const dcnv4i_choice formats[] = {
    {"table", DCNV4I_TABLE},
    {"json", DCNV4I_JSON},
    {"csv", DCNV4I_CSV},
    {NULL, 0},
};

static const dcnv4i_choice report_formats[] = {
    {"table", DCNV4I_TABLE},
    {"json", DCNV4I_JSON},
    {NULL, 0},
};

#define OPTION(kind_, field_, name_, argument_, ...) \
    {.name = name_,                                  \
     .argument = argument_,                          \
     .kind = DCNV4I_##kind_,                         \
     .field = offsetof(dcnv4i_settings, field_),     \
     __VA_ARGS__}
#define PROBLEM CONV, .commands = PROBLEMS, .problem = true
#define MSDA ATTN, .problem = true, .commands
#define COUNT .least = 1, .most = INT64_MAX

const dcnv4i_option dcnv4i_option_table[] = {
    OPTION(CHOICE, op, "--operator", "NAME", .commands = PROBLEMS, .choices = dcnv4i_operator_choices,
           .standard = "dcnv4",
           .help = "dcnv4, or msda: multi-scale deformable attention; --operator NAME --help lists "
                   "the options of each"),
    OPTION(TEXT, value, "--value", "V.npy", CONV, .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "the input feature map, [N, H, W, C]"),
    OPTION(TEXT, value, "--value", "V.npy", ATTN, .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "the feature maps of all levels, [N, S, M, D]; or [N, S, M·D] with --heads"),
    OPTION(TEXT, locations, "--locations", "L.npy", ATTN, .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "(X, Y) of each point, [N, Q, M, P, 2] or [N, Q, M, L, K, 2]; with --packed, [N, Q, M, 3·P]"),
    OPTION(TEXT, weights, "--weights", "W.npy", ATTN, .commands = LAYERS | CHECK,
           .help = "the weight of each point, [N, Q, M, P] or [N, Q, M, L, K]; left out with --packed"),
    OPTION(TEXT, references, "--references", "R.npy", ATTN, .commands = LAYERS | CHECK,
           .help = "with --unit offsets, reference points, [N, Q, R, 2], R being 1 or the number of levels; with "
                   "box_offsets, boxes, [N, Q, R, 4]"),
    OPTION(TEXT, offset_mask, "--offset-mask", "OM.npy", CONV, .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "offsets and weights, [N, Ho, Wo, P] with P ≥ 3·G·K"),
    OPTION(TEXT, grad_output, "--grad-output", "GO.npy", CONV, .commands = BACKWARD, .needed = BACKWARD,
           .help = "the gradient by output, [N, Ho, Wo, C]"),
    OPTION(TEXT, grad_output, "--grad-output", "GO.npy", ATTN, .commands = BACKWARD, .needed = BACKWARD,
           .help = "the gradient by output, [N, Q, M·D] or [N, Q, M, D]"),
    OPTION(TEXT, output, "--output", "O.npy", CONV, .commands = FORWARD, .needed = FORWARD,
           .help = "where to write the output, [N, Ho, Wo, C]"),
    OPTION(TEXT, output, "--output", "O.npy", ATTN, .commands = FORWARD, .needed = FORWARD,
           .help = "where to write the output, [N, Q, M·D]"),
    OPTION(TEXT, grad_value, "--grad-value", "GV.npy", .commands = BACKWARD, .needed = BACKWARD,
           .help = "where to write the gradient by value"),
    OPTION(TEXT, grad_offset_mask, "--grad-offset-mask", "GOM.npy", CONV, .commands = BACKWARD, .needed = BACKWARD,
           .help = "where to write the gradient by offset_mask"),
    OPTION(TEXT, grad_locations, "--grad-locations", "GL.npy", ATTN, .commands = BACKWARD, .needed = BACKWARD,
           .help = "where to write the gradient by locations; with --packed, by weights too"),
    OPTION(TEXT, grad_weights, "--grad-weights", "GW.npy", ATTN, .commands = BACKWARD,
           .help = "where to write the gradient by weights; left out with --packed"),
    OPTION(TEXT, grad_references, "--grad-references", "GR.npy", ATTN, .commands = BACKWARD,
           .help = "where to write the gradient by references, where there are any"),
    OPTION(TEXT, image, "--image", "I.png", .commands = PLOT,
           .help = "the picture to draw over, of any size; if left out, how large value is at each pixel"),
    OPTION(LIST, at, "--at", "Y,X…", CONV, .commands = PLOT, .needed = PLOT,
           .help = "the output pixels to draw: Y,X pairs with spaces or semicolons between them; may be repeated"),
    OPTION(LIST, at, "--at", "Y,X…", ATTN, .commands = PLOT,
           .help = "pixels of the picture, Y,X pairs with spaces or semicolons between them: for each, the query whose "
                   "points lie around it is drawn; may be repeated"),
    OPTION(LIST, queries_drawn, "--query", "Q…", ATTN, .commands = PLOT,
           .help = "the queries to draw, by number from 0 on, with spaces or commas between them; may be repeated"),
    OPTION(TEXT, output, "--output", "P.png", .commands = PLOT, .needed = PLOT, .help = "where to write the picture"),

    OPTION(LIST, targets, "--target", "NAME", .commands = COMPILE, .needed = COMPILE,
           .help = "what to compile for: an NVIDIA architecture (sm_75 to sm_121) or an AMD one (gfx906, gfx90a, "
                   "gfx942, gfx1030, gfx1100, gfx1201, …), without a device, or a device that is present, such as "
                   "opencl:0; may be repeated, or a list with commas"),
    OPTION(TEXT, output, "--output", "DIR", .commands = COMPILE, .needed = COMPILE,
           .help = "the folder to fill, which is made if it is not there; a program finds it by DCNV4_CACHE_DIR"),

    OPTION(LIST, presets, "--preset", "NAME", CONV, .commands = TIMES, .describes = true,
           .help = "the problems to run: paper, detection, flash_internimage_t, _s, _b, _l or small; may be "
                   "repeated, or a list with commas; small if neither this nor --size is given"),
    OPTION(
        LIST, presets, "--preset", "NAME", ATTN, .commands = TIMES | CHECK | COMPILE, .describes = true,
        .help = "layers to run: deformable_detr, dino, rt_detr, mask2former, bevformer or d_fine, encoder and decoder "
                "where the model has both; may be repeated, or a list with commas"),
    OPTION(TRIPLE, size, "--size", "NxHxW", CONV, .commands = TIMES, .describes = true, COUNT,
           .help = "one problem of this batch, height and width, with --groups and --group-channels"),

    OPTION(NUMBER, group_channels, "--group-channels", "D", CONV, .commands = TIMES | COMPILE, .needed = COMPILE,
           .problem = true, COUNT, .help = "channels of one group"),
    OPTION(NUMBER, groups, "--groups", "G", PROBLEM, .needed = LAYERS | COMPILE, COUNT,
           .help = "groups; the channels of value are G·D"),
    OPTION(PAIR, kernel, "--kernel", "K|KHxKW", PROBLEM, .standard = "3", COUNT, .help = "kernel size, height first"),
    OPTION(PAIR, stride, "--stride", "S|SHxSW", PROBLEM, .standard = "1", COUNT, .help = "stride"),
    OPTION(PAIR, pad, "--pad", "P|PHxPW", PROBLEM, .standard = "1", .least = 0, .most = INT64_MAX,
           .help = "padding on each side"),
    OPTION(PAIR, dilation, "--dilation", "L|LHxLW", PROBLEM, .standard = "1", COUNT, .help = "dilation"),
    OPTION(REAL, offset_scale, "--offset-scale", "F", PROBLEM, .standard = "1",
           .help = "stretches the kernel grid and the offsets"),
    OPTION(FLAG, remove_center, "--remove-center", NULL, PROBLEM, .help = "leave the kernel's centre point out"),
    OPTION(FLAG, softmax, "--softmax", NULL, PROBLEM, .help = "softmax the weights of each group first"),

    OPTION(PAIRS, levels, "--levels", "HxW,…", MSDA = PROBLEMS, .least = 0, .most = INT64_MAX,
           .help = "height and width of each level, such as 100x134,50x67"),
    OPTION(NUMBERS, starts, "--starts", "S,…", MSDA = PROBLEMS, .least = 0, .most = INT64_MAX,
           .help = "the place of value at which each level begins; one after the other if left out"),
    OPTION(TEXT, spatial_shapes, "--spatial-shapes", "SS.npy", MSDA = LAYERS | CHECK,
           .help = "instead of --levels: their heights and widths as int64, [L, 2]"),
    OPTION(TEXT, level_start_index, "--level-start-index", "LS.npy", MSDA = LAYERS | CHECK,
           .help = "instead of --starts: as int64, [L]"),
    OPTION(NUMBERS, points, "--points", "K|K,…", MSDA = PROBLEMS, .least = 0, .most = INT64_MAX,
           .help = "points of a head in each level: one number for all, or one for each; if left out, those of the "
                   "files, as many in each level"),
    OPTION(NUMBER, heads, "--heads", "M", MSDA = PROBLEMS, COUNT, .help = "heads; those of the files if left out"),
    OPTION(NUMBER, head_channels, "--head-channels", "D", MSDA = TIMES | COMPILE, COUNT, .help = "channels of a head"),
    OPTION(NUMBER, queries, "--queries", "Q", MSDA = TIMES, COUNT,
           .help = "queries; as many as places if left out, as in an encoder"),
    OPTION(NUMBER, batch, "--batch", "N", MSDA = TIMES, .standard = "1", COUNT, .help = "the batch"),
    OPTION(FLAG, softmax, "--softmax", NULL, MSDA = PROBLEMS,
           .help = "softmax the weights of each head first, all levels together"),
    OPTION(FLAG, packed, "--packed", NULL, MSDA = PROBLEMS,
           .help = "locations has, for each head, P pairs and then P weights, as in FlashDeformAttn"),
    OPTION(
        CHOICE, location_unit, "--unit", "U", MSDA = PROBLEMS, .standard = "normalized", .choices = units,
        .help = "what a location is: normalized, 0 and 1 being the outer edges of a level; places, the centre of the "
                "first place of a level being 0; offsets, in places from a reference point; or box_offsets, in parts "
                "of a reference box"),
    OPTION(REAL, box_scale, "--box-scale", "F", MSDA = PROBLEMS, .standard = "0.5",
           .help = "with box_offsets: by what offsets are multiplied, beside the box's size and 1/K"),
    OPTION(NUMBER, reference_levels, "--reference-levels", "R", MSDA = TIMES | COMPILE, .standard = "1", COUNT,
           .help = "references of a query: 1 for all levels, or one for each"),
    OPTION(FLAG, levels_in_buffers, "--levels-in-buffers", NULL, MSDA = PASSES | CHECK | TIMES | COMPILE,
           .help = "let the device read the levels' sizes and starts from its memory in every run"),
    OPTION(CHOICE, location_dtype, "--location-dtype", "T", MSDA = PASSES | CHECK | TIMES | COMPILE,
           .choices = other_dtypes, .standard = "same",
           .help = "f32: locations and their gradient are float32 beside f16 or bf16; same: they have the dtype of the "
                   "others"),
    OPTION(CHOICE, weight_dtype, "--weight-dtype", "T", MSDA = PASSES | CHECK | TIMES | COMPILE,
           .choices = other_dtypes, .standard = "same", .help = "likewise for weights and their gradient"),
    OPTION(CHOICE, reference_dtype, "--reference-dtype", "T", MSDA = PASSES | CHECK | TIMES | COMPILE,
           .choices = other_dtypes, .standard = "same", .help = "likewise for references and their gradient"),

    OPTION(TEXT, device, "--device", "D", .commands = PASSES, .standard = "auto",
           .help = "the device, by a name that dcnv4 info prints"),
    OPTION(LIST, devices, "--device", "D|all", .commands = CHECK,
           .help = "the device, or all; may be repeated, or a list with commas; all if left out"),
    OPTION(LIST, devices, "--device", "D|all", .commands = BENCH,
           .help = "the device, such as cpu or cpu:portable, or all, which leaves out the reference; may be "
                   "repeated, or a list with commas, to compare; auto if left out"),
    OPTION(LIST, devices, "--device", "D|all", .commands = TUNE,
           .help = "the device, or all that compile their kernels; may be repeated, or a list with commas; auto if "
                   "left out"),
    OPTION(CHOICE, dtype, "--dtype", "T", .commands = PASSES, .choices = dcnv4i_dtype_choices,
           .help = "f16, bf16, f32 or f64: what to convert the inputs to; results have it too, those of bf16 are "
                   "written as float32; the dtype of the inputs if left out"),
    OPTION(CHOICE, dtype, "--dtype", "T", .commands = CHECK, .choices = dcnv4i_dtype_choices,
           .help = "f16, bf16, f32 or f64; if left out, the dtype of the tensors or, for random problems, each that "
                   "the device has"),
    OPTION(CHOICE, dtype, "--dtype", "T", .commands = BENCH, .choices = dcnv4i_dtype_choices, .standard = "f32",
           .help = "f16, bf16, f32 or f64"),
    OPTION(CHOICE, dtype, "--dtype", "T", .commands = COMPILE | TUNE, .choices = dcnv4i_dtype_choices,
           .standard = "f32", .help = "f16, bf16 or f32"),
    OPTION(
        CHOICE, offset_mask_dtype, "--offset-mask-dtype", "T", CONV, .commands = PASSES | CHECK | TIMES | COMPILE,
        .describes = true, .choices = other_dtypes, .standard = "same",
        .help = "f32: offset_mask and its gradient are float32 beside f16 or bf16, so that offsets are not rounded to "
                "16 bits; same: they have the dtype of the others"),
    OPTION(NUMBER, threads, "--threads", "N", .commands = PASSES | CHECK | BENCH, .least = 1, .most = 1024,
           .help = "threads of the cpu, 1 to 1024; as many as there are if left out"),
    OPTION(NUMBER, cases, "--cases", "N", .commands = CHECK, .standard = "100", .least = 1, .most = 100000000,
           .help = "how many random problems"),
    OPTION(NUMBER, seed, "--seed", "S", .commands = CHECK, .standard = "1", .least = 0, .most = INT64_MAX - 100000000,
           .help = "where the random numbers begin; case i of seed S is case 1 of seed S + i − 1"),
    OPTION(CHOICE, pass, "--pass", "WHICH", .commands = TIMES, .standard = "both", .choices = passes,
           .help = "forward, backward or both"),
    OPTION(REAL, spread, "--spread", "F", CONV, .commands = TIMES, .standard = "1", .describes = true,
           .help = "standard deviation of the offsets, in pixels"),
    OPTION(REAL, spread, "--spread", "F", ATTN, .commands = TIMES | CHECK, .standard = "2", .describes = true,
           .help = "standard deviation of a point's distance from its query's place, in places"),
    OPTION(NUMBER, runs, "--runs", "N", .commands = BENCH, .least = 1, .most = 1000000,
           .help = "timed runs of each; as many as fit into half a second, 5 to 100, if left out; 3 with --scan"),
    OPTION(NUMBER, runs, "--runs", "N", .commands = TUNE, .least = 5, .most = 1000000,
           .help = "timed rounds, 5 or more; as many as fit into two seconds, 9 to 100, if left out"),
    OPTION(NUMBER, seed, "--seed", "S", .commands = TIMES, .standard = "1", .least = 0, .most = INT64_MAX,
           .help = "where the random numbers begin"),
    OPTION(CHOICE, format, "--format", "F", .commands = BENCH, .standard = "table", .choices = formats,
           .help = "table, json or csv"),
    OPTION(CHOICE, format, "--format", "F", .commands = COMPILE | TUNE, .standard = "table", .choices = report_formats,
           .help = "table or json"),
    OPTION(TEXT, output, "--output", "F", .commands = BENCH,
           .help = "write the results to this file instead of stdout"),
    OPTION(TEXT, plot, "--plot", "P.png|P.svg", .commands = BENCH,
           .help = "draw the times: as bars against the floor or, of a scan, over the values of each axis"),
    OPTION(FLAG, deterministic, "--deterministic", NULL, .commands = BENCH,
           .help = "let gradients have the same bits in every run"),
    OPTION(LIST, scan, "--scan", "AXIS|all", .commands = BENCH, .alone = "all",
           .help = "look for slow shapes: vary one property of a layer at a time, and report each problem that takes "
                   "over 1.5 times as long, per point and channel, as the faster of the two next to it on its axis, "
                   "with one thread unless --threads says more, and with both operators unless --operator names one; "
                   "--scan --list lists the axes; may be repeated, or a list with commas; all if no AXIS follows"),
    OPTION(FLAG, list, "--list", NULL, .commands = BENCH,
           .help = "print the problems, or the axes of a scan, instead of running them"),
    OPTION(FLAG, dry_run, "--dry-run", NULL, .commands = TUNE, .help = "keep nothing"),
    OPTION(FLAG, json, "--json", NULL, .commands = INFO, .help = "for programs"),
    {.name = NULL},
};

bool dcnv4i_option_taken(const dcnv4i_option *option, dcnv4i_command command, int64_t op) {
    return (option->commands >> command & 1) && (!option->operators || (option->operators >> op & 1));
}
