/* Transposed convolution, channels last: x [h, w, c], weights [o, kh, kw, c], y [oh, ow, o]. Each output pixel gathers
 * the taps that reach it, so there are no partial sums to store: tap ky meets row (oy + top - ky) / sh where that is
 * whole, which is every sh-th tap. */
#ifndef NETWRIGHT_CONV_TRANSPOSE_H
#define NETWRIGHT_CONV_TRANSPOSE_H

#include "dot.h"

typedef struct {
    int32_t h, w, c, oh, ow, o;  /* input and output */
    int32_t kh, kw, sh, sw;      /* kernel, stride */
    int32_t top, left;           /* rows and columns cut off before */
    int32_t x_zero, w_zero, y_zero, low, high;
} nw_transpose_shape;

/* `rows` output channels, from channel `o` on, of one output pixel; (y0, x0) is its place before the cut */
NW_INLINE void nw_conv_transpose_block(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                                       const int32_t *multiplier, const int8_t *shift, const nw_transpose_shape s,
                                       int32_t y0, int32_t x0, int32_t o, int32_t rows)
{
    const int32_t size = s.kh * s.kw * s.c;
    int32_t acc[4];
    for (int32_t j = 0; j < rows; j++)
        acc[j] = bias[o + j];
    const int8_t *filter = w + o * size;
    int32_t row = y0 / s.sh;
    for (int32_t ky = y0 % s.sh; ky < s.kh && row >= 0; ky += s.sh, row--) {
        if (row >= s.h)
            continue;
        int32_t column = x0 / s.sw;
        for (int32_t kx = x0 % s.sw; kx < s.kw && column >= 0; kx += s.sw, column--)
            if (column < s.w)
                nw_dot(x + (row * s.w + column) * s.c, filter + (ky * s.kw + kx) * s.c, size, s.c, s.x_zero, s.w_zero,
                       rows, acc);
    }
    for (int32_t j = 0; j < rows; j++)
        y[o + j] = nw_finish(acc[j], multiplier[o + j], shift[o + j], s.y_zero, s.low, s.high);
}

NW_INLINE void nw_conv_transpose(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                                 const int32_t *multiplier, const int8_t *shift, const nw_transpose_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++, y += s.o) {
            int32_t o = 0;
            for (; o + 4 <= s.o; o += 4)
                nw_conv_transpose_block(x, y, w, bias, multiplier, shift, s, oy + s.top, ox + s.left, o, 4);
            for (; o < s.o; o++)
                nw_conv_transpose_block(x, y, w, bias, multiplier, shift, s, oy + s.top, ox + s.left, o, 1);
        }
}

#endif
