/* The host's C++ compiler does the work, in two steps: it preprocesses the text behind host_dialect.h; then this file finds
 * the kernels and turns inline PTX into calls; then it compiles the result.
 *
 *     asm volatile("red.global.add.f32 [%0], %1;" ::"l"(target), "f"(number) : "memory")
 *     becomes ptx_red_global_add_f32(target, number), its operands in the order in which the instruction names them
 */
#include "fake_compiler.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Files ---------------------------------------------------------------------------------------------------------- */

static char *read_file(const char *folder, const char *name, size_t *size) {
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    if (file && fstat(fileno(file), &status) == 0 && (bytes = malloc((size_t)status.st_size + 1))) {
        *size = fread(bytes, 1, (size_t)status.st_size, file);
        bytes[*size] = '\0';
    }
    if (file)
        fclose(file);
    return bytes;
}

static bool write_file(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    const bool written = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && written;
}

/* ---- Text ----------------------------------------------------------------------------------------------------------- */

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static const char *skip_space(const char *at) {
    while (isspace((unsigned char)*at))
        ++at;
    return at;
}

/* Whether the word stands at `at`, which is in text. */
static bool word_at(const char *text, const char *at, const char *word) {
    const size_t length = strlen(word);
    return strncmp(at, word, length) == 0 && !is_word(at[length]) && (at == text || !is_word(at[-1]));
}

/* From a "(" or a quote to what follows its end. */
static const char *skip_group(const char *at) {
    int depth = 0;
    bool quoted = false;
    for (; *at; ++at) {
        if (quoted && *at == '\\' && at[1])
            ++at;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*at == '(') - (*at == ')');
        if (!quoted && depth == 0)
            return at + 1;
    }
    return at;
}

/* ---- Inline PTX ----------------------------------------------------------------------------------------------------- */

enum { MOST_OPERANDS = 24 };

typedef struct statement {
    char letters[1024]; /* the template */
    int operands;
    const char *operand[MOST_OPERANDS]; /* "(expression)" */
    const char *operand_end[MOST_OPERANDS];
} statement;

/* Parses what is between the parentheses of an asm; false if it is not understood. */
static bool read_statement(const char *at, const char *end, statement *s) {
    size_t length = 0;
    int colons = 0;
    s->operands = 0;
    while ((at = skip_space(at)) < end) {
        if (*at == '"') {
            const char *after = skip_group(at), *operand = skip_space(after);
            if (colons == 0) {
                if (length + (size_t)(after - at) >= sizeof s->letters)
                    return false;
                memcpy(s->letters + length, at + 1, (size_t)(after - at) - 2);
                length += (size_t)(after - at) - 2;
            } else if (colons < 3) {
                if (*operand != '(' || s->operands == MOST_OPERANDS)
                    return false;
                s->operand[s->operands] = operand;
                after = s->operand_end[s->operands++] = skip_group(operand);
            }
            at = after;
        } else {
            colons += *at == ':';
            ++at;
        }
    }
    s->letters[length] = '\0';
    return true;
}

/* The function's name: the template's words, but for its operands and escapes. */
static void write_name(const statement *s, FILE *to) {
    bool between = true;
    fputs("ptx", to);
    for (const char *c = s->letters; *c; ++c) {
        if (*c == '%' || *c == '\\') {
            ++c;
            while (*c && isdigit((unsigned char)c[1]))
                ++c;
            between = true;
        } else if (!isalnum((unsigned char)*c))
            between = true;
        else {
            if (between)
                fputc('_', to);
            fputc(*c, to);
            between = false;
        }
    }
}

/* An empty template only hides a value from the device compiler's optimiser: it calls nothing. */
static bool write_call(const statement *s, FILE *to) {
    const char *separator = "";
    if (!*s->letters) {
        fputs("((void)0)", to);
        return true;
    }
    write_name(s, to);
    fputc('(', to);
    for (const char *c = s->letters; *c; ++c)
        if (*c == '%' && isdigit((unsigned char)c[1])) {
            const int number = atoi(c + 1);
            if (number >= s->operands)
                return false;
            fprintf(to, "%s%.*s", separator, (int)(s->operand_end[number] - s->operand[number]), s->operand[number]);
            separator = ", ";
        }
    fputc(')', to);
    return true;
}

/* At the word asm: writes the call, and returns what follows the statement. NULL if it is not understood. */
static const char *rewrite_asm(const char *text, const char *at, FILE *to) {
    statement s;
    while (is_word(*at))
        ++at;
    at = skip_space(at);
    while (word_at(text, at, "volatile") || word_at(text, at, "__volatile__")) {
        while (is_word(*at))
            ++at;
        at = skip_space(at);
    }
    if (*at != '(')
        return NULL;
    const char *end = skip_group(at);
    return read_statement(at + 1, end - 1, &s) && write_call(&s, to) ? end : NULL;
}

/* ---- Kernels -------------------------------------------------------------------------------------------------------- */

/* At HOST_GLOBAL: writes the declaration's head without what is for a device alone, notes the kernel, and returns where its
 * arguments begin. */
static const char *rewrite_kernel(const char *at, FILE *to, FILE *notes) {
    const char *name = NULL, *bounds = "0", *bounds_end = bounds + 1;
    size_t length = 0;
    at += strlen("HOST_GLOBAL");
    while (*at && *at != '(') {
        at = skip_space(at);
        const char *word = at;
        while (is_word(*at))
            ++at;
        if (at == word)
            break;
        if (strncmp(word, "HOST_BOUNDS", (size_t)(at - word)) == 0) {
            bounds = skip_space(at);
            at = bounds_end = skip_group(bounds);
        } else {
            fprintf(to, " %.*s", (int)(at - word), word);
            name = word, length = (size_t)(at - word);
        }
        at = skip_space(at);
    }
    if (name)
        fprintf(notes,
                "extern \"C\" [[gnu::visibility(\"default\")]] const host_kernel host_kernel_%.*s = "
                "{host_entry<%.*s>::kinds, (unsigned)(%.*s), "
                "host_entry<%.*s>::run};\n",
                (int)length, name, (int)length, name, (int)(bounds_end - bounds), bounds, (int)length, name);
    return at;
}

/* The preprocessed text as the host can compile it, for free(). */
static char *rewrite(const char *text) {
    char *result = NULL, *noted = NULL;
    size_t size, noted_size;
    FILE *to = open_memstream(&result, &size), *notes = open_memstream(&noted, &noted_size);
    const char *at = text;
    while (to && notes && *at) {
        const char *next = NULL;
        if (word_at(text, at, "HOST_GLOBAL"))
            next = rewrite_kernel(at, to, notes);
        else if (word_at(text, at, "asm") || word_at(text, at, "__asm__"))
            next = rewrite_asm(text, at, to);
        if (next)
            at = next;
        else
            fputc(*at++, to);
    }
    if (notes)
        fclose(notes);
    if (to) {
        fputs(noted ? noted : "", to);
        fclose(to);
    }
    free(noted);
    return result;
}

/* ---- The compiler --------------------------------------------------------------------------------------------------- */

/* Undefined behaviour that ends the process if a kernel has it. */
#define CHECKS "alignment,signed-integer-overflow,shift,integer-divide-by-zero,float-cast-overflow"

/* Linking is a step of its own, since the checks trap and need no library. */
static bool run(const char *folder, const char *arguments) {
    char command[1024];
    snprintf(command, sizeof command, "cd '%s' && %s -std=c++17 -w %s 2>>log", folder, FAKE_COMPILER, arguments);
    return system(command) == 0;
}

static void *compile_in(const char *folder, const char *text, const char *architecture, size_t *size) {
    size_t preprocessed_size;
    char *preprocessed = NULL, *rewritten = NULL, preprocess[512];
    snprintf(preprocess, sizeof preprocess,
             "-E -P -D__CUDA_ARCH__=%d -x c++ -include '" FAKE_DIALECT "' text -o preprocessed",
             strncmp(architecture, "sm_", 3) == 0 ? 10 * atoi(architecture + 3) : 0);
    bool done = write_file(folder, "text", text) && run(folder, preprocess) &&
                (preprocessed = read_file(folder, "preprocessed", &preprocessed_size)) &&
                (rewritten = rewrite(preprocessed)) && write_file(folder, "kernel.cc", rewritten) &&
                run(folder, "-O1 -fPIC -fvisibility=hidden -fsanitize=" CHECKS " -fsanitize-undefined-trap-on-error -c "
                            "-x c++ kernel.cc -o kernel.o") &&
                run(folder, "-shared kernel.o -o kernel.so -lm");
    free(preprocessed);
    free(rewritten);
    return done ? read_file(folder, "kernel.so", size) : NULL;
}

void *fake_compile(const char *text, const char *architecture, size_t *size, char **log) {
    static const char *const files[] = {"text", "preprocessed", "kernel.cc", "kernel.o", "kernel.so", "log"};
    const char *temporary = getenv("TMPDIR");
    char folder[200], path[256];
    size_t log_size;
    snprintf(folder, sizeof folder, "%s/fake_compiler_XXXXXX", temporary ? temporary : "/tmp");
    *log = NULL;
    if (!mkdtemp(folder))
        return NULL;
    void *library = compile_in(folder, text, architecture, size);
    *log = read_file(folder, "log", &log_size);
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        remove(path);
    }
    rmdir(folder);
    return library;
}
