/* Prints the table of options: --help, the usage and the man page. */
#include "option_table.h"

#include <string.h>

enum { WIDTH = 100, INDENT = 30 };

#define NO_BREAK "\x1f" /* printed as a space; lines do not wrap there */

static const char *const exit_statuses[][2] = {
    {"0", "done"},
    {"1", "it ran, and the result is wrong or it broke"},
    {"2", "bad usage or bad input; one line on stderr says what"},
    {"3", "the device asked for is not available; one line on stderr says why"},
};

static const char
    purpose[] = "runs, checks, times and draws deformable convolution v4 (DCNv4) and multi-scale deformable "
                "attention on any device found";

static const char more_help[] = "dcnv4 help COMMAND, or dcnv4 COMMAND --help, lists the options of a command.";

/* The width of a UTF-8 text in columns. */
static int columns(const char *text, size_t length) {
    int count = 0;
    for (size_t i = 0; i < length; ++i)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Prints text from column `at` on, wrapped at WIDTH; further lines begin at column indent. */
static void print_wrapped(FILE *file, const char *text, int at, int indent) {
    bool first = true;
    while (*text) {
        const size_t length = strcspn(text, " ");
        const int wide = columns(text, length);
        if (!first && at + 1 + wide > WIDTH) {
            fprintf(file, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', file);
            ++at;
        }
        for (size_t i = 0; i < length; ++i)
            fputc(text[i] == *NO_BREAK ? ' ' : text[i], file);
        at += wide;
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', file);
}

/* "--name ARGUMENT", with joint between the two. */
static void option_words(const dcnv4i_option *option, const char *joint, char *text, size_t size) {
    snprintf(text, size, "%s%s%s", option->name, option->argument ? joint : "",
             option->argument ? option->argument : "");
}

/* What stands for the options of an operator's problem. */
static const char *problem_word(int64_t op) {
    return op == DCNV4I_MS_DEFORM_ATTN ? "MSDA" : "PROBLEM";
}

/* "dcnv4 forward --value V.npy …"; the options of PROBLEM under that name, optional ones in brackets. */
static void synopsis_words(dcnv4i_command command, int64_t op, const char *joint, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "dcnv4%s%s", joint, dcnv4i_command_texts[command].name);
    bool problem_named = false, problem_needed = false;
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option)
        problem_needed = problem_needed ||
                         (option->problem && dcnv4i_option_taken(option, command, op) && option->needed >> command & 1);
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name && used < size; ++option) {
        if (!dcnv4i_option_taken(option, command, op) || (option->problem && problem_named))
            continue;
        problem_named = problem_named || option->problem;
        const bool needed = option->problem ? problem_needed : option->needed >> command & 1;
        char words[64];
        snprintf(words, sizeof words, "%s", problem_word(op));
        if (!option->problem)
            option_words(option, joint, words, sizeof words);
        used += (size_t)snprintf(text + used, size - used, needed ? " %s" : " [%s]", words);
    }
}

/* An option's help, with its default. */
static void help_words(const dcnv4i_option *option, char *text, size_t size) {
    snprintf(text, size, "%s%s%s%s", option->help, option->standard ? "; " : "",
             option->standard ? option->standard : "", option->standard ? " if left out" : "");
}

static void help_option(FILE *file, const dcnv4i_option *option) {
    char words[64], help[512];
    option_words(option, " ", words, sizeof words);
    help_words(option, help, sizeof help);
    fprintf(file, "  %s%*s", words, INDENT - 2 - columns(words, strlen(words)), "");
    print_wrapped(file, help, INDENT, INDENT);
}

static void help_options(FILE *file, dcnv4i_command command, int64_t op, bool problem, const char *title) {
    bool any = false;
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option)
        if (dcnv4i_option_taken(option, command, op) && option->problem == problem) {
            if (!any)
                fprintf(file, "\n%s:\n", title);
            any = true;
            help_option(file, option);
        }
}

static void help_command(FILE *file, dcnv4i_command command, int64_t op) {
    const dcnv4i_command_text *text = dcnv4i_command_text_of(command, op);
    char synopsis[1024];
    synopsis_words(command, op, NO_BREAK, synopsis, sizeof synopsis);
    fprintf(file, "dcnv4 %s: %s\n\n", text->name, text->summary);
    print_wrapped(file, synopsis, 0, (int)strlen("dcnv4 ") + (int)strlen(text->name) + 1);
    fputc('\n', file);
    print_wrapped(file, text->about, 0, 0);
    help_options(file, command, op, false, "Options");
    help_options(file, command, op, true, problem_word(op));
}

static void list_commands(FILE *file) {
    for (int command = 0; command < DCNV4I_COMMANDS; ++command)
        fprintf(file, "  dcnv4 %-10s %s\n", dcnv4i_command_texts[command].name, dcnv4i_command_texts[command].summary);
}

static void list_operators(FILE *file) {
    for (int op = 0; op < DCNV4I_OPERATORS; ++op)
        fprintf(file, "  --operator %-6s %s%s\n", dcnv4i_operator_choices[op].word, dcnv4i_operator_titles[op],
                op == 0 ? ", the default" : "");
}

void dcnv4i_options_help(FILE *file, dcnv4i_command command, dcnv4i_operator_number op) {
    if (command != DCNV4I_COMMANDS) {
        help_command(file, command, op);
        return;
    }
    fprintf(file, "dcnv4 %s\n\n", purpose);
    list_commands(file);
    fprintf(file, "  dcnv4 --version\n\n%s\n\nOperators:\n", more_help);
    list_operators(file);
    fprintf(file, "\nExit status:\n");
    for (size_t i = 0; i < sizeof exit_statuses / sizeof *exit_statuses; ++i)
        fprintf(file, "  %s  %s\n", exit_statuses[i][0], exit_statuses[i][1]);
}

void dcnv4i_options_usage(FILE *file) {
    fprintf(file, "dcnv4 needs a command:\n");
    list_commands(file);
    fprintf(file, "%s\n", more_help);
}

/* ---- The man page -------------------------------------------------------------------------------------------------- */

/* Prints text with roff's special characters escaped. */
static void roff(FILE *file, const char *text) {
    for (; *text; ++text) {
        if (*text == '-' || *text == '\\')
            fputc('\\', file);
        fputc(*text, file);
    }
}

static void roff_paragraph(FILE *file, const char *macro, const char *text) {
    fprintf(file, "%s\n", macro);
    roff(file, text);
    fputc('\n', file);
}

static void manual_command(FILE *file, dcnv4i_command command, int64_t op) {
    const dcnv4i_command_text *text = dcnv4i_command_text_of(command, op);
    char words[1024];
    synopsis_words(command, op, " ", words, sizeof words);
    fprintf(file, ".SS %s%s%s\n", text->name, op ? " \\-\\-operator " : "", op ? dcnv4i_operator_choices[op].word : "");
    roff_paragraph(file, ".PP", words);
    roff_paragraph(file, ".PP", text->about);
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option) {
        if (!dcnv4i_option_taken(option, command, op))
            continue;
        char help[512];
        option_words(option, " ", words, sizeof words);
        help_words(option, help, sizeof help);
        fprintf(file, ".TP\n.B ");
        roff(file, words);
        fputc('\n', file);
        roff(file, help);
        fputc('\n', file);
    }
}

/* Whether a command has operators. */
static bool find_operator_option(int command) {
    const dcnv4i_option *option = dcnv4i_option_table;
    while (option->name && !(option->field == offsetof(dcnv4i_settings, op) && option->commands >> command & 1))
        ++option;
    return option->name;
}

void dcnv4i_options_manual(FILE *file) {
    fprintf(file, ".TH DCNV4 1 \"\" \"dcnv4 %s\" \"User Commands\"\n.SH NAME\ndcnv4 \\- ", dcnv4_version());
    roff(file, purpose);
    fprintf(file, "\n.SH SYNOPSIS\n.B dcnv4\nCOMMAND [OPTION]…\n.SH COMMANDS\n");
    for (int command = 0; command < DCNV4I_COMMANDS; ++command)
        manual_command(file, (dcnv4i_command)command, 0);
    for (int op = 1; op < DCNV4I_OPERATORS; ++op)
        for (int command = 0; command < DCNV4I_COMMANDS; ++command)
            if (find_operator_option(command))
                manual_command(file, (dcnv4i_command)command, op);
    fprintf(file, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof exit_statuses / sizeof *exit_statuses; ++i) {
        fprintf(file, ".TP\n.B %s\n", exit_statuses[i][0]);
        roff(file, exit_statuses[i][1]);
        fputc('\n', file);
    }
}
