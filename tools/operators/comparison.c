#include "comparison.h"

#include <float.h>
#include <math.h>

static const struct {
    int32_t dtype;
    int bits;  /* of the significand, including the implicit one */
    int least; /* the exponent of the smallest normal number */
    double largest;
} formats[] = {
    {DCNV4_FLOAT32, 24, -126, FLT_MAX},
    {DCNV4_FLOAT16, 11, -14, 65504},
    {DCNV4_BFLOAT16, 8, -126, 0x1.fep127},
    {DCNV4_FLOAT64, 53, -1022, DBL_MAX},
};

enum { FORMATS = sizeof formats / sizeof *formats };

double dcnv4i_bound_rounding(int32_t dtype, double number) {
    for (int i = 0; i < FORMATS; ++i)
        if (formats[i].dtype == dtype) {
            int exponent;
            frexp(number, &exponent); /* |number| < 2^exponent */
            const bool normal = number != 0 && exponent - 1 >= formats[i].least;
            return ldexp(1, (normal ? exponent - 1 : formats[i].least) - formats[i].bits);
        }
    return 0;
}

static double largest_of(int32_t dtype) {
    for (int i = 0; i < FORMATS; ++i)
        if (formats[i].dtype == dtype)
            return formats[i].largest;
    return 0;
}

void dcnv4i_compare(dcnv4i_comparison *comparison, int32_t dtype, int64_t index, double got, double expected,
                    double bound) {
    double error = fabs(got - expected);
    const double rounding = expected == 0 && bound == 0 ? 0 : dcnv4i_bound_rounding(dtype, fabs(expected) + bound);
    const double allowed = bound + rounding;
    const bool overflows = fabs(expected) + allowed >= largest_of(dtype);
    if ((isnan(got) && isnan(expected)) || got == expected || (overflows && isinf(got) && (got < 0) == (expected < 0)))
        error = 0;
    else if (!isfinite(bound) && isfinite(expected))
        return;
    comparison->judged += 1;
    const double share = error <= rounding ? 0 : (error - rounding) / bound;
    const bool wrong = !(error <= allowed) && error != 0;
    if ((wrong && !comparison->wrong) || (!comparison->wrong && share > comparison->share)) {
        comparison->worst = index;
        comparison->got = got, comparison->expected = expected, comparison->allowed = allowed;
    }
    comparison->wrong = comparison->wrong || wrong;
    if (!isnan(comparison->share) && !(share <= comparison->share))
        comparison->share = share;
    if (isfinite(expected) && isfinite(got)) {
        comparison->error += error * error;
        comparison->norm += expected * expected;
    }
}

double dcnv4i_comparison_normwise(const dcnv4i_comparison *comparison) {
    return comparison->error == 0 ? 0 : sqrt(comparison->error / comparison->norm);
}
