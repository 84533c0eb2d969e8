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

const dcnv4i_choice dcnv4i_dtype_choices[] = {
    {"f16", DCNV4_FLOAT16}, {"bf16", DCNV4_BFLOAT16}, {"f32", DCNV4_FLOAT32}, {"f64", DCNV4_FLOAT64}, {NULL, 0},
};

static const dcnv4i_choice offset_mask_dtypes[] = {{"same", DCNV4_SAME_DTYPE}, {"f32", DCNV4_FLOAT32}, {NULL, 0}};

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
#define PROBLEM .commands = PROBLEMS, .problem = true
#define COUNT .least = 1, .most = INT64_MAX

const dcnv4i_option dcnv4i_option_table[] = {
    OPTION(TEXT, value, "--value", "V.npy", .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "the input feature map, [N, H, W, C]"),
    OPTION(TEXT, offset_mask, "--offset-mask", "OM.npy", .commands = LAYERS | CHECK, .needed = LAYERS,
           .help = "offsets and weights, [N, Ho, Wo, P] with P ≥ 3·G·K"),
    OPTION(TEXT, grad_output, "--grad-output", "GO.npy", .commands = BACKWARD, .needed = BACKWARD,
           .help = "the gradient by output, [N, Ho, Wo, C]"),
    OPTION(TEXT, output, "--output", "O.npy", .commands = FORWARD, .needed = FORWARD,
           .help = "where to write the output, [N, Ho, Wo, C]"),
    OPTION(TEXT, grad_value, "--grad-value", "GV.npy", .commands = BACKWARD, .needed = BACKWARD,
           .help = "where to write the gradient by value"),
    OPTION(TEXT, grad_offset_mask, "--grad-offset-mask", "GOM.npy", .commands = BACKWARD, .needed = BACKWARD,
           .help = "where to write the gradient by offset_mask"),
    OPTION(TEXT, image, "--image", "I.png", .commands = PLOT,
           .help = "the picture to draw over, of any size; if left out, how large value is at each pixel"),
    OPTION(LIST, at, "--at", "Y,X…", .commands = PLOT, .needed = PLOT,
           .help = "the output pixels to draw: Y,X pairs with spaces or semicolons between them; may be repeated"),
    OPTION(TEXT, output, "--output", "P.png", .commands = PLOT, .needed = PLOT, .help = "where to write the picture"),

    OPTION(LIST, targets, "--target", "NAME", .commands = COMPILE, .needed = COMPILE,
           .help = "what to compile for: an NVIDIA architecture (sm_75 to sm_121) or an AMD one (gfx906, gfx90a, "
                   "gfx942, gfx1030, gfx1100, gfx1201, …), without a device, or a device that is present, such as "
                   "opencl:0; may be repeated, or a list with commas"),
    OPTION(TEXT, output, "--output", "DIR", .commands = COMPILE, .needed = COMPILE,
           .help = "the folder to fill, which is made if it is not there; a program finds it by DCNV4_CACHE_DIR"),

    OPTION(LIST, presets, "--preset", "NAME", .commands = TIMES,
           .help = "the problems to run: paper, detection, flash_internimage_t, _s, _b, _l or small; may be "
                   "repeated, or a list with commas; small if neither this nor --size is given"),
    OPTION(TRIPLE, size, "--size", "NxHxW", .commands = TIMES, COUNT,
           .help = "one problem of this batch, height and width, with --groups and --group-channels"),

    OPTION(NUMBER, group_channels, "--group-channels", "D", .commands = TIMES | COMPILE, .needed = COMPILE,
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
        CHOICE, offset_mask_dtype, "--offset-mask-dtype", "T", .commands = PASSES | CHECK | TIMES | COMPILE,
        .choices = offset_mask_dtypes, .standard = "same",
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
    OPTION(REAL, spread, "--spread", "F", .commands = TIMES, .standard = "1",
           .help = "standard deviation of the offsets, in pixels"),
    OPTION(NUMBER, runs, "--runs", "N", .commands = BENCH, .least = 1, .most = 1000000,
           .help = "timed runs of each; as many as fit into half a second, 5 to 100, if left out"),
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
    OPTION(TEXT, plot, "--plot", "P.png|P.svg", .commands = BENCH, .help = "draw the times as bars against the floor"),
    OPTION(FLAG, list, "--list", NULL, .commands = BENCH, .help = "print the problems instead of running them"),
    OPTION(FLAG, dry_run, "--dry-run", NULL, .commands = TUNE, .help = "keep nothing"),
    OPTION(FLAG, json, "--json", NULL, .commands = INFO, .help = "for programs"),
    {.name = NULL},
};

const dcnv4i_command_text dcnv4i_command_texts[DCNV4I_COMMANDS] = {
    [DCNV4I_INFO] =
        {"info", "list the devices, and why one is missing",
         "Prints the version and, for each device, its name, what it is and what of it is used, or the reason why it "
         "is missing. Of an OpenCL device it says whether its results have been compared with the reference's, which "
         "happens before it is first used, and what differed; DCNV4_SELF_CHECK=off leaves that out."},
    [DCNV4I_FORWARD] =
        {"forward", "value, offset_mask → output",
         "Runs the operator on .npy files (float16, float32 or float64, C order, little-endian). D is the "
         "channels of value divided by the groups; P is the last size of offset_mask. The output is written "
         "aside and renamed, so that there is none unless the command succeeded."},
    [DCNV4I_BACKWARD] =
        {"backward", "value, offset_mask, grad_output → grad_value, grad_offset_mask",
         "Runs the operator's gradient on .npy files (float16, float32 or float64, C order, little-endian). Both "
         "gradients are written, or neither."},
    [DCNV4I_CHECK] =
        {"check", "compare devices with the reference",
         "Without files: draws random problems, runs them on every device and compares each element with the "
         "reference by a bound for its rounding. Prints the worst share of the bound that was used (1 is the "
         "most), and for each failure a line that runs it again. With --value, --offset-mask and PROBLEM: runs "
         "and times these tensors on every device, with a random grad_output, and compares them likewise."},
    [DCNV4I_BENCH] =
        {"bench", "time devices against the machine's limits",
         "Times forward and backward on random inputs with the devices in turn, checks the results against the "
         "reference, and compares the median with the floor: the larger of the time that the compulsory bytes "
         "take from memory and the time that the loads take from the first-level cache, both measured here. "
         "Times are in milliseconds; 1 GB/s is 10⁹ bytes a second."},
    [DCNV4I_PLOT] =
        {"plot", "draw the sampling points of output pixels",
         "Draws, for each output pixel, the K sampling points of each group over the picture: a disc's area is the "
         "size of the weight, its colour the group, a ring instead of a disc a negative weight. The first image "
         "of the batch is drawn."},
    [DCNV4I_COMPILE] =
        {"compile", "compile a layer's kernels ahead of time",
         "Fills a folder with the kernels of one layer, forward and backward, and prints what each takes of a "
         "multiprocessor. A program that finds the folder by DCNV4_CACHE_DIR then needs no compiler: "
         "DCNV4_COMPILER=off "
         "forbids it one. NVIDIA's kernels come from NVRTC, with PTX beside them for newer GPUs; AMD's from hipRTC, or "
         "clang for what hipRTC does not know; those of an OpenCL device are for the same device and driver. A target "
         "whose compiler is missing does not keep the others from being compiled. The image size does not matter."},
    [DCNV4I_TUNE] =
        {"tune", "find a layer's fastest kernels on a device, and keep the choice",
         "Each part of a pass can be done with kernels of several geometries: lanes, tiles, points at a time. Runs all "
         "that the library proposes, in turn, on random inputs, checks each result against the reference and the "
         "default's, and compares times. A geometry is kept if it took 2 % less time than the default in the median "
         "of the rounds, and less in three of four; of several the fastest. It is kept for the layer on this device, "
         "in "
         "the folder of the kernels ($DCNV4_CACHE_DIR, or dcnv4 in $XDG_CACHE_HOME or ~/.cache), and programs take it "
         "from then on; where nothing is faster, an earlier choice is forgotten. The image size does not matter to a "
         "program: give the one that the network has. A preset's sizes of one layer are judged together."},
};
