/* Place of the largest along one axis, the first of equals: x [outer, n, inner], y [outer, inner]. */
#ifndef NETWRIGHT_ARG_MAX_H
#define NETWRIGHT_ARG_MAX_H

#include "requantise.h"

NW_INLINE void nw_arg_max(const int8_t *x, int32_t *y, int32_t outer, int32_t n, int32_t inner)
{
    for (int32_t o = 0; o < outer; o++, x += n * inner)
        for (int32_t i = 0; i < inner; i++) {
            int32_t best = x[i], place = 0;
            for (int32_t k = 1; k < n; k++)
                if (x[k * inner + i] > best) {
                    best = x[k * inner + i];
                    place = k;
                }
            *y++ = place;
        }
}

#endif
