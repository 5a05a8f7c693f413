/* Pooling, channels last: x [h, w, c], y [oh, ow, c]. */
#ifndef NETWRIGHT_POOL_H
#define NETWRIGHT_POOL_H

#include "requantise.h"

typedef struct {
    int32_t h, w, c, oh, ow, kh, kw, sh, sw, top, left, low, high, offset;
} nw_pool_shape;

NW_INLINE void nw_max_pool(const int8_t *x, int8_t *y, const nw_pool_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++)
            for (int32_t c = 0; c < s.c; c++) {
                int32_t best = -128;
                for (int32_t ky = 0; ky < s.kh; ky++)
                    for (int32_t kx = 0; kx < s.kw; kx++) {
                        const int32_t row = oy * s.sh - s.top + ky, column = ox * s.sw - s.left + kx;
                        if (row >= 0 && row < s.h && column >= 0 && column < s.w) {
                            const int32_t v = x[(row * s.w + column) * s.c + c];
                            best = v > best ? v : best;
                        }
                    }
                *y++ = nw_clamp(best, s.low, s.high);
            }
}

NW_INLINE void nw_average_pool(const int8_t *x, int8_t *y, const nw_pool_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++)
            for (int32_t c = 0; c < s.c; c++) {
                int32_t sum = 0, count = 0;
                for (int32_t ky = 0; ky < s.kh; ky++)
                    for (int32_t kx = 0; kx < s.kw; kx++) {
                        const int32_t row = oy * s.sh - s.top + ky, column = ox * s.sw - s.left + kx;
                        if (row >= 0 && row < s.h && column >= 0 && column < s.w) {
                            sum += x[(row * s.w + column) * s.c + c];
                            count++;
                        }
                    }
                sum += s.offset * count; /* halves are rounded away from -offset */
                const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                *y++ = nw_clamp(mean - s.offset, s.low, s.high);
            }
}

#endif
