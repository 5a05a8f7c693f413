/* Softmax along rows, in gemmlowp's fixed point: bit for bit as TensorFlow Lite's reference kernel. A number of n
 * integer bits is an int32 worth raw / 2^(31 - n). */
#ifndef NETWRIGHT_SOFTMAX_H
#define NETWRIGHT_SOFTMAX_H

#include "requantise.h"

/* the doubling high half of a product, rounded */
NW_INLINE int32_t nw_high(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent, nearest, halves away from zero; exponent at most 31 */
NW_INLINE int32_t nw_shift(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0));
}

/* x * 2^exponent, held inside 32 bits */
NW_INLINE int32_t nw_widen(int32_t x, int32_t exponent)
{
    const int32_t limit = INT32_MAX >> exponent;
    return x > limit ? INT32_MAX : x < -limit - 1 ? INT32_MIN : (int32_t)((uint32_t)x << exponent);
}

/* e^a for a <= 0 of 5 integer bits; the result has none: Taylor inside a quarter, then a factor for each bit above */
NW_LAYER int32_t nw_exp_negative(int32_t a)
{
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t start = 1895147668, third = 715827883; /* e^(-1/8), 1/3 */
    if (a == 0)
        return INT32_MAX;
    const int32_t inside = (a & ((1 << 24) - 1)) - (1 << 24);
    const int32_t rest = inside - a;
    const int32_t x = inside * 32 + (1 << 28);
    const int32_t x2 = nw_high(x, x), x3 = nw_high(x2, x), x4 = nw_high(x2, x2);
    const int32_t tail = nw_shift(nw_high(nw_shift(x4, 2) + x3, third) + x2, 1);
    int32_t result = start + nw_high(start, x + tail);
    for (int32_t k = 0; k < 7; k++)
        if (rest >> (24 + k) & 1)
            result = nw_high(result, powers[k]);
    return result;
}

/* 1 / (1 + a) for a in [0, 1): three Newton-Raphson steps */
NW_INLINE int32_t nw_inverse_one_plus(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + nw_high(half, -1010580540); /* 48/17 - 32/17 * half, 2 integer bits */
    for (int32_t i = 0; i < 3; i++)
        x += nw_widen(nw_high(x, (1 << 29) - nw_high(half, x)), 2);
    return nw_widen(x, 1);
}

NW_INLINE void nw_softmax(const int8_t *x, int8_t *y, int32_t rows, int32_t n, int32_t multiplier, int32_t shift,
                          int32_t least)
{
    for (int32_t r = 0; r < rows; r++, x += n, y += n) {
        int32_t largest = -128;
        for (int32_t i = 0; i < n; i++)
            largest = x[i] > largest ? x[i] : largest;
        int32_t sum = 0; /* 12 integer bits */
        for (int32_t i = 0; i < n; i++) {
            const int32_t difference = x[i] - largest;
            if (difference >= least)
                sum += nw_shift(nw_exp_negative(nw_high((int32_t)((uint32_t)difference << shift), multiplier)), 12);
        }
        const int32_t headroom = __builtin_clz((uint32_t)sum);
        const int32_t inverse = nw_inverse_one_plus((int32_t)(((uint32_t)sum << headroom) - (1u << 31)));
        const int32_t down = 12 - headroom + 31 - 8;
        for (int32_t i = 0; i < n; i++) {
            const int32_t difference = x[i] - largest;
            int32_t v = -128;
            if (difference >= least && down <= 31)
                v += nw_shift(nw_high(inverse, nw_exp_negative(nw_high((int32_t)((uint32_t)difference << shift), multiplier))), down);
            y[i] = nw_clamp(v, -128, 127);
        }
    }
}

#endif
