/* Fixed-point requantisation, bit for bit as TensorFlow Lite's reference kernels (gemmlowp) do it. */
#ifndef NETWRIGHT_REQUANTISE_H
#define NETWRIGHT_REQUANTISE_H

#include "base.h"

/* x * multiplier * 2^(shift - 31): the doubling high half, rounded, then a rounding shift to the right. */
NW_INLINE int32_t nw_scale(int32_t x, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 0 ? shift : 0;
    int32_t right = shift > 0 ? 0 : -shift;
    int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    int32_t high = (int32_t)((product + (1 << 30)) >> 31);
    int32_t mask = (int32_t)((1u << right) - 1u);
    int32_t remainder = high & mask;
    return (high >> right) + (remainder > (mask >> 1) + (high < 0));
}

/* The same with one rounding, halves up: what LiteRT's fully connected kernel does. */
NW_INLINE int32_t nw_scale_once(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t down = 31 - shift;
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (down - 1))) >> down);
}

NW_INLINE int32_t nw_clamp_wide(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

NW_INLINE int8_t nw_clamp(int32_t v, int32_t low, int32_t high)
{
    return (int8_t)nw_clamp_wide(v, low, high);
}

/* An accumulator as int8. */
NW_INLINE int8_t nw_finish(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
    return nw_clamp(nw_scale(acc, multiplier, shift) + zero, low, high);
}

#endif
