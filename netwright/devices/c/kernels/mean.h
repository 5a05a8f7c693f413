/* Means and sums over the middle axis: x [outer, n, inner], y [outer, inner]. The multiplier of a mean holds its division
 * by n. */
#ifndef NETWRIGHT_MEAN_H
#define NETWRIGHT_MEAN_H

#include "requantise.h"

typedef struct {
    int32_t outer, n, inner, x_zero, multiplier, shift, y_zero, low, high;
} nw_mean_shape;

/* one copy for all layers */
NW_KERNEL void nw_mean(const int8_t *x, int8_t *y, const nw_mean_shape *shape)
{
    const nw_mean_shape s = *shape;
    for (int32_t o = 0; o < s.outer; o++, x += s.n * s.inner)
        for (int32_t j = 0; j < s.inner; j++) {
            int32_t sum = -s.n * s.x_zero;
            const int8_t *from = x + j;
#pragma GCC unroll 1
            for (int32_t i = 0; i < s.n; i++, from += s.inner)
                sum += *from;
            *y++ = nw_slow_finish(sum, s.multiplier, -1 - s.shift, s.y_zero, s.low, s.high);
        }
}

#endif
