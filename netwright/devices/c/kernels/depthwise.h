/* Depthwise convolution, channels last: x [h, w, c], weights [kh, kw, c], y [oh, ow, c]. */
#ifndef NETWRIGHT_DEPTHWISE_H
#define NETWRIGHT_DEPTHWISE_H

#include "conv.h"

/* four neighbouring channels of one output pixel */
NW_INLINE void nw_depthwise4(const int8_t *x, const int8_t *w, const nw_conv_shape s, int32_t y0, int32_t x0,
                             int32_t *acc)
{
    for (int32_t ky = 0; ky < s.kh; ky++) {
        const int32_t row = y0 + ky * s.dh;
        if (row < 0 || row >= s.h)
            continue;
        for (int32_t kx = 0; kx < s.kw; kx++) {
            const int32_t column = x0 + kx * s.dw;
            if (column < 0 || column >= s.w)
                continue;
            const int8_t *p = x + (row * s.w + column) * s.c;
            const int8_t *q = w + (ky * s.kw + kx) * s.c;
#ifdef NW_DSP
            const uint32_t offset = nw_pair(-s.x_zero), w_offset = nw_pair(-s.w_zero);
            const uint32_t v = nw_load4(p), u = nw_load4(q);
            const uint32_t even = nw_even(offset, v), odd = nw_odd(offset, v);
            const uint32_t weven = s.w_zero ? nw_even(w_offset, u) : nw_even0(u);
            const uint32_t wodd = s.w_zero ? nw_odd(w_offset, u) : nw_odd0(u);
            acc[0] = nw_mac_low(even, weven, acc[0]);
            acc[1] = nw_mac_low(odd, wodd, acc[1]);
            acc[2] = nw_mac_high(even, weven, acc[2]);
            acc[3] = nw_mac_high(odd, wodd, acc[3]);
#else
            for (int32_t j = 0; j < 4; j++)
                acc[j] += (p[j] - s.x_zero) * (q[j] - s.w_zero);
#endif
        }
    }
}

NW_INLINE int32_t nw_depthwise1(const int8_t *x, const int8_t *w, const nw_conv_shape s, int32_t y0, int32_t x0,
                                int32_t acc)
{
    for (int32_t ky = 0; ky < s.kh; ky++)
        for (int32_t kx = 0; kx < s.kw; kx++) {
            const int32_t row = y0 + ky * s.dh, column = x0 + kx * s.dw;
            if (row >= 0 && row < s.h && column >= 0 && column < s.w)
                acc += (x[(row * s.w + column) * s.c] - s.x_zero) * (w[(ky * s.kw + kx) * s.c] - s.w_zero);
        }
    return acc;
}

NW_INLINE void nw_depthwise(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                            const int32_t *multiplier, const int8_t *shift, const nw_conv_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++, y += s.c) {
            const int32_t y0 = oy * s.sh - s.top, x0 = ox * s.sw - s.left;
            int32_t c = 0;
            for (; c + 4 <= s.c; c += 4) {
                int32_t acc[4] = {bias[c], bias[c + 1], bias[c + 2], bias[c + 3]};
                nw_depthwise4(x + c, w + c, s, y0, x0, acc);
                for (int32_t j = 0; j < 4; j++)
                    y[c + j] = nw_finish(acc[j], multiplier[c + j], shift[c + j], s.y_zero, s.low, s.high);
            }
            for (; c < s.c; c++)
                y[c] = nw_finish(nw_depthwise1(x + c, w + c, s, y0, x0, bias[c]), multiplier[c], shift[c], s.y_zero,
                                 s.low, s.high);
        }
}

#endif
