/* Fully connected: x [n, i], y [n, o], four outputs at a time. Sums are scaled with one rounding. */
#ifndef NETWRIGHT_LINEAR_H
#define NETWRIGHT_LINEAR_H

#include "block.h"

typedef struct {
    int32_t n, i, o;
    int32_t x_zero, w_zero, y_zero, low, high;
    int32_t step; /* 0 where all outputs share one multiplier and shift, else 1 */
} nw_linear_shape;

NW_INLINE int8_t nw_linear_finish(int32_t acc, const int32_t *multiplier, const int8_t *shift, int32_t o,
                                  const nw_linear_shape *s)
{
    o *= s->step;
    return nw_clamp(nw_scale_once(acc, multiplier[o], shift[o]) + s->y_zero, s->low, s->high);
}

/* weights [o / 4, i / 4, 4, 4], then those of up to three last outputs [i / 4, 4] one after the other; where i fills no
 * whole group, the last is filled up */
NW_INLINE void nw_linear(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *bias,
                         const int32_t *multiplier, const int8_t *shift, const nw_linear_shape s)
{
    const int32_t groups = (s.i + 3) / 4;
    for (int32_t r = 0; r < s.n; r++, x += s.i, y += s.o) {
        const int8_t *w = weights;
        int32_t off = 0;
        if (s.w_zero)
            for (int32_t k = 0; k < s.i; k++)
                off += s.w_zero * (x[k] - s.x_zero);
        int32_t o = 0;
        for (; o + 4 <= s.o; o += 4, w += 16 * groups) {
            int32_t acc[4] = {bias[o] - off, bias[o + 1] - off, bias[o + 2] - off, bias[o + 3] - off};
            nw_block14(x, w, s.i / 4, s.x_zero, acc);
            for (int32_t k = s.i & ~3; k < s.i; k++)
                for (int32_t j = 0; j < 4; j++)
                    acc[j] += (x[k] - s.x_zero) * w[16 * (groups - 1) + 4 * j + (k & 3)];
            for (int32_t j = 0; j < 4; j++)
                y[o + j] = nw_linear_finish(acc[j], multiplier, shift, o + j, &s);
        }
        for (; o < s.o; o++, w += 4 * groups) {
            int32_t acc = bias[o] - off;
            nw_dot(x, w, 0, s.i, s.x_zero, 0, 1, &acc);
            y[o] = nw_linear_finish(acc, multiplier, shift, o, &s);
        }
    }
}

#endif
