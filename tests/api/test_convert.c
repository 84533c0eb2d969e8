/* Conversions between dtypes: every 16-bit number there and back, and rounding at and beside every midpoint. */
#include "../support/harness.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct format {
    int32_t dtype;
    int exponent_bits, fraction_bits;
} format;
static const format formats[] = {{DCNV4_FLOAT16, 5, 10}, {DCNV4_BFLOAT16, 8, 7}};

/* What 16 bits mean, from the definition. */
static double meaning(const format *f, unsigned bits) {
    const int exponent = (int)(bits >> f->fraction_bits) & ((1 << f->exponent_bits) - 1);
    const int fraction = (int)(bits & ((1u << f->fraction_bits) - 1)), bias = (1 << (f->exponent_bits - 1)) - 1;
    double magnitude;
    if (exponent == (1 << f->exponent_bits) - 1)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, 1 - bias - f->fraction_bits);
    else
        magnitude = ldexp(fraction + (1 << f->fraction_bits), exponent - bias - f->fraction_bits);
    return bits >> 15 ? -magnitude : magnitude;
}

static uint16_t narrow(const format *f, double number) {
    uint16_t bits;
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, &number, f->dtype, &bits, 1));
    return bits;
}

static void every_16_bit_number(void **state) {
    (void)state;
    for (int i = 0; i < 2; ++i) {
        static uint16_t all[65536], back[65536];
        static double numbers[65536];
        static float singles[65536];
        const format *f = &formats[i];
        for (unsigned bits = 0; bits < 65536; ++bits)
            all[bits] = (uint16_t)bits;
        ASSERT_SUCCESS(dcnv4_convert(f->dtype, all, DCNV4_FLOAT64, numbers, 65536));
        ASSERT_SUCCESS(dcnv4_convert(f->dtype, all, DCNV4_FLOAT32, singles, 65536));
        ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT32, singles, f->dtype, back, 65536));
        for (unsigned bits = 0; bits < 65536; ++bits) {
            const double expected = meaning(f, bits);
            if (isnan(expected)) {
                assert_true(isnan(numbers[bits]) && isnan(singles[bits]) && isnan(meaning(f, back[bits])));
                assert_true(isnan(meaning(f, narrow(f, numbers[bits]))));
            } else {
                assert_true(memcmp(&numbers[bits], &expected, sizeof expected) == 0);
                assert_true(singles[bits] == expected);
                assert_int_equal(back[bits], bits);
                assert_int_equal(narrow(f, numbers[bits]), bits);
            }
            count_case();
        }
    }
}

/* For neighbours a < b of a format, numbers below the midpoint round to a and those above it to b; the midpoint rounds
 * to the one with the even fraction. After the largest number comes infinity. */
static void midpoints(void **state) {
    (void)state;
    for (int i = 0; i < 2; ++i) {
        const format *f = &formats[i];
        const unsigned infinite = ((1u << f->exponent_bits) - 1) << f->fraction_bits;
        for (unsigned bits = 0; bits < infinite; ++bits) {
            const double a = meaning(f, bits), below = bits ? meaning(f, bits - 1) : 0;
            const double b = bits + 1 == infinite ? a + (a - below) : meaning(f, bits + 1), middle = a + (b - a) / 2;
            const unsigned even = bits & 1 ? bits + 1 : bits;
            assert_int_equal(narrow(f, nextafter(middle, 0)), bits);
            assert_int_equal(narrow(f, middle), even);
            assert_int_equal(narrow(f, nextafter(middle, INFINITY)), bits + 1);
            assert_int_equal(narrow(f, -middle), 0x8000 | even);
            count_case();
        }
        assert_int_equal(narrow(f, 1e300), infinite);
        assert_int_equal(narrow(f, -1e300), 0x8000 | infinite);
        assert_int_equal(narrow(f, INFINITY), infinite);
        assert_int_equal(narrow(f, 5e-324), 0);
        assert_int_equal(narrow(f, -5e-324), 0x8000);
    }
}

static void float32_rounds_once(void **state) {
    (void)state;
    const struct {
        double given;
        float expected;
    } table[] = {
        {1 + 0x1p-24, 1},
        {1 + 0x1.8p-23, 1 + 0x1p-22f},
        {1 + 0x1.0001p-24, 1 + 0x1p-23f},
        {0x1.ffffffp127, INFINITY},
        {0x1.fffffefffp127, 0x1.fffffep127f},
        {-1e40, -INFINITY},
        {0x1p-150, 0},
        {0x1.8p-150, 0x1p-149f},
        {-0.0, -0.0f},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
        float single;
        ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, &table[i].given, DCNV4_FLOAT32, &single, 1));
        assert_memory_equal(&single, &table[i].expected, sizeof single);
        count_case();
    }
}

static void nothing_needs_alignment(void **state) {
    (void)state;
    const double numbers[] = {1.5, -2.25, 1e-3, 65504};
    for (EACH_DTYPE(from))
        for (EACH_DTYPE(to)) {
            char source[40], target[40], back[40];
            ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, numbers, from, source + 1, 4));
            memset(target, 0x7e, sizeof target);
            ASSERT_SUCCESS(dcnv4_convert(from, source + 1, to, target + 3, 4));
            ASSERT_SUCCESS(dcnv4_convert(to, target + 3, DCNV4_FLOAT64, back + 5, 4));
            double first;
            memcpy(&first, back + 5, sizeof first);
            assert_true(first == 1.5);
            const size_t item = to == DCNV4_FLOAT64 ? 8 : to == DCNV4_FLOAT32 ? 4 : 2;
            for (size_t i = 3 + 4 * item; i < sizeof target; ++i)
                assert_int_equal(target[i], 0x7e);
            assert_int_equal(target[2], 0x7e);
            count_case();
        }
}

/* From a dtype to itself: the same bits, including a NaN's payload. */
static void copies(void **state) {
    (void)state;
    static uint16_t halves[65536], made[65536];
    static const uint32_t singles[] = {0x7f800001, 0xffbfffff, 0x7fc12345, 0x00000001, 0x80000000, 0x3f800000};
    static const uint64_t doubles[] = {0x7ff0000000000001, 0xfff7ffffffffffff, 0x7ff8000012345678, 1,
                                       0x3ff0000000000000};
    uint32_t single[6];
    uint64_t wide[5];
    for (unsigned i = 0; i < 65536; ++i)
        halves[i] = (uint16_t)i;
    for (int32_t dtype = DCNV4_FLOAT16; dtype <= DCNV4_BFLOAT16; ++dtype) {
        memset(made, 0, sizeof made);
        ASSERT_SUCCESS(dcnv4_convert(dtype, halves, dtype, made, 65536));
        assert_memory_equal(made, halves, sizeof made);
    }
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT32, singles, DCNV4_FLOAT32, single, 6));
    assert_memory_equal(single, singles, sizeof single);
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, doubles, DCNV4_FLOAT64, wide, 5));
    assert_memory_equal(wide, doubles, sizeof wide);
    count_case();
}

static void wrong_calls(void **state) {
    (void)state;
    double number = 1;
    uint16_t bits = 7;
    assert_refused(dcnv4_convert(4, &number, DCNV4_FLOAT16, &bits, 1), DCNV4_INVALID_ARGUMENT, "dtype is 4");
    assert_refused(dcnv4_convert(DCNV4_FLOAT64, &number, -1, &bits, 1), DCNV4_INVALID_ARGUMENT, "dtype is -1");
    assert_refused(dcnv4_convert(DCNV4_FLOAT64, NULL, DCNV4_FLOAT16, &bits, 1), DCNV4_INVALID_ARGUMENT,
                   "source is NULL");
    assert_refused(dcnv4_convert(DCNV4_FLOAT64, &number, DCNV4_FLOAT16, NULL, 1), DCNV4_INVALID_ARGUMENT,
                   "target is NULL");
    ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, NULL, DCNV4_FLOAT16, NULL, 0));
    assert_int_equal(bits, 7);
}

/* "Rounded to nearest" holds whatever the caller's rounding mode is. */
static void rounding_modes(void **state) {
    (void)state;
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    const double numbers[] = {1 + 0x1p-30, -1 - 0x1p-30, 1 - 0x1p-30, 0.1, 1e40};
    for (size_t i = 0; i < 5; ++i)
        for (int m = 0; m < 3; ++m) {
            float expected = (float)numbers[i], single = 0;
            assert_int_equal(fesetround(modes[m]), 0);
            const dcnv4_status status = dcnv4_convert(DCNV4_FLOAT64, &numbers[i], DCNV4_FLOAT32, &single, 1);
            const int mode = fegetround();
            fesetround(FE_TONEAREST);
            assert_status(status, DCNV4_SUCCESS, "dcnv4_convert");
            assert_int_equal(mode, modes[m]);
            assert_memory_equal(&single, &expected, sizeof single);
            count_case();
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_16_bit_number),     cmocka_unit_test(midpoints), cmocka_unit_test(float32_rounds_once),
        cmocka_unit_test(nothing_needs_alignment), cmocka_unit_test(copies),    cmocka_unit_test(wrong_calls),
        cmocka_unit_test(rounding_modes),
    };
    return HARNESS_RUN(argc, argv, tests);
}
