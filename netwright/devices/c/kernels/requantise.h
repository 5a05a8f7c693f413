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

/* one copy for what is rare */
NW_KERNEL int32_t nw_slow_once(int32_t x, int32_t multiplier, int32_t down)
{
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (down - 1))) >> down);
}

/* The same with one rounding, halves up: what LiteRT's fully connected kernel does. */
NW_INLINE int32_t nw_scale_once(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t down = 31 - shift;
    if (down > 32) /* a half of what is rounded away lies in the upper word: the lower one cannot carry into it */
        return ((int32_t)(((int64_t)x * multiplier) >> 32) + (1 << (down - 33))) >> (down - 32);
    return nw_slow_once(x, multiplier, down);
}

NW_INLINE int32_t nw_clamp_wide(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

NW_INLINE int8_t nw_clamp(int32_t v, int32_t low, int32_t high)
{
    return (int8_t)nw_clamp_wide(v, low, high);
}

#if defined(__ARM_FEATURE_DSP)
#define NW_FAST_FINISH 1
#endif

/* The same for accumulators inside 30 bits and scales under a half: `down` is the shift to the right less one. The
 * doubling high half is SMMULR of the doubled accumulator; the last halving is part of the saturation. */
NW_INLINE int8_t nw_finish_small(int32_t acc, int32_t multiplier, int32_t down, int32_t zero, int32_t low, int32_t high)
{
#ifdef NW_FAST_FINISH
    int32_t v, r;
    __asm__("smmulr %0, %1, %2" : "=r"(v) : "r"(acc << 1), "r"(multiplier));
    v += v >> 31;
    v = (v >> down) + 2 * zero + 1;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(r) : "r"(v));
    if (low > -128)
        r = r < low ? low : r;
    if (high < 127)
        r = r > high ? high : r;
    return (int8_t)r;
#else
    return nw_clamp(nw_scale(acc, multiplier, -1 - down) + zero, low, high);
#endif
}

/* An accumulator as int8. */
NW_INLINE int8_t nw_finish(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
    return nw_clamp(nw_scale(acc, multiplier, shift) + zero, low, high);
}

/* One copy for what is rare: `down` is the shift to the right less one; scales of a half and more make it negative, and
 * so does NW_WIDE, which is taken off where an accumulator may leave 30 bits. */
#define NW_WIDE 64
NW_KERNEL int8_t nw_slow_finish(int32_t acc, int32_t multiplier, int32_t down, int32_t zero, int32_t low, int32_t high)
{
    const int32_t shift = -1 - (down < -NW_WIDE / 2 ? down + NW_WIDE : down);
    return nw_finish(acc, multiplier, shift, zero, low, high);
}

#endif
