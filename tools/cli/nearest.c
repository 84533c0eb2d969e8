#include "nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 32 };

/* In lower-case ASCII, without leading dashes, and with a dash for each underscore. */
static size_t plain(const char *word, size_t length, char text[LONGEST]) {
    size_t count = 0;
    while (length > 0 && *word == '-')
        ++word, --length;
    for (; count < length && count < LONGEST - 1; ++count) {
        const char c = word[count];
        text[count] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    text[count] = '\0';
    return length < LONGEST ? count : 0;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* How many letters to insert, remove, replace or swap with a neighbour to turn one into the other. */
static int distance(const char *a, const char *b) {
    static int d[LONGEST + 1][LONGEST + 1];
    const int rows = (int)strlen(a), columns = (int)strlen(b);
    for (int i = 0; i <= rows; ++i)
        for (int j = 0; j <= columns; ++j) {
            d[i][j] = i == 0 ? j : j == 0 ? i : least(d[i - 1][j], d[i][j - 1]) + 1;
            if (i > 0 && j > 0)
                d[i][j] = least(d[i][j], d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[rows][columns];
}

/* Whether this is what a single letter means in most programs. */
static bool is_usual(const char *name) {
    static const char *const usual[] = {"--offset-mask", "--output", "--device", "--threads", "--format", NULL};
    for (const char *const *each = usual; *each; ++each)
        if (strcmp(name, *each) == 0)
            return true;
    return false;
}

/* Of the names that begin with the first count letters of text, the usual one, else the shortest. */
static const char *that_begins(const char *text, size_t count, const char *const *names) {
    const char *found = NULL;
    for (; *names; ++names) {
        char name[LONGEST];
        plain(*names, strlen(*names), name);
        if (strncmp(name, text, count) == 0 &&
            (!found || is_usual(*names) || (!is_usual(found) && strlen(*names) < strlen(found))))
            found = *names;
    }
    return found;
}

const char *dcnv4i_nearest(const char *word, size_t length, const char *const *names) {
    char text[LONGEST], name[LONGEST];
    const size_t count = plain(word, length, text);
    if (count == 0)
        return NULL;
    const char *found = NULL;
    int best = count < 4 ? 2 : 3; /* less than this */
    for (const char *const *each = names; *each; ++each) {
        plain(*each, strlen(*each), name);
        const int away = distance(text, name);
        if (away < best)
            best = away, found = *each;
    }
    const char *begun = best > 0 ? that_begins(text, count, names) : NULL;
    if (begun)
        return begun;
    if (!found && length > 1 && word[0] == '-' && word[1] != '-')
        found = that_begins(text, 1, names); /* "-k3" */
    return found;
}
