#include "random_numbers.h"

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
