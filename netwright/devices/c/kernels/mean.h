/* Mean over pixels, channels last: x [pixels, c], y [c]. The multiplier holds the division by the number of pixels. */
#ifndef NETWRIGHT_MEAN_H
#define NETWRIGHT_MEAN_H

#include "requantise.h"

NW_INLINE void nw_mean(const int8_t *x, int8_t *y, int32_t pixels, int32_t c, int32_t x_zero, int32_t multiplier,
                       int32_t shift, int32_t y_zero, int32_t low, int32_t high)
{
    for (int32_t j = 0; j < c; j++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < pixels; i++)
            sum += x[i * c + j];
        y[j] = nw_finish(sum - pixels * x_zero, multiplier, shift, y_zero, low, high);
    }
}

#endif
