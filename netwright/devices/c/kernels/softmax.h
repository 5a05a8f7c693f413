/* Softmax along rows, in gemmlowp's fixed point: bit for bit as TensorFlow Lite's reference kernel. */
#ifndef NETWRIGHT_SOFTMAX_H
#define NETWRIGHT_SOFTMAX_H

#include "fixed_point.h"

/* one result on `bits` bits, the smallest of them where e^difference vanishes */
NW_INLINE int32_t nw_softmax_at(int32_t difference, int32_t least, int32_t multiplier, int32_t shift, int32_t inverse,
                                int32_t headroom, int32_t bits)
{
    const int32_t smallest = -(1 << (bits - 1)), down = 12 - headroom + 31 - bits;
    if (difference < least || down > 31)
        return smallest;
    const int32_t power = nw_exp_negative(nw_high((int32_t)((uint32_t)difference << shift), multiplier));
    return nw_clamp_wide(smallest + nw_shift(nw_high(inverse, power), down), smallest, -smallest - 1);
}

/* x [rows, n] to y [rows, n] of 8 or 16 bits */
NW_INLINE void nw_softmax(const int8_t *x, void *y, int32_t bits, int32_t rows, int32_t n, int32_t multiplier,
                          int32_t shift, int32_t least)
{
    for (int32_t r = 0; r < rows; r++, x += n) {
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
        for (int32_t i = 0; i < n; i++) {
            const int32_t v = nw_softmax_at(x[i] - largest, least, multiplier, shift, inverse, headroom, bits);
            if (bits == 8)
                ((int8_t *)y)[r * n + i] = (int8_t)v;
            else
                ((int16_t *)y)[r * n + i] = (int16_t)v;
        }
    }
}

#endif
