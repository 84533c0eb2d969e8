/* The softmax of rows of weights, for operators whose weights are given before it. */

#ifdef HAS_VPOW2
/* e^x for x ≤ 0, −∞ and NaN among them, to one unit in the last place: 2^n · e^r with a whole n and |r| ≤ ln 2 / 2. The
 * polynomial is that of the Cephes library's expf (S. Moshier, netlib.org/cephes). */
static inline vec vexp(vec x) {
    const vec bounded = vmax(x, vset((real)-104)); /* e^−104 rounds to 0 */
    const vec n = vfloor(vfma(bounded, vset((real)1.44269504088896341), vset((real)0.5)));
    const vec r = vfma(n, vset((real)2.12194440e-4), vfma(n, vset((real)-0.693359375), bounded));
    vec y = vset((real)1.9875691500e-4);
    y = vfma(y, r, vset((real)1.3981999507e-3));
    y = vfma(y, r, vset((real)8.3334519073e-3));
    y = vfma(y, r, vset((real)4.1665795894e-2));
    y = vfma(y, r, vset((real)1.6666665459e-1));
    y = vfma(y, r, vset((real)5.0000001201e-1));
    y = vadd(vfma(y, vmul(r, r), r), vset(1));
    const vec normal = vmax(n, vset(-100)); /* in two steps, since 2^n may be subnormal */
    y = vmul(vmul(y, vpow2(normal)), vpow2(vsub(n, normal)));
    return vselect(vequal(x, x), y, x);
}
#else
static inline vec vexp(vec x) {
    real lane[LANES];
    vstore(lane, x);
    for (int i = 0; i < LANES; ++i)
        lane[i] = real_exp(lane[i]);
    return vload(lane);
}
#endif

/* exp(number − largest). There is room for a vector behind the last number, where numbers are changed. */
static inline void exponentials(real *number, int64_t count, real largest) {
    for (int64_t i = 0; i < count; i += LANES)
        vstore(number + i, vexp(vsub(vload(number + i), vset(largest))));
}

/* exp(weight − largest) / sum, for `rows` rows of `count` weights, with such room behind the last. */
static inline void soften(real *weight, int64_t rows, int64_t count) {
    for (int64_t row = 0; row < rows; ++row) {
        real *const of_row = weight + row * count, largest = -INFINITY;
        for (int64_t k = 0; k < count; ++k)
            largest = of_row[k] > largest ? of_row[k] : largest;
        for (int64_t k = 0; k < count; ++k)
            of_row[k] -= largest;
    }
    exponentials(weight, rows * count, 0);
    for (int64_t row = 0; row < rows; ++row) {
        real *const of_row = weight + row * count, sum = 0;
        for (int64_t k = 0; k < count; ++k)
            sum += of_row[k];
        const real part = 1 / sum;
        for (int64_t k = 0; k < count; ++k)
            of_row[k] *= part;
    }
}
