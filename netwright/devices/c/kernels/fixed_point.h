/* gemmlowp's fixed point, bit for bit: on 32 bits a number of n integer bits is worth raw / 2^(31 - n), on 16 bits
 * raw / 2^(15 - n). */
#ifndef NETWRIGHT_FIXED_POINT_H
#define NETWRIGHT_FIXED_POINT_H

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
NW_KERNEL int32_t nw_exp_negative(int32_t a)
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

/* --- on 16 bits; numbers are held in int32_t */

NW_INLINE int32_t nw_hold16(int32_t v)
{
    return nw_clamp_wide(v, -32768, 32767);
}

NW_INLINE int32_t nw_high16(int32_t a, int32_t b)
{
    const int32_t v = (a * b + (1 << 14)) >> 15;
    return v > 32767 ? 32767 : v;
}

/* e^a for a <= 0 of `bits` integer bits; the result has none */
NW_INLINE int32_t nw_exp_negative16(int32_t a, int32_t bits)
{
    static const int16_t powers[7] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const int32_t start = 28918, third = 10923; /* e^(-1/8), 1/3 */
    const int32_t fraction = 15 - bits, quarter = 1 << (fraction - 2);
    if (a == 0)
        return 32767;
    if (bits > 5 && a < -(1 << (fraction + 5)))
        return 0;
    const int32_t inside = (a & (quarter - 1)) - quarter;
    const int32_t rest = inside - a;
    const int32_t x = nw_hold16(inside * (1 << bits)) + (1 << 12);
    const int32_t x2 = nw_high16(x, x), x3 = nw_high16(x2, x), x4 = nw_high16(x2, x2);
    const int32_t tail = nw_shift(nw_high16(nw_shift(x4, 2) + x3, third) + x2, 1);
    int32_t result = nw_hold16(start + nw_high16(start, x + tail));
    for (int32_t k = -2; k < bits && k < 5; k++)
        if (rest >> (fraction + k) & 1)
            result = nw_high16(result, powers[k + 2]);
    return result;
}

/* 2 / (1 + a) for a in [0, 1), 2 integer bits */
NW_INLINE int32_t nw_newton16(int32_t a)
{
    const int32_t half = (a + 32768) >> 1;
    int32_t x = 23130 + nw_high16(half, -15420);
    for (int32_t i = 0; i < 3; i++)
        x += nw_hold16(nw_high16(x, (1 << 13) - nw_high16(half, x)) * 4);
    return x;
}

/* 1 / (1 + e^-a) */
NW_KERNEL int32_t nw_logistic16(int32_t a, int32_t bits)
{
    if (a == 0)
        return 1 << 14;
    const int32_t positive = nw_hold16(nw_newton16(nw_exp_negative16(a < 0 ? a : -a, bits)) * 2);
    return a > 0 ? positive : 32767 - positive;
}

NW_KERNEL int32_t nw_tanh16(int32_t a, int32_t bits)
{
    if (a == 0)
        return 0;
    const int32_t size = nw_hold16((nw_newton16(nw_exp_negative16(a < 0 ? a : -a, bits + 1)) - (1 << 13)) * 4);
    return a < 0 ? -size : size;
}

#endif
