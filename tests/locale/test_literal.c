/* Numbers in a kernel's text are what printf writes in the C locale, whatever the locale and rounding mode are. */
#include "../../backends/gpu/runtime/literal.h"
#include "../support/harness.h"

#include <fenv.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void assert_literal(double number, const char *expected) {
    char text[DCNV4I_LITERAL_ROOM];
    for (size_t m = 0; m < sizeof modes / sizeof *modes; ++m) {
        fesetround(modes[m]);
        dcnv4i_literal(number, text);
        fesetround(FE_TONEAREST);
        if (strcmp(text, expected) != 0)
            fail_msg("rounding mode %d: %a is \"%s\", not \"%s\"", modes[m], number, text, expected);
    }
    count_case();
}

static void known(void **state) {
    (void)state;
    assert_literal(0, "0x0p+0f");
    assert_literal(-0.0, "-0x0p+0f");
    assert_literal(1, "0x1p+0f");
    assert_literal(1.5, "0x1.8p+0f");
    assert_literal(-2.5, "-0x1.4p+1f");
    assert_literal(0.1, "0x1.99999ap-4f");
    assert_literal(1 + 0x1p-23, "0x1.000002p+0f");
    assert_literal(1 + 0x1p-24, "0x1p+0f");               /* a tie, to even */
    assert_literal(1 + 0x1.8p-23, "0x1.000004p+0f");      /* a tie, to even */
    assert_literal(1 + 0x1.000002p-24, "0x1.000002p+0f"); /* more than a tie */
    assert_literal(0x1.fffffffp+3, "0x1p+4f");            /* a carry */
    assert_literal(FLT_MAX, "0x1.fffffep+127f");
    assert_literal(0x1.ffffffp+127, "0x1.fffffep+127f"); /* would round to infinity */
    assert_literal(1e300, "0x1.fffffep+127f");
    assert_literal(-DBL_MAX, "-0x1.fffffep+127f");
    assert_literal(FLT_MIN, "0x1p-126f");
    assert_literal(0x1.8p-149, "0x1p-148f");
    assert_literal(0x1p-149, "0x1p-149f");
    assert_literal(0x1p-150, "0x0p+0f");
    assert_literal(-0x1.000001p-150, "-0x1p-149f");
    assert_literal(5e-324, "0x0p+0f");
}

/* Floats of all sizes against printf, whose decimal mark becomes a point. */
static void drawn(void **state) {
    (void)state;
    uint64_t seed = 5;
    const char mark = *localeconv()->decimal_point;
    for (int i = 0; i < 20000; ++i) {
        const uint32_t bits = (uint32_t)draw_bits(&seed);
        float number;
        char expected[64];
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        snprintf(expected, sizeof expected, "%af", (double)number);
        if (strchr(expected, mark))
            *strchr(expected, mark) = '.';
        assert_literal((double)number, expected);
    }
}

/* Without a decimal comma the other tests would prove nothing. */
static void the_locale_has_a_comma(void **state) {
    (void)state;
    char text[8];
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, "1,5");
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, "");
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_locale_has_a_comma), cmocka_unit_test(known),
                                       cmocka_unit_test(drawn)};
    return HARNESS_RUN(argc, argv, tests);
}
