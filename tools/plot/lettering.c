/* The letters of canvas.h: strokes on a grid whose capitals reach from row 0 to row 9 and whose tails reach to row
 * 12. */
#include "canvas.h"

#include <string.h>

typedef struct glyph {
    const char *letter;  /* in UTF-8 */
    int width;           /* in columns */
    const char *strokes; /* pairs of column and row (a is 10), joined; spaces lift the pen */
} glyph;

/* clang-format off */
static const glyph glyphs[] = {
    {"0", 6, "204062674929070220"}, {"1", 3, "023039"}, {"2", 6, "02204062630969"},
    {"3", 6, "01204062634424 446667492908"}, {"4", 6, "400666 4049"}, {"5", 6, "60100423436567492908"},
    {"6", 6, "514020020729496765432305"}, {"7", 6, "006029"}, {"8", 6, "204061634424030120 244466674929070624"},
    {"9", 6, "644626040220406267492918"},
    {"a", 5, "5359 5543230507293957"}, {"b", 5, "0009 0523335557392907"}, {"c", 5, "5433230507293958"},
    {"d", 5, "5059 5533230507293957"}, {"e", 5, "06565533230507293958"}, {"f", 3, "40301219 0333"},
    {"g", 5, "535a3c1c0b 5533230507293957"}, {"h", 5, "0009 0523435459"}, {"i", 0, "0309 0000"},
    {"j", 2, "232a1c0c 2020"}, {"k", 4, "0009 4306 1549"}, {"l", 0, "0009"}, {"m", 8, "0309 0523334449 4563738489"},
    {"n", 5, "0309 0523435459"}, {"o", 5, "233355573929070523"}, {"p", 5, "030c 0523335557392907"},
    {"q", 5, "535c 5533230507293957"}, {"r", 3, "0309 052333"}, {"s", 4, "443313040516364748391908"},
    {"t", 3, "10182939 0333"}, {"u", 5, "0307293957 5359"}, {"v", 4, "032943"}, {"w", 6, "0319345963"},
    {"x", 4, "0349 4309"}, {"y", 4, "0329 431c0c"}, {"z", 4, "03430949"},
    {"A", 6, "093069 1656"}, {"B", 6, "00094968664404 4463614000"}, {"C", 6, "6140200207294968"},
    {"D", 6, "00093967623000"}, {"E", 5, "50000959 0444"}, {"F", 5, "500009 0444"}, {"G", 6, "61402002072949676535"},
    {"H", 6, "0009 6069 0464"}, {"I", 0, "0009"}, {"J", 4, "4047391908"}, {"K", 6, "0009 6005 2369"},
    {"L", 5, "000959"}, {"M", 6, "0900356069"}, {"N", 6, "09006960"}, {"O", 6, "204062674929070220"},
    {"P", 6, "09004061634505"}, {"Q", 6, "204062674929070220 4669"}, {"R", 6, "09004061634505 3569"},
    {"S", 6, "614020020324446667492908"}, {"T", 6, "0060 3039"}, {"U", 6, "000729496760"}, {"V", 6, "003960"},
    {"W", 8, "0029426980"}, {"X", 6, "0069 6009"}, {"Y", 6, "003460 3439"}, {"Z", 6, "00600969"},
    {".", 0, "0909"}, {",", 1, "180b"}, {":", 0, "0404 0909"}, {";", 1, "1414 180b"}, {"-", 3, "0535"},
    {"+", 4, "0646 2428"}, {"=", 4, "0444 0747"}, {"(", 2, "2003082b"}, {")", 2, "0023280b"}, {"[", 2, "20000b2b"},
    {"]", 2, "00202b0b"}, {"/", 4, "0a40"}, {"|", 0, "000b"}, {"_", 5, "0a5a"}, {"%", 6, "6009 1011 5859"},
    {"'", 0, "0002"}, {"\"", 2, "0002 2022"}, {"<", 4, "430649"}, {">", 4, "034609"}, {"#", 6, "2019 5049 0363 0666"},
    {"*", 4, "2226 0345 4305"}, {"×", 4, "0448 4408"}, {"·", 0, "0505"}, {"—", 6, "0565"}, {"–", 4, "0545"},
};

/* clang-format on */

static const glyph unknown = {"?", 5, "02103052532636 3939"};

/* The glyph of the letter at *text, which is moved past it. */
static const glyph *next(const char **text) {
    size_t length = 1;
    while (((*text)[length] & 0xc0) == 0x80)
        ++length;
    const glyph *found = &unknown;
    for (size_t i = 0; i < sizeof glyphs / sizeof *glyphs; ++i)
        if (strlen(glyphs[i].letter) == length && memcmp(glyphs[i].letter, *text, length) == 0)
            found = &glyphs[i];
    *text += length;
    return found;
}

static int grid(char digit) {
    return digit >= 'a' ? digit - 'a' + 10 : digit - '0';
}

enum { CAPITAL = 9, GAP = 3, SPACE = 5 };

double dcnv4i_draw_text(dcnv4i_canvas *canvas, double x, double y, double size, const char *text, dcnv4i_color color) {
    const double unit = size / CAPITAL, thickness = size * 0.14;
    while (*text) {
        if (*text == ' ') {
            x += SPACE * unit;
            ++text;
            continue;
        }
        const glyph *drawn = next(&text);
        for (const char *at = drawn->strokes; canvas && *at; at += 2) {
            if (*at == ' ')
                ++at;
            if (at[2] == '\0' || at[2] == ' ')
                continue;
            dcnv4i_draw_line(canvas, x + grid(at[0]) * unit, y + (grid(at[1]) - CAPITAL) * unit, x + grid(at[2]) * unit,
                             y + (grid(at[3]) - CAPITAL) * unit, thickness, color, 1);
        }
        x += (drawn->width + GAP) * unit;
    }
    return x;
}

double dcnv4i_text_width(double size, const char *text) {
    return *text ? dcnv4i_draw_text(NULL, 0, 0, size, text, (dcnv4i_color){0, 0, 0}) - GAP * size / CAPITAL : 0;
}
