/* A problem of one of the operators, and what the commands need to know of each operator: one table each. */
#ifndef DCNV4I_TASK_H
#define DCNV4I_TASK_H

#include "../cli/options.h"
#include "../tensors/npy.h"
#include "../tensors/random_numbers.h"

enum {
    DCNV4I_TENSORS_MOST = 12,
    DCNV4I_RESULTS_MOST = 3, /* of one part */
    DCNV4I_PARTS_MOST = 3,
    DCNV4I_RANK_MOST = DCNV4I_NPY_RANK,
    DCNV4I_NONE = -1
};

/* A problem. Of conv and attn, the operator's own is in use; their dtype, forward_only, deterministic and levels are those
 * here. Both are copied freely. */
typedef struct dcnv4i_task {
    const struct dcnv4i_task_operator *op;
    int32_t dtype;
    bool forward_only, deterministic;
    dcnv4_problem conv;
    dcnv4_msda_problem attn;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
} dcnv4i_task;

/* A tensor of a problem: rows of `row` elements, which begin `stride` elements apart. */
typedef struct dcnv4i_layout {
    int rank; /* 0: the problem does not use this tensor */
    int64_t shape[DCNV4I_RANK_MOST];
    int64_t rows, row, stride;
    int32_t dtype; /* a dcnv4_dtype or DCNV4I_INT64 */
    size_t bytes;
} dcnv4i_layout;

typedef enum dcnv4i_role {
    DCNV4I_INPUT,      /* of both passes */
    DCNV4I_GRAD_INPUT, /* of backward alone */
    DCNV4I_OUTPUT,     /* what forward writes */
    DCNV4I_GRADIENT    /* what backward writes */
} dcnv4i_role;

typedef struct dcnv4i_tensor {
    const char *word;   /* "offset_mask": its name in the API */
    const char *option; /* "--offset-mask": what names its file; NULL: it has none */
    size_t path;        /* where dcnv4i_settings has the file's name */
    dcnv4i_role role;
    int of; /* number of the tensor whose gradient it is, or DCNV4I_NONE */
} dcnv4i_tensor;

/* A part of a pass, with the tensors that it writes; those that a problem does not use are skipped. */
typedef struct dcnv4i_part {
    const char *word;
    dcnv4_pass pass;
    int results[DCNV4I_RESULTS_MOST]; /* ends with DCNV4I_NONE, if not full */
} dcnv4i_part;

/* A .npy file that is open, or neither. */
typedef struct dcnv4i_source {
    const char *path;
    FILE *file;
    dcnv4i_npy npy;
} dcnv4i_source;

/* How the positions of a random problem are drawn. */
typedef enum dcnv4i_style {
    DCNV4I_NEAR,
    DCNV4I_FAR,
    DCNV4I_BORDERS,
    DCNV4I_TINY,
    DCNV4I_STRANGE,
    DCNV4I_STYLES
} dcnv4i_style;

typedef struct dcnv4i_task_operator {
    dcnv4i_operator_number number;
    int tensor_count, part_count;
    const dcnv4i_tensor *tensors;
    const dcnv4i_part *parts;

    /* ---- The library ---- */
    /* Checks a problem and lays out its tensors. */
    dcnv4_status (*lay_out)(const dcnv4i_task *task, dcnv4i_layout layouts[DCNV4I_TENSORS_MOST]);
    dcnv4_status (*plan)(dcnv4_context *context, const dcnv4i_task *task, dcnv4_plan **plan);
    dcnv4_status (*run)(const dcnv4_plan *plan, dcnv4_pass pass, const dcnv4_buffer *tensors, dcnv4_buffer workspace);
    dcnv4_status (*roofline)(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_roofline roofline,
                             const dcnv4_buffer *tensors, dcnv4_buffer workspace);

    /* ---- Options and files ---- */
    /* What the options say of a problem without files. */
    dcnv4i_exit (*describe)(const dcnv4i_settings *settings, dcnv4i_task *task);
    /* Checks that the open files fit each other and the options, and completes the problem. sources: by tensor. */
    dcnv4i_exit (*fit)(const dcnv4i_settings *settings, const dcnv4i_source *sources, dcnv4i_task *task);
    /* "--value, --offset-mask and --groups": what a check of given tensors needs; and what of it is missing, or NULL. */
    const char *check_needs;
    const char *(*check_lacks)(const dcnv4i_settings *settings);
    /* What a layer without sizes needs, as for compile; and what of it is missing, or NULL. */
    const char *layer_needs;
    const char *(*layer_lacks)(const dcnv4i_settings *settings);
    /* Fills an input of integers, which no file holds; NULL if there is none. */
    void (*fill_integers)(const dcnv4i_task *task, int tensor, int64_t *numbers);

    /* ---- check ---- */
    /* Draws a small legal problem with strides; then, once the dtype is known, the dtypes beside it. */
    void (*draw)(dcnv4i_random *random, dcnv4i_task *task);
    void (*draw_dtypes)(uint64_t seed, dcnv4i_task *task);
    /* Draws a row of an input. */
    void (*draw_row)(dcnv4i_random *random, dcnv4i_style how, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                     int tensor, double *row);
    /* The problem in float64, with dense tensors. */
    void (*widen)(dcnv4i_task *task);
    /* How far results of arithmetic in a dtype may be from the exact ones, before they are rounded themselves; task is
     * one that was widened. tensors and bounds: by tensor, in float64; bounds are 0, and NULL if not needed. */
    dcnv4i_exit (*bound)(const dcnv4i_task *task, int32_t dtype, const double *const *tensors, double *const *bounds);

    /* ---- bench and tune ---- */
    /* Sets the sizes of preset problem number index and returns the preset's name; NULL past the last. */
    const char *(*preset)(int index, dcnv4i_task *task);
    const char *standard_preset;
    /* The problem that the options describe, if they do: *described. */
    dcnv4i_exit (*sized)(const dcnv4i_settings *settings, dcnv4i_task *task, bool *described);
    /* Why a problem that is legal cannot be run here; "" if it can. */
    const char *(*idle)(const dcnv4i_task *task);
    /* Fills an input with random numbers, positions around where a network looks; false if out of memory. */
    bool (*fill)(dcnv4i_random *random, double spread, const dcnv4i_task *task, const dcnv4i_layout *layouts,
                 int tensor, void *memory);
    /* A group (head) of an image as a problem of its own; its first element in a tensor, or −1 if the tensor has no such
     * part. */
    void (*count_parts)(const dcnv4i_task *task, int64_t *images, int64_t *groups);
    void (*cut)(const dcnv4i_task *task, dcnv4i_task *part);
    int64_t (*first_of)(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor, int64_t image,
                        int64_t group);
    /* How many elements of value the pass gathers. */
    double (*gathered)(const dcnv4i_task *task);
    /* Whether two problems differ in sizes alone, for which nothing is compiled. */
    bool (*same_layer)(const dcnv4i_task *one, const dcnv4i_task *other);
    /* What bench --scan varies (scan_axis.h). */
    const struct dcnv4i_scan *scan;

    /* ---- Reports ---- */
    const char *legend; /* what the words of a problem mean */
    int words_width;
    void (*words)(const dcnv4i_task *task, char *text, size_t size);
    void (*about)(const dcnv4i_task *task, char *text, size_t size); /* its sizes, as the options give them */
    void (*json)(FILE *file, const dcnv4i_task *task);               /* members of an object, after the dtype */
    const char *csv_head;                                            /* columns after the dtype */
    void (*csv)(FILE *file, const dcnv4i_task *task);
} dcnv4i_task_operator;

#define DCNV4I_TASK(NAME, object, word, title) extern const dcnv4i_task_operator dcnv4i_task_##object;
#include "../cli/operator_list.def"
#undef DCNV4I_TASK

/* A problem of the settings' operator with that operator's initial values. */
dcnv4i_task dcnv4i_task_begin(const dcnv4i_settings *settings);

/* Lays out the tensors, or refuses the problem with about. */
dcnv4i_exit dcnv4i_task_lay_out(const dcnv4i_task *task, const char *about, dcnv4i_layout layouts[DCNV4I_TENSORS_MOST]);

/* Whether the problem uses a tensor, in this pass or at all. */
bool dcnv4i_task_uses(const dcnv4i_task *task, const dcnv4i_layout *layouts, int tensor);

/* Elements of a tensor without what is between its rows. */
size_t dcnv4i_layout_elements(const dcnv4i_layout *layout);

bool dcnv4i_is_input(const dcnv4i_tensor *tensor);

/* The path that the settings have for a tensor, or NULL. */
const char *dcnv4i_tensor_path(const dcnv4i_settings *settings, const dcnv4i_tensor *tensor);

/* The words of a problem into text, which is returned. */
const char *dcnv4i_task_words(const dcnv4i_task *task, char *text, size_t size);

/* "--operator msda " for all but the default operator, "" for that. */
const char *dcnv4i_task_option(const dcnv4i_task *task);

/* ---- For files, shared by the operators ---- */

/* Refuses a file whose shape is not the one given. */
dcnv4i_exit dcnv4i_source_shape(const dcnv4i_source *source, int rank, const int64_t *shape);

/* Refuses two files whose dtypes differ. */
dcnv4i_exit dcnv4i_source_dtypes(const dcnv4i_source *one, const dcnv4i_source *other);

#endif
