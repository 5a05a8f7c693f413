/* Convolutions in float32, channels first: x [n, c, h, w], y [n, o, oh, ow]; one dimension has h = kh = oh = 1. */
#ifndef NETWRIGHT_FLOAT_CONV_H
#define NETWRIGHT_FLOAT_CONV_H

#include "base.h"

typedef struct {
    int32_t n, c, h, w, o, oh, ow;       /* input and output */
    int32_t kh, kw, sh, sw, dh, dw;      /* kernel, stride, dilation */
    int32_t top, left, groups;           /* padding before */
} nw_float_conv_shape;

/* `rows` output channels of one group: x [c, h, w], w [c, kh, kw, rows], y [rows, oh, ow]; borders skip taps */
NW_INLINE void nw_float_conv_block(const float *x, float *y, const float *w, const float *bias,
                                   const nw_float_conv_shape s, int32_t c, int32_t rows)
{
    const int32_t plane = s.oh * s.ow;
    for (int32_t oy = 0; oy < s.oh; oy++) {
        const int32_t y0 = oy * s.sh - s.top;
        int32_t ky0 = 0, ky1 = s.kh;
        while (ky0 < ky1 && y0 + ky0 * s.dh < 0)
            ky0++;
        while (ky1 > ky0 && y0 + (ky1 - 1) * s.dh >= s.h)
            ky1--;
        for (int32_t ox = 0; ox < s.ow; ox++) {
            const int32_t x0 = ox * s.sw - s.left;
            int32_t kx0 = 0, kx1 = s.kw;
            while (kx0 < kx1 && x0 + kx0 * s.dw < 0)
                kx0++;
            while (kx1 > kx0 && x0 + (kx1 - 1) * s.dw >= s.w)
                kx1--;
            float acc[4];
            for (int32_t j = 0; j < rows; j++)
                acc[j] = 0.0f;
            for (int32_t i = 0; i < c; i++)
                for (int32_t ky = ky0; ky < ky1; ky++) {
                    const float *pixel = x + (i * s.h + y0 + ky * s.dh) * s.w + x0;
                    const float *tap = w + ((i * s.kh + ky) * s.kw + kx0) * rows;
                    for (int32_t kx = kx0; kx < kx1; kx++, tap += rows) {
                        const float v = pixel[kx * s.dw];
                        for (int32_t j = 0; j < rows; j++)
                            acc[j] += v * tap[j];
                    }
                }
            for (int32_t j = 0; j < rows; j++)
                y[j * plane + oy * s.ow + ox] = bias ? acc[j] + bias[j] : acc[j]; /* last, as the reference does */
        }
    }
}

/* the same for one tap without padding: a product at each pixel */
NW_INLINE void nw_float_conv_point(const float *x, float *y, const float *w, const float *bias,
                                   const nw_float_conv_shape s, int32_t c, int32_t rows)
{
    const int32_t plane = s.oh * s.ow, step = s.h * s.w;
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++) {
            const float *pixel = x + oy * s.sh * s.w + ox * s.sw, *tap = w;
            float acc[4];
            for (int32_t j = 0; j < rows; j++)
                acc[j] = 0.0f;
            for (int32_t i = 0; i < c; i++, pixel += step, tap += rows)
                for (int32_t j = 0; j < rows; j++)
                    acc[j] += *pixel * tap[j];
            for (int32_t j = 0; j < rows; j++)
                y[j * plane + oy * s.ow + ox] = bias ? acc[j] + bias[j] : acc[j]; /* last, as the reference does */
        }
}

/* weights [o, c / groups, kh, kw], packed: within a group, four outputs at a time side by side as [c / groups, kh, kw, 4],
 * those that are left over one by one; bias may be 0 */
NW_INLINE void nw_float_conv(const float *x, float *y, const float *w, const float *bias, const nw_float_conv_shape s)
{
    const int32_t c = s.c / s.groups, o = s.o / s.groups, size = c * s.kh * s.kw, plane = s.oh * s.ow;
    const int32_t point = s.kh * s.kw == 1 && !s.top && !s.left && (s.oh - 1) * s.sh < s.h && (s.ow - 1) * s.sw < s.w;
    for (int32_t n = 0; n < s.n; n++)
        for (int32_t g = 0; g < s.groups; g++) {
            const float *in = x + (n * s.c + g * c) * s.h * s.w;
            int32_t j = 0;
            for (; j + 4 <= o; j += 4) {
                const int32_t at = g * o + j;
                if (point)
                    nw_float_conv_point(in, y + (n * s.o + at) * plane, w + at * size, bias ? bias + at : 0, s, c, 4);
                else
                    nw_float_conv_block(in, y + (n * s.o + at) * plane, w + at * size, bias ? bias + at : 0, s, c, 4);
            }
            for (; j < o; j++) {
                const int32_t at = g * o + j;
                nw_float_conv_block(in, y + (n * s.o + at) * plane, w + at * size, bias ? bias + at : 0, s, c, 1);
            }
        }
}

/* weights [c, o / groups, kh, kw]: each input pixel adds its kernel to the output; what falls outside is dropped */
NW_INLINE void nw_float_conv_transpose(const float *x, float *y, const float *w, const float *bias,
                                       const nw_float_conv_shape s)
{
    const int32_t c = s.c / s.groups, o = s.o / s.groups, taps = s.kh * s.kw, plane = s.oh * s.ow;
    for (int32_t i = 0; i < s.n * s.o; i++)
        for (int32_t p = 0; p < plane; p++)
            y[i * plane + p] = bias ? bias[i % s.o] : 0.0f;
    for (int32_t n = 0; n < s.n; n++)
        for (int32_t i = 0; i < s.c; i++)
            for (int32_t j = 0; j < o; j++) {
                const float *tap = w + (i * o + j) * taps, *in = x + (n * s.c + i) * s.h * s.w;
                float *out = y + (n * s.o + i / c * o + j) * plane;
                for (int32_t iy = 0; iy < s.h; iy++)
                    for (int32_t ky = 0; ky < s.kh; ky++) {
                        const int32_t row = iy * s.sh - s.top + ky * s.dh;
                        if (row < 0 || row >= s.oh)
                            continue;
                        for (int32_t ix = 0; ix < s.w; ix++)
                            for (int32_t kx = 0; kx < s.kw; kx++) {
                                const int32_t column = ix * s.sw - s.left + kx * s.dw;
                                if (column >= 0 && column < s.ow)
                                    out[row * s.ow + column] += in[iy * s.w + ix] * tap[ky * s.kw + kx];
                            }
                    }
            }
}

#endif
