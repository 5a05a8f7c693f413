/* Pooling in float32, channels first: x [planes, h, w], y [planes, oh, ow]; one dimension has h = kh = oh = 1. */
#ifndef NETWRIGHT_FLOAT_POOL_H
#define NETWRIGHT_FLOAT_POOL_H

#include "base.h"

typedef struct {
    int32_t planes, h, w, oh, ow, kh, kw, sh, sw, top, left, bottom, right;
} nw_float_pool_shape;

/* `places` may be 0: where each largest was, flat over the plane, the first of equals */
NW_INLINE void nw_float_max_pool(const float *x, float *y, int64_t *places, const nw_float_pool_shape s)
{
    for (int32_t p = 0; p < s.planes; p++, x += s.h * s.w)
        for (int32_t oy = 0; oy < s.oh; oy++)
            for (int32_t ox = 0; ox < s.ow; ox++) {
                float best = -__builtin_inff();
                int32_t place = -1;
                for (int32_t ky = 0; ky < s.kh; ky++)
                    for (int32_t kx = 0; kx < s.kw; kx++) {
                        const int32_t row = oy * s.sh - s.top + ky, column = ox * s.sw - s.left + kx;
                        if (row < 0 || row >= s.h || column < 0 || column >= s.w)
                            continue;
                        const float v = x[row * s.w + column];
                        if (place < 0 || v > best) {
                            best = v;
                            place = row * s.w + column;
                        }
                    }
                *y++ = best;
                if (places)
                    *places++ = place;
            }
}

/* with `counted`, padding counts as zeros */
NW_INLINE void nw_float_average_pool(const float *x, float *y, int32_t counted, const nw_float_pool_shape s)
{
    for (int32_t p = 0; p < s.planes; p++, x += s.h * s.w)
        for (int32_t oy = 0; oy < s.oh; oy++)
            for (int32_t ox = 0; ox < s.ow; ox++) {
                float sum = 0.0f;
                int32_t count = 0;
                for (int32_t ky = 0; ky < s.kh; ky++)
                    for (int32_t kx = 0; kx < s.kw; kx++) {
                        const int32_t row = oy * s.sh - s.top + ky, column = ox * s.sw - s.left + kx;
                        const int32_t inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
                        if (inside)
                            sum += x[row * s.w + column];
                        count += inside || counted;
                    }
                *y++ = sum / (float)count;
            }
}

#endif
