/* Element by element on int8. */
#ifndef NETWRIGHT_ELEMENTWISE_H
#define NETWRIGHT_ELEMENTWISE_H

#include "requantise.h"

typedef struct {
    int32_t zero, multiplier, shift;
} nw_operand;

/* both operands get 20 bits of headroom and a common scale; `sign` is 1 to add, -1 to subtract */
NW_INLINE int32_t nw_wide_sum(int32_t a, int32_t b, const nw_operand x, const nw_operand y, const nw_operand out,
                              int32_t sign)
{
    const int32_t left = nw_scale((a - x.zero) * (1 << 20), x.multiplier, x.shift);
    const int32_t right = nw_scale((b - y.zero) * (1 << 20), y.multiplier, y.shift);
    return nw_scale(left + sign * right, out.multiplier, out.shift) + out.zero;
}

NW_INLINE int8_t nw_sum(int32_t a, int32_t b, const nw_operand x, const nw_operand y, const nw_operand out,
                        int32_t sign, int32_t low, int32_t high)
{
    return nw_clamp(nw_wide_sum(a, b, x, y, out, sign), low, high);
}

typedef struct {
    int32_t n, zero, other_zero, multiplier, down; /* elements; of the operand with the larger scale, of the other */
    nw_operand out;
    int32_t low, high;
} nw_sums_shape;

/* All elements of two tensors of one shape, `x` of the larger scale: half of its reals are exact, so that it needs no
 * scaling. `down` is the shift to the right of the other operand. One copy for all layers. */
NW_KERNEL void nw_sums(const int8_t *x, const int8_t *other, int8_t *y, const nw_sums_shape *shape)
{
    const nw_sums_shape s = *shape;
#ifdef NW_FAST_FINISH
    /* one bit more where nothing is shifted out, so that there is a bit to round: it is 0 then, and nothing changes */
    const int32_t up = s.down ? 21 : 22, down = s.down ? s.down : 1, half = 1 << (down - 1);
    const int32_t offset = s.other_zero * (1 << up), first = s.zero * (1 << 19), last = -1 - s.out.shift;
    const int32_t doubled = 2 * s.out.zero + 1, clamped = s.low > -128 || s.high < 127;
    for (int32_t i = 0; i < s.n; i++) {
        int32_t v, r;
        __asm__("smmulr %0, %1, %2" : "=r"(v) : "r"((int32_t)((uint32_t)other[i] << up) - offset), "r"(s.multiplier));
        v = ((v + (v >> 31) + half) >> down) - first + (int32_t)((uint32_t)x[i] << 19);
        __asm__("smmulr %0, %1, %2" : "=r"(v) : "r"(v << 1), "r"(s.out.multiplier));
        v = ((v + (v >> 31)) >> last) + doubled;
        __asm__("ssat %0, #8, %1, asr #1" : "=r"(r) : "r"(v));
        if (clamped)
            r = nw_clamp(r, s.low, s.high);
        y[i] = (int8_t)r;
    }
#else
    for (int32_t i = 0; i < s.n; i++) {
        const int32_t v = nw_scale((other[i] - s.other_zero) * (1 << 20), s.multiplier, -s.down);
        y[i] = nw_finish((x[i] - s.zero) * (1 << 19) + v, s.out.multiplier, s.out.shift, s.out.zero, s.low, s.high);
    }
#endif
}

NW_INLINE int8_t nw_product(int32_t a, int32_t b, const nw_operand x, const nw_operand y, const nw_operand out,
                            int32_t low, int32_t high)
{
    return nw_finish((a - x.zero) * (b - y.zero), out.multiplier, out.shift, out.zero, low, high);
}

/* a where it is not negative, else a * b */
NW_INLINE int8_t nw_prelu(int32_t a, int32_t b, const nw_operand x, const nw_operand y, const nw_operand out,
                          int32_t low, int32_t high)
{
    const int32_t v = a - x.zero;
    return v >= 0 ? nw_finish(v, x.multiplier, x.shift, out.zero, low, high)
                  : nw_finish(v * (b - y.zero), out.multiplier, out.shift, out.zero, low, high);
}

NW_INLINE int32_t nw_requantise(int32_t x, int32_t x_zero, const nw_operand out, int32_t low, int32_t high)
{
    return nw_clamp_wide(nw_scale(x - x_zero, out.multiplier, out.shift) + out.zero, low, high);
}

NW_INLINE void nw_lookup(const int8_t *x, int8_t *y, int32_t n, const int8_t *table)
{
    for (int32_t i = 0; i < n; i++)
        y[i] = table[x[i] + 128];
}

#endif
