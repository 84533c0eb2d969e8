/* The version of the PTX language that a text needs, instead of its compiler's. */
#include "cuda_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNKNOWN = INT32_MAX };

/* Versions are 100 · major + minor here. From the PTX manual's "Target ISA Notes" and "PTX ISA Notes", and the versions
 * of NVRTC that first had an architecture. */
static const struct {
    int architecture, version;
} architectures[] = {
    {75, 603},  {80, 700},  {86, 701},  {87, 704},  {88, 900},  {89, 708},  {90, 708},
    {100, 806}, {103, 808}, {107, 904}, {110, 900}, {120, 807}, {121, 808},
};

/* Words of instructions and directives that every version from 6.3 on knows; a text with any other keeps its version. */
static const char known_instructions
    [] = " abs add and atom bar bfe bfi bra brev clz cos cvt cvta div ex2 exit fma ld lg2 mad max min mov mul neg not "
         "or popc "
         "prmt rcp red rem ret rsqrt selp set setp shl shr sin sqrt st sub trap xor "
         "b8 b16 b32 b64 s8 s16 s32 s64 u8 u16 u32 u64 f16 f16x2 f32 f64 pred bf16 bf16x2 f32x2 v2 v4 "
         "rn rz rm rp rni rzi rmi rpi sat ftz approx full lo hi wide uni sync "
         "eq ne lt le gt ge equ neu ltu leu gtu geu num nan cas exch global shared local param const nc to volatile "
         "relaxed cta gpu sys ";
static const char known_directives[] =
    " version target address_size visible entry param reg shared global const local extern align ptr maxntid reqntid "
    "minnctapersm pragma pred b8 b16 b32 b64 s8 s16 s32 s64 u8 u16 u32 u64 f16 f32 f64 ";

/* Instructions with all of these words need this version. */
static const struct {
    const char *words[3];
    int version;
} newer_instructions[] = {
    {{"red", "v2"}, 801},          {{"red", "v4"}, 801},  {{"f32x2"}, 806},      {{"fma", "f32", "f16"}, 806},
    {{"fma", "f32", "bf16"}, 806}, {{"bf16x2"}, 708},     {{"bf16"}, 708},       {{"abs", "f16"}, 605},
    {{"neg", "f16"}, 600},         {{"max", "f16"}, 700}, {{"min", "f16"}, 700}, {{"ex2", "f16"}, 700},
    {{"atom", "v2"}, 801},         {{"atom", "v4"}, 801},
};

static int larger(int a, int b) {
    return a > b ? a : b;
}

/* Whether the list, with a space around each word, has this one. */
static bool is_known(const char *list, const char *word, size_t length) {
    for (const char *at = list; (at = strchr(at, ' ')) && at[1]; ++at)
        if (strncmp(at + 1, word, length) == 0 && at[1 + length] == ' ')
            return true;
    return false;
}

/* Whether an instruction, words with dots between, has this word. */
static bool has_word(const char *instruction, size_t length, const char *word) {
    for (size_t begin = 0, end; begin < length; begin = end + 1) {
        for (end = begin; end < length && instruction[end] != '.'; ++end)
            ;
        if (end - begin == strlen(word) && memcmp(instruction + begin, word, end - begin) == 0)
            return true;
    }
    return false;
}

static int version_of_instruction(const char *instruction, size_t length) {
    int version = 0;
    for (size_t begin = 0, end; begin < length; begin = end + 1) {
        for (end = begin; end < length && instruction[end] != '.'; ++end)
            ;
        if (!is_known(known_instructions, instruction + begin, end - begin))
            return UNKNOWN;
    }
    for (size_t i = 0; i < sizeof newer_instructions / sizeof *newer_instructions; ++i) {
        bool all = true;
        for (int w = 0; w < 3 && newer_instructions[i].words[w]; ++w)
            all = all && has_word(instruction, length, newer_instructions[i].words[w]);
        if (all)
            version = larger(version, newer_instructions[i].version);
    }
    return version;
}

static const char word_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

/* A line that begins with a directive: all words after a dot, but for numbers' digits. */
static int version_of_directives(const char *line) {
    const size_t length = strcspn(line, "\n");
    if (strncmp(line, ".pragma", 7) == 0 && strncmp(line + 7, " \"nounroll\";", 12) != 0)
        return UNKNOWN;
    for (size_t i = 0; i < length; ++i) {
        const size_t word = strspn(line + i + 1, word_letters);
        if (line[i] == '.' && (line[i + 1] < '0' || line[i + 1] > '9') &&
            !is_known(known_directives, line + i + 1, word))
            return UNKNOWN;
    }
    return 0;
}

/* The version that the statements of a text need. Braces are scopes, or surround the operands of a vector. */
static int version_of_statements(const char *at) {
    int version = 0;
    while (*(at += strspn(at, " \t\r\n;{}"))) {
        if (at[0] == '/' && at[1] == '/') {
            at += strcspn(at, "\n");
            continue;
        }
        if (*at == '@') {
            at += strcspn(at, " \t\n");
            at += strspn(at, " \t");
        }
        const size_t length = strspn(at, word_letters), whole = length + strspn(at + length, ".:");
        if (*at == '.') {
            version = larger(version, version_of_directives(at));
            at += strcspn(at, "\n");
        } else if (length > 0 && *at >= 'a' && *at <= 'z' && (whole == length || at[length] == '.')) {
            const size_t all = strcspn(at, " \t\r\n;");
            version = larger(version, version_of_instruction(at, all));
        }
        at += strcspn(at, ";{}\n");
    }
    return version;
}

static int version_of_architecture(int architecture) {
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; ++i)
        if (architectures[i].architecture == architecture)
            return architectures[i].version;
    return UNKNOWN;
}

/* The number "major.minor" at `at`; UNKNOWN if there is none. */
static int version_at(const char *at) {
    char *end;
    const long major = strtol(at, &end, 10);
    if (*end != '.' || major < 1 || major > 99)
        return UNKNOWN;
    const long minor = strtol(end + 1, &end, 10);
    return minor >= 0 && minor < 100 ? (int)(100 * major + minor) : UNKNOWN;
}

void dcnv4i_ptx_lower_version(dcnv4i_binary *text) {
    static const char version_word[] = "\n.version ", target_word[] = "\n.target sm_";
    char *const bytes = text->bytes;
    char now[32];
    if (text->size == 0 || memchr(bytes, '\0', text->size) != bytes + text->size - 1)
        return; /* no text */
    char *version = strstr(bytes, version_word), *const target = strstr(bytes, target_word);
    if (!version || !target)
        return;
    version += strlen(version_word);
    const int compilers = version_at(version),
              needed = larger(version_of_architecture(atoi(target + strlen(target_word))),
                              version_of_statements(bytes));
    const size_t room = strspn(version, "0123456789.");
    const int length = snprintf(now, sizeof now, "%d.%d", needed / 100, needed % 100);
    if (needed >= compilers || compilers == UNKNOWN || length < 0 || (size_t)length > room)
        return;
    memset(version, ' ', room);
    memcpy(version, now, (size_t)length);
}
