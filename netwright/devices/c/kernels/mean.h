/* Means and sums over the middle axis: x [outer, n, inner], y [outer, inner]. The multiplier of a mean holds its division
 * by n. */
#ifndef NETWRIGHT_MEAN_H
#define NETWRIGHT_MEAN_H

#include "requantise.h"

NW_INLINE void nw_mean(const int8_t *x, int8_t *y, int32_t outer, int32_t n, int32_t inner, int32_t x_zero,
                       int32_t multiplier, int32_t shift, int32_t y_zero, int32_t low, int32_t high)
{
    for (int32_t o = 0; o < outer; o++, x += n * inner)
        for (int32_t j = 0; j < inner; j++) {
            int32_t sum = 0;
            for (int32_t i = 0; i < n; i++)
                sum += x[i * inner + j];
            *y++ = nw_finish(sum - n * x_zero, multiplier, shift, y_zero, low, high);
        }
}

#endif
