/* Fully connected: x [n, i], weights [o, i], y [n, o]; sums are scaled with one rounding. */
#ifndef NETWRIGHT_LINEAR_H
#define NETWRIGHT_LINEAR_H

#include "dot.h"

NW_INLINE void nw_linear(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias, const int32_t *multiplier,
                         const int8_t *shift, int32_t n, int32_t i, int32_t o, int32_t x_zero, int32_t w_zero,
                         int32_t y_zero, int32_t low, int32_t high)
{
    for (int32_t r = 0; r < n; r++, x += i, y += o) {
        int32_t k = 0;
        for (; k + 4 <= o; k += 4) {
            int32_t acc[4] = {bias[k], bias[k + 1], bias[k + 2], bias[k + 3]};
            nw_dot(x, w + k * i, i, i, x_zero, w_zero, 4, acc);
            for (int32_t j = 0; j < 4; j++)
                y[k + j] = nw_clamp(nw_scale_once(acc[j], multiplier[k + j], shift[k + j]) + y_zero, low, high);
        }
        for (; k < o; k++) {
            int32_t acc = bias[k];
            nw_dot(x, w + k * i, i, i, x_zero, w_zero, 1, &acc);
            y[k] = nw_clamp(nw_scale_once(acc, multiplier[k], shift[k]) + y_zero, low, high);
        }
    }
}

#endif
