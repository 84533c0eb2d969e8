/* The table of options that options.c parses by and help.c prints. */
#ifndef DCNV4I_OPTION_TABLE_H
#define DCNV4I_OPTION_TABLE_H

#include "options.h"

#include <stddef.h>

typedef enum dcnv4i_option_kind {
    DCNV4I_FLAG,
    DCNV4I_TEXT,
    DCNV4I_LIST,    /* may be repeated */
    DCNV4I_CHOICE,  /* one of the words in choices */
    DCNV4I_NUMBER,  /* least to most */
    DCNV4I_PAIR,    /* "A" or "AxB", height first */
    DCNV4I_TRIPLE,  /* "AxBxC" */
    DCNV4I_NUMBERS, /* "A,B,…" */
    DCNV4I_PAIRS,   /* "AxB,CxD,…", height first */
    DCNV4I_REAL     /* any number, including nan and inf */
} dcnv4i_option_kind;

typedef struct dcnv4i_choice {
    const char *word; /* NULL after the last */
    int64_t number;
} dcnv4i_choice;

typedef struct dcnv4i_option {
    const char *name, *argument, *help;
    unsigned commands;  /* that take it, as bits 1 << dcnv4i_command */
    unsigned operators; /* that have it, as bits 1 << dcnv4i_operator_number; 0: all */
    unsigned needed;    /* commands that require it */
    dcnv4i_option_kind kind;
    size_t field;         /* of dcnv4i_settings */
    const char *standard; /* its default, as an argument, or NULL */
    const char *alone;    /* the argument where none follows, or NULL: one must */
    int64_t least, most;
    const dcnv4i_choice *choices;
    bool problem;   /* belongs to PROBLEM */
    bool describes; /* says which problems to run, beside those of PROBLEM, which all do */
} dcnv4i_option;

typedef struct dcnv4i_command_text {
    const char *name, *summary, *about;
} dcnv4i_command_text;

extern const dcnv4i_choice dcnv4i_dtype_choices[], dcnv4i_operator_choices[];

/* "multi-scale deformable attention", … */
extern const char *const dcnv4i_operator_titles[DCNV4I_OPERATORS];

/* Ends with a row without a name. */
extern const dcnv4i_option dcnv4i_option_table[];
enum { DCNV4I_OPTIONS_MOST = 128 };

/* Whether the command takes this option with this operator. */
bool dcnv4i_option_taken(const dcnv4i_option *option, dcnv4i_command command, int64_t op);

/* The texts of a command, or of a command with another operator where that has texts of its own. */
extern const dcnv4i_command_text dcnv4i_command_texts[DCNV4I_COMMANDS];
const dcnv4i_command_text *dcnv4i_command_text_of(dcnv4i_command command, int64_t op);

#endif
