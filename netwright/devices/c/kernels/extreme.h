/* Largest or smallest along the middle axis: x [outer, n, inner], y [outer, inner]. */
#ifndef NETWRIGHT_EXTREME_H
#define NETWRIGHT_EXTREME_H

#include "requantise.h"

NW_INLINE void nw_extreme(const int8_t *x, int8_t *y, int32_t outer, int32_t n, int32_t inner, int32_t largest)
{
    for (int32_t o = 0; o < outer; o++, x += n * inner)
        for (int32_t j = 0; j < inner; j++) {
            int8_t best = x[j];
            for (int32_t i = 1; i < n; i++) {
                const int8_t v = x[i * inner + j];
                best = (largest ? v > best : v < best) ? v : best;
            }
            *y++ = best;
        }
}

#endif
