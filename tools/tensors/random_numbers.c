#include "random_numbers.h"

#include "npy.h"

#include <math.h>

/* Marsaglia's polar method. */
double dcnv4i_random_normal(dcnv4i_random *random) {
    double x, square;
    do {
        x = 2 * dcnv4i_random_unit(random) - 1;
        const double y = 2 * dcnv4i_random_unit(random) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * log(square) / square);
}

void dcnv4i_fill_normal(dcnv4i_random *random, double deviation, int32_t dtype, void *memory, size_t count) {
    double numbers[256];
    const size_t item = dcnv4i_dtype_bytes(dtype);
    for (size_t done = 0; done < count;) {
        const size_t some = count - done < 256 ? count - done : 256;
        for (size_t i = 0; i < some; ++i)
            numbers[i] = deviation * dcnv4i_random_normal(random);
        dcnv4_convert(DCNV4_FLOAT64, numbers, dtype, (char *)memory + done * item, some);
        done += some;
    }
}
