/* Convolution, channels last: x [h, w, c], weights [o, kh, kw, c], y [oh, ow, o]. Borders skip taps, so no padding is
 * stored anywhere and a row of the kernel is one contiguous dot product. */
#ifndef NETWRIGHT_CONV_H
#define NETWRIGHT_CONV_H

#include "dot.h"

typedef struct {
    int32_t h, w, c, oh, ow, o;      /* input and output */
    int32_t kh, kw, sh, sw, dh, dw;  /* kernel, stride, dilation */
    int32_t top, left;               /* padding before */
    int32_t x_zero, w_zero, y_zero, low, high;
} nw_conv_shape;

/* `rows` output channels, from channel `o` on, of the output pixel whose window begins at (y0, x0) */
NW_INLINE void nw_conv_block(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                             const int32_t *multiplier, const int8_t *shift, const nw_conv_shape s, int32_t y0,
                             int32_t x0, int32_t o, int32_t rows)
{
    const int32_t size = s.kh * s.kw * s.c;
    int32_t acc[4];
    for (int32_t j = 0; j < rows; j++)
        acc[j] = bias[o + j];
    const int8_t *filter = w + o * size;
    if (s.dw == 1) {
        const int32_t first = x0 < 0 ? -x0 : 0;
        const int32_t last = x0 + s.kw > s.w ? s.w - x0 : s.kw;
        for (int32_t ky = 0; ky < s.kh; ky++) {
            const int32_t row = y0 + ky * s.dh;
            if (row >= 0 && row < s.h)
                nw_dot(x + (row * s.w + x0 + first) * s.c, filter + (ky * s.kw + first) * s.c, size,
                       (last - first) * s.c, s.x_zero, s.w_zero, rows, acc);
        }
    } else {
        for (int32_t ky = 0; ky < s.kh; ky++)
            for (int32_t kx = 0; kx < s.kw; kx++) {
                const int32_t row = y0 + ky * s.dh, column = x0 + kx * s.dw;
                if (row >= 0 && row < s.h && column >= 0 && column < s.w)
                    nw_dot(x + (row * s.w + column) * s.c, filter + (ky * s.kw + kx) * s.c, size, s.c, s.x_zero,
                           s.w_zero, rows, acc);
            }
    }
    for (int32_t j = 0; j < rows; j++)
        y[o + j] = nw_finish(acc[j], multiplier[o + j], shift[o + j], s.y_zero, s.low, s.high);
}

NW_INLINE void nw_conv(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias, const int32_t *multiplier,
                       const int8_t *shift, const nw_conv_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++, y += s.o) {
            const int32_t y0 = oy * s.sh - s.top, x0 = ox * s.sw - s.left;
            int32_t o = 0;
            for (; o + 4 <= s.o; o += 4)
                nw_conv_block(x, y, w, bias, multiplier, shift, s, y0, x0, o, 4);
            for (; o < s.o; o++)
                nw_conv_block(x, y, w, bias, multiplier, shift, s, y0, x0, o, 1);
        }
}

/* Any number of groups, one tap at a time: weights [o, kh, kw, c / groups]. */
NW_INLINE void nw_conv_grouped(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                               const int32_t *multiplier, const int8_t *shift, const nw_conv_shape s, int32_t groups)
{
    const int32_t per_group = s.c / groups, outputs = s.o / groups;
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++)
            for (int32_t o = 0; o < s.o; o++) {
                int32_t acc = bias[o];
                for (int32_t ky = 0; ky < s.kh; ky++)
                    for (int32_t kx = 0; kx < s.kw; kx++) {
                        const int32_t row = oy * s.sh - s.top + ky * s.dh, column = ox * s.sw - s.left + kx * s.dw;
                        if (row >= 0 && row < s.h && column >= 0 && column < s.w)
                            nw_dot(x + (row * s.w + column) * s.c + o / outputs * per_group,
                                   w + ((o * s.kh + ky) * s.kw + kx) * per_group, 0, per_group, s.x_zero,
                                   s.w_zero, 1, &acc);
                    }
                *y++ = nw_finish(acc, multiplier[o], shift[o], s.y_zero, s.low, s.high);
            }
}

#endif
