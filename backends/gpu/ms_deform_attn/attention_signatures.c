#include "attention_signatures.h"
#include "../../kernels/language/argument_lists.h"
#include "../../kernels/ms_deform_attn/attention_parameters.h"

/* The buffers: the tensors in their order, then the scratch. */
enum {
    DCNV4I_BUFFER_VALUE = DCNV4I_MSDA_VALUE,
    DCNV4I_BUFFER_LOCATIONS = DCNV4I_MSDA_LOCATIONS,
    DCNV4I_BUFFER_WEIGHTS = DCNV4I_MSDA_WEIGHTS,
    DCNV4I_BUFFER_REFERENCES = DCNV4I_MSDA_REFERENCES,
    DCNV4I_BUFFER_LEVEL_SHAPES = DCNV4I_MSDA_LEVEL_SHAPES,
    DCNV4I_BUFFER_LEVEL_STARTS = DCNV4I_MSDA_LEVEL_STARTS,
    DCNV4I_BUFFER_OUTPUT = DCNV4I_MSDA_OUTPUT,
    DCNV4I_BUFFER_GRAD_OUTPUT = DCNV4I_MSDA_GRAD_OUTPUT,
    DCNV4I_BUFFER_GRAD_VALUE = DCNV4I_MSDA_GRAD_VALUE,
    DCNV4I_BUFFER_GRAD_LOCATIONS = DCNV4I_MSDA_GRAD_LOCATIONS,
    DCNV4I_BUFFER_GRAD_WEIGHTS = DCNV4I_MSDA_GRAD_WEIGHTS,
    DCNV4I_BUFFER_GRAD_REFERENCES = DCNV4I_MSDA_GRAD_REFERENCES,
    DCNV4I_BUFFER_SUMS = DCNV4I_BUFFER_SCRATCH + DCNV4I_ATTN_SUMS,
    DCNV4I_BUFFER_BOUNDS = DCNV4I_BUFFER_SCRATCH + DCNV4I_ATTN_BOUNDS,
    DCNV4I_BUFFER_MOVES = DCNV4I_BUFFER_SCRATCH + DCNV4I_ATTN_MOVES
};

/* A kernel has one parameter for a number and two for a buffer. */
#define TWO(id, type, name) 0, 0
#define ONE(id, name) 0
_Static_assert(sizeof(char[]){DCN_ARGUMENTS_ATTN_POINTS(TWO, ONE)} <= DCNV4I_MAX_ARGUMENTS, "too many arguments");

#define PACKED(id)                                                       \
    ((id) == DCNV4I_BUFFER_WEIGHTS        ? DCNV4I_BUFFER_LOCATIONS      \
     : (id) == DCNV4I_BUFFER_GRAD_WEIGHTS ? DCNV4I_BUFFER_GRAD_LOCATIONS \
                                          : (id))
#define IN_TABLE(id) \
    ((id) == DCNV4I_BUFFER_LEVEL_SHAPES || (id) == DCNV4I_BUFFER_LEVEL_STARTS ? DCNV4I_BUFFER_TABLE : (id))

#define APART_IN_TABLE(id, type, name) IN_TABLE(DCNV4I_BUFFER_##id)
#define APART_IN_BUFFERS(id, type, name) DCNV4I_BUFFER_##id
#define PACKED_IN_TABLE(id, type, name) IN_TABLE(PACKED(DCNV4I_BUFFER_##id))
#define PACKED_IN_BUFFERS(id, type, name) PACKED(DCNV4I_BUFFER_##id)

/* In the order of dcnv4i_attn_signature. */
#define SIGNATURES(X, form) \
    X(FORWARD, form)        \
    X(POINTS, form)         \
    X(REFERENCES, form)     \
    X(VALUE, form)          \
    X(VALUE_RUN, form)      \
    X(BOUNDS, form)         \
    X(TILES, form)          \
    X(CLEAR, form)          \
    X(CLEAR_RUN, form)      \
    X(CONVERT, form)

#define LIST(kernel, form) \
    static const unsigned char list_##kernel##_##form[] = {DCN_ARGUMENTS_ATTN_##kernel(form, DCNV4I_ENTRY_OF_NUMBER)};
SIGNATURES(LIST, APART_IN_TABLE)
SIGNATURES(LIST, APART_IN_BUFFERS)
SIGNATURES(LIST, PACKED_IN_TABLE)
SIGNATURES(LIST, PACKED_IN_BUFFERS)

#define SIGNATURE(kernel, form) {"ATTN_" #kernel, sizeof list_##kernel##_##form, list_##kernel##_##form},
static const dcnv4i_signature signatures[2][2][DCNV4I_ATTN_SIGNATURES] = {
    {{SIGNATURES(SIGNATURE, APART_IN_TABLE)}, {SIGNATURES(SIGNATURE, APART_IN_BUFFERS)}},
    {{SIGNATURES(SIGNATURE, PACKED_IN_TABLE)}, {SIGNATURES(SIGNATURE, PACKED_IN_BUFFERS)}},
};

const dcnv4i_signature *dcnv4i_attn_signature_of(const dcnv4i_ms_deform_attn *problem, dcnv4i_attn_signature id) {
    return &signatures[problem->params.packed][problem->params.levels_in_buffers][id];
}
