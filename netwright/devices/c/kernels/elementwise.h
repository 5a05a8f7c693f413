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
