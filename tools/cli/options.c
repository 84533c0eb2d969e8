#include "option_table.h"
#include "nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Texts to numbers: nothing but the number, and no locale ------------------------------------------------------ */

/* Reads digits and moves *text past them; false if there are none or too many. */
static bool read_digits(const char **text, int64_t *number) {
    const char *at = *text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; ++at) {
        const int digit = *at - '0';
        if (*number > (INT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    const bool any = at > *text;
    *text = at;
    return any;
}

/* Reads 1 to `most` numbers with 'x' between them; returns how many, 0 if text is anything else. */
static int read_sizes(const char *text, int most, int64_t *numbers) {
    for (int count = 0; count < most; ++text) {
        if (!read_digits(&text, &numbers[count++]))
            return 0;
        if (*text == '\0')
            return count;
        if (*text != 'x')
            return 0;
    }
    return 0;
}

/* Reads numbers, or pairs with 'x' between, with commas between them; false if text is anything else or too long. */
static bool read_list(const char *text, int each, dcnv4i_numbers *list) {
    for (list->count = 0; list->count < DCNV4I_LIST_MOST; ++text) {
        int64_t *item = list->items[list->count++];
        if (!read_digits(&text, &item[0]) || (each == 2 && (*text++ != 'x' || !read_digits(&text, &item[1]))))
            return false;
        if (*text == '\0')
            return true;
        if (*text != ',')
            return false;
    }
    return false;
}

/* main has set the C locale, so that strtod reads "." as the decimal point. */
static bool read_real(const char *text, double *number) {
    static const char *const words[] = {"nan", "-nan", "inf", "-inf", "+inf"};
    bool plain = strspn(text, "0123456789.eE+-") == strlen(text);
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        plain = plain || strcmp(text, words[i]) == 0;
    char *end;
    errno = 0;
    *number = strtod(text, &end);
    const bool overflows = errno == ERANGE && fabs(*number) > 1;
    return plain && end != text && *end == '\0' && !overflows;
}

/* ---- One option's argument ----------------------------------------------------------------------------------------- */

static dcnv4i_exit refuse_range(const dcnv4i_option *option, const char *text) {
    static const char *const shapes[] = {
        [DCNV4I_NUMBER] = "a whole number",
        [DCNV4I_PAIR] = "a whole number, or two as HEIGHTxWIDTH, each",
        [DCNV4I_TRIPLE] = "NxHxW, each",
        [DCNV4I_NUMBERS] = "a whole number, or up to 64 with commas between them, each",
        [DCNV4I_PAIRS] = "HEIGHTxWIDTH, or up to 64 with commas between them, each",
    };
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is \"%s\"; %s from %" PRId64 " to %" PRId64 " is needed", option->name,
                          text, shapes[option->kind], option->least, option->most);
}

static dcnv4i_exit set_sizes(const dcnv4i_option *option, const char *text, int64_t *field) {
    const int most = option->kind == DCNV4I_TRIPLE ? 3 : option->kind == DCNV4I_PAIR ? 2 : 1;
    int64_t numbers[3];
    int count = read_sizes(text, most, numbers);
    if (count == 1 && most == 2)
        numbers[count++] = numbers[0];
    if (count != most)
        return refuse_range(option, text);
    for (int i = 0; i < most; ++i)
        if (numbers[i] < option->least || numbers[i] > option->most)
            return refuse_range(option, text);
    memcpy(field, numbers, (size_t)most * sizeof *field);
    return DCNV4I_DONE;
}

static dcnv4i_exit set_list(const dcnv4i_option *option, const char *text, dcnv4i_numbers *field) {
    const int each = option->kind == DCNV4I_PAIRS ? 2 : 1;
    if (!read_list(text, each, field))
        return refuse_range(option, text);
    for (int64_t i = 0; i < field->count * each; ++i) {
        const int64_t number = field->items[i / each][i % each];
        if (number < option->least || number > option->most)
            return refuse_range(option, text);
    }
    return DCNV4I_DONE;
}

static dcnv4i_exit set_choice(const dcnv4i_option *option, const char *text, int64_t *field) {
    char known[128] = "";
    for (const dcnv4i_choice *choice = option->choices; choice->word; ++choice) {
        if (strcmp(choice->word, text) == 0) {
            *field = choice->number;
            return DCNV4I_DONE;
        }
        strncat(known,
                choice == option->choices ? ""
                : choice[1].word          ? ", "
                                          : " or ",
                sizeof known - strlen(known) - 1);
        strncat(known, choice->word, sizeof known - strlen(known) - 1);
    }
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s is \"%s\"; %s is needed", option->name, text, known);
}

static dcnv4i_exit set_option(const dcnv4i_option *option, const char *text, dcnv4i_settings *settings) {
    char *const field = (char *)settings + option->field;
    if (option->kind == DCNV4I_FLAG) {
        *(bool *)field = true;
        return DCNV4I_DONE;
    }
    if (*text == '\0')
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is empty; %s is needed", option->name, option->argument);
    switch (option->kind) {
    case DCNV4I_FLAG: break;
    case DCNV4I_TEXT: *(const char **)field = text; break;
    case DCNV4I_LIST: {
        dcnv4i_list *list = (dcnv4i_list *)field;
        if (list->count == DCNV4I_LIST_MOST)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s is given more than %d times", option->name, DCNV4I_LIST_MOST);
        list->items[list->count++] = text;
        break;
    }
    case DCNV4I_CHOICE: return set_choice(option, text, (int64_t *)field);
    case DCNV4I_NUMBER:
    case DCNV4I_PAIR:
    case DCNV4I_TRIPLE: return set_sizes(option, text, (int64_t *)field);
    case DCNV4I_NUMBERS:
    case DCNV4I_PAIRS: return set_list(option, text, (dcnv4i_numbers *)field);
    case DCNV4I_REAL:
        if (!read_real(text, (double *)field))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s is \"%s\"; a number is needed", option->name, text);
        break;
    }
    return DCNV4I_DONE;
}

const char *dcnv4i_dtype_word(int32_t dtype) {
    const dcnv4i_choice *choice = dcnv4i_dtype_choices;
    while (choice->word && choice->number != dtype)
        ++choice;
    return choice->word ? choice->word : "unknown";
}

/* ---- The command line ---------------------------------------------------------------------------------------------- */

static dcnv4i_command find_command(const char *word) {
    int command = 0;
    while (command < DCNV4I_COMMANDS && strcmp(dcnv4i_command_texts[command].name, word) != 0)
        ++command;
    return (dcnv4i_command)command;
}

/* The option whose name is the first length characters of word, of this command with this operator. */
static const dcnv4i_option *find_option(dcnv4i_command command, int64_t op, const char *word, size_t length) {
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option)
        if (dcnv4i_option_taken(option, command, op) && strlen(option->name) == length &&
            memcmp(option->name, word, length) == 0)
            return option;
    return NULL;
}

/* An option of another operator, and words that are none. */
static dcnv4i_exit refuse_option(const dcnv4i_settings *settings, const char *word, size_t length) {
    const dcnv4i_command command = settings->command;
    const char *names[DCNV4I_OPTIONS_MOST + 2] = {NULL}, *const name = dcnv4i_command_texts[command].name;
    int count = 0;
    for (int64_t op = 0; op < DCNV4I_OPERATORS; ++op)
        if (find_option(command, op, word, length))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%.*s is an option of --operator %s; the operator is %s", (int)length,
                                  word, dcnv4i_operator_choices[op].word, dcnv4i_operator_choices[settings->op].word);
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option)
        if (dcnv4i_option_taken(option, command, settings->op))
            names[count++] = option->name;
    names[count] = "--help";
    const char *const meant = dcnv4i_nearest(word, length, names);
    if (meant)
        return dcnv4i_verdict(DCNV4I_REFUSED, "unknown option %.*s; did you mean %s?", (int)length, word, meant);
    return dcnv4i_verdict(DCNV4I_REFUSED, "unknown option %.*s; dcnv4 %s --help lists those of %s", (int)length, word,
                          name, name);
}

static dcnv4i_exit refuse_command(const char *word) {
    const char *names[DCNV4I_COMMANDS + 3] = {NULL};
    for (int command = 0; command < DCNV4I_COMMANDS; ++command)
        names[command] = dcnv4i_command_texts[command].name;
    names[DCNV4I_COMMANDS] = "--help", names[DCNV4I_COMMANDS + 1] = "--version";
    const char *const meant = dcnv4i_nearest(word, strlen(word), names);
    if (meant)
        return dcnv4i_verdict(DCNV4I_REFUSED, "there is no command \"%s\"; did you mean %s?", word, meant);
    return dcnv4i_verdict(DCNV4I_REFUSED, "there is no command \"%s\"; dcnv4 --help lists them", word);
}

static dcnv4i_exit set_standards(dcnv4i_settings *settings) {
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name; ++option)
        if (option->standard && dcnv4i_option_taken(option, settings->command, settings->op) &&
            option->field != offsetof(dcnv4i_settings, op) &&
            set_option(option, option->standard, settings) != DCNV4I_DONE)
            return DCNV4I_REFUSED;
    return DCNV4I_DONE;
}

/* Reads the option at arguments[*at] and moves *at on to the next one. */
static dcnv4i_exit read_option(int count, char *const *arguments, int *at, bool *given, dcnv4i_settings *settings) {
    const char *command = dcnv4i_command_texts[settings->command].name, *word = arguments[*at];
    const size_t length = strcspn(word, "=");
    if (word[0] != '-' || word[1] == '\0')
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s takes no argument \"%s\"; dcnv4 %s --help lists its options", command,
                              word, command);
    const dcnv4i_option *option = find_option(settings->command, settings->op, word, length);
    if (!option)
        return refuse_option(settings, word, length);
    bool *seen = &given[option - dcnv4i_option_table];
    if (*seen && option->kind != DCNV4I_LIST)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is given twice", option->name);
    *seen = true;
    settings->problem_given = settings->problem_given || option->problem;
    settings->operator_given = settings->operator_given || option->field == offsetof(dcnv4i_settings, op);
    if (option->problem || option->describes)
        settings->describing = option->name;
    ++*at;
    const char *text = word[length] == '=' ? word + length + 1 : NULL;
    if (option->kind == DCNV4I_FLAG && text)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s takes no value, \"%s\" is given", option->name, text);
    if (option->kind != DCNV4I_FLAG && !text) {
        const bool last = *at == count || strncmp(arguments[*at], "--", 2) == 0;
        if (last && option->alone)
            return set_option(option, option->alone, settings);
        if (last)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s needs %s after it, there is %s", option->name, option->argument,
                                  *at == count ? "nothing" : arguments[*at]);
        text = arguments[(*at)++];
    }
    return set_option(option, text, settings);
}

/* Which options there are depends on the operator, so it is read before them; a wrong word is refused in its turn. */
static void read_operator(int count, char *const *arguments, dcnv4i_settings *settings) {
    static const char name[] = "--operator";
    for (int i = 2; i < count; ++i) {
        const bool alone = strcmp(arguments[i], name) == 0 && i + 1 < count;
        const bool joined = strncmp(arguments[i], name, strlen(name)) == 0 && arguments[i][strlen(name)] == '=';
        if (!alone && !joined)
            continue;
        const char *const word = alone ? arguments[i + 1] : arguments[i] + strlen(name) + 1;
        for (const dcnv4i_choice *choice = dcnv4i_operator_choices; choice->word; ++choice)
            if (strcmp(choice->word, word) == 0)
                settings->op = choice->number;
    }
}

static dcnv4i_exit read_options(int count, char *const *arguments, dcnv4i_settings *settings) {
    bool given[DCNV4I_OPTIONS_MOST] = {false};
    dcnv4i_exit verdict = set_standards(settings);
    for (int at = 2; at < count && verdict == DCNV4I_DONE;)
        verdict = read_option(count, arguments, &at, given, settings);
    for (const dcnv4i_option *option = dcnv4i_option_table; option->name && verdict == DCNV4I_DONE; ++option)
        if (option->needed >> settings->command & 1 && dcnv4i_option_taken(option, settings->command, settings->op) &&
            !given[option - dcnv4i_option_table])
            verdict = dcnv4i_verdict(DCNV4I_REFUSED, "%s needs %s %s: %s", dcnv4i_command_texts[settings->command].name,
                                     option->name, option->argument, option->help);
    return verdict;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* "help", "help forward", "--help forward": the command that help is asked for. */
static dcnv4i_exit read_help(int count, char *const *arguments, dcnv4i_settings *settings) {
    if (count > 3)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s takes one command, \"%s\" is another word", arguments[1],
                              arguments[3]);
    if (count == 2 || is_help(arguments[2]) || strcmp(arguments[2], "help") == 0)
        return DCNV4I_DONE;
    settings->command = find_command(arguments[2]);
    return settings->command == DCNV4I_COMMANDS ? refuse_command(arguments[2]) : DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_options_parse(int count, char *const *arguments, dcnv4i_request *wish, dcnv4i_settings *settings) {
    *settings = (dcnv4i_settings){.command = DCNV4I_COMMANDS,
                                  .dtype = DCNV4I_NO_DTYPE,
                                  .offset_mask_dtype = DCNV4_SAME_DTYPE,
                                  .location_dtype = DCNV4_SAME_DTYPE,
                                  .weight_dtype = DCNV4_SAME_DTYPE,
                                  .reference_dtype = DCNV4_SAME_DTYPE};
    *wish = DCNV4I_RUN;
    if (count < 2)
        return dcnv4i_verdict(DCNV4I_REFUSED, "a command is needed");
    if (is_help(arguments[1]) || strcmp(arguments[1], "help") == 0) {
        *wish = DCNV4I_HELP;
        return read_help(count, arguments, settings);
    }
    if (strcmp(arguments[1], "--version") == 0) {
        *wish = DCNV4I_VERSION;
        return count == 2 ? DCNV4I_DONE
                          : dcnv4i_verdict(DCNV4I_REFUSED, "--version takes no argument \"%s\"", arguments[2]);
    }
    settings->command = find_command(arguments[1]);
    if (settings->command == DCNV4I_COMMANDS)
        return refuse_command(arguments[1]);
    read_operator(count, arguments, settings);
    for (int i = 2; i < count; ++i)
        if (is_help(arguments[i])) {
            *wish = DCNV4I_HELP;
            return DCNV4I_DONE;
        }
    return read_options(count, arguments, settings);
}
