/* What each command is, in words; with an operator that changes these, that operator's words. */
#include "option_table.h"

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

/* Texts of commands with multi-scale deformable attention; a text without a name is the command's own. */
static const dcnv4i_command_text attention_texts[DCNV4I_COMMANDS] = {
    [DCNV4I_FORWARD] =
        {"forward", "value, locations, weights → output",
         "Runs multi-scale deformable attention on .npy files (float16, float32 or float64, C order, little-endian). N "
         "is the batch, S the places of all levels, M heads of D channels, Q queries, P the points of a head in all "
         "levels. The output is written aside and renamed, so that there is none unless the command succeeded."},
    [DCNV4I_BACKWARD] =
        {"backward", "value, locations, weights, grad_output → grad_value, grad_locations, grad_weights",
         "Runs the gradient of multi-scale deformable attention on .npy files (float16, float32 or float64, C order, "
         "little-endian). Each gradient has the shape of its tensor's file. All are written, or none."},
    [DCNV4I_CHECK] =
        {"check", "compare devices with the reference",
         "Without files: draws random problems, runs them on every device and compares each element with the "
         "reference by a bound for its rounding. Prints the worst share of the bound that was used (1 is the "
         "most), and for each failure a line that runs it again. With --preset: runs and "
         "times a preset's layers with random tensors, and compares every element likewise. With --value, --locations, "
         "--weights and MSDA: runs and times these tensors on every device, with a random grad_output, and compares "
         "them likewise."},
    [DCNV4I_BENCH] =
        {"bench", "time devices against the machine's limits",
         "Times forward and backward on random inputs with the devices in turn, checks one head of one image against "
         "the reference, and compares the median with the floor: the larger of the time that the compulsory bytes "
         "take from memory and the time that the loads take from the first-level cache, both measured here. Where "
         "there are as many queries as places, as in an encoder, each query looks around its own place; else queries "
         "look anywhere. Times are in milliseconds; 1 GB/s is 10⁹ bytes a second."},
    [DCNV4I_PLOT] =
        {"plot", "draw where queries look",
         "Draws, for each level of the first image of the batch, the points that each head of the queries samples "
         "there, over the picture: a disc's area is the size of the weight, its colour the head, a ring instead of a "
         "disc a negative weight; lines are the borders of the level's places."},
    [DCNV4I_COMPILE] =
        {"compile", "compile a layer's kernels ahead of time",
         "Fills a folder with the kernels of one layer, forward and backward, and prints what each takes of a "
         "multiprocessor. A program that finds the folder by DCNV4_CACHE_DIR then needs no compiler: "
         "DCNV4_COMPILER=off forbids it one. A target whose compiler is missing does not keep the others from being "
         "compiled. Batch, queries, and the levels' sizes do not matter; their number and points do."},
};

const dcnv4i_command_text *dcnv4i_command_text_of(dcnv4i_command command, int64_t op) {
    const dcnv4i_command_text *own = &attention_texts[command];
    return op == DCNV4I_MS_DEFORM_ATTN && own->name ? own : &dcnv4i_command_texts[command];
}
