/* Gradients of int8 layers in float32, channels last. Every sum runs in a fixed order and rounds after each product and
 * each sum, so that all machines agree to the bit. Where a gradient is 0 its products are left out: they add nothing. */
#ifndef NETWRIGHT_TRAIN_GRADIENT_H
#define NETWRIGHT_TRAIN_GRADIENT_H

#include "trained_conv.h"

/* g * scale where the mask is set, else 0; `channels` scales in turn; mask may be 0; y may be g */
NW_KERNEL void nw_clip_gradient(const float *g, const uint8_t *mask, float *y, int32_t n, const float *scale,
                                int32_t channels)
{
    for (int32_t i = 0, c = 0; i < n; i++) {
        y[i] = !mask || (mask[i >> 3] >> (i & 7) & 1) ? g[i] * scale[c] : 0.0f;
        c = c + 1 == channels ? 0 : c + 1;
    }
}

/* y[0 ... n) += g * w[0 ... n) */
NW_INLINE void nw_add_scaled(float *y, const int8_t *w, int32_t n, float g)
{
    for (int32_t i = 0; i < n; i++)
        y[i] += g * (float)w[i];
}

/* which output row or column has input `place` under `tap`; -1 for none */
NW_INLINE int32_t nw_output_of(int32_t place, int32_t before, int32_t tap, int32_t stride, int32_t made)
{
    const int32_t from = place + before - tap;
    return from >= 0 && from % stride == 0 && from / stride < made ? from / stride : -1;
}

/* s is the shape of the convolution forward; g [oh, ow, o], y [h, w, c] */
NW_KERNEL void nw_input_gradient(const float *g, const int8_t *trained, const int8_t *fixed, float *y,
                                 const nw_trained_shape *s)
{
    const int32_t each = s->c / s->groups, outputs = s->o / s->groups, rest = each - s->trained;
    for (int32_t iy = 0; iy < s->h; iy++)
        for (int32_t ix = 0; ix < s->w; ix++, y += s->c) {
            for (int32_t c = 0; c < s->c; c++)
                y[c] = 0.0f;
            for (int32_t ky = 0; ky < s->kh; ky++) {
                const int32_t oy = nw_output_of(iy, s->top, ky * s->dh, s->sh, s->oh);
                for (int32_t kx = 0; kx < s->kw && oy >= 0; kx++) {
                    const int32_t ox = nw_output_of(ix, s->left, kx * s->dw, s->sw, s->ow);
                    if (ox < 0)
                        continue;
                    const float *from = g + (oy * s->ow + ox) * s->o;
                    for (int32_t o = 0; o < s->o; o++) {
                        if (from[o] == 0.0f)
                            continue;
                        const int32_t tap = (o * s->kh + ky) * s->kw + kx;
                        float *to = y + o / outputs * each;
                        nw_add_scaled(to, trained + tap * s->trained, s->trained, from[o]);
                        nw_add_scaled(to + s->trained, fixed + tap * rest, rest, from[o]);
                    }
                }
            }
        }
}

/* one output channel: row [kh, kw, each]; x holds `each` channels of each group */
NW_INLINE void nw_weight_gradient_row(const int8_t *x, const float *g, float *row, int32_t o, int32_t each,
                                      const nw_trained_shape *s)
{
    const int32_t channels = each * s->groups, first = o / (s->o / s->groups) * each;
    for (int32_t i = 0; i < s->kh * s->kw * each; i++)
        row[i] = 0.0f;
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++) {
            const float slope = g[(oy * s->ow + ox) * s->o + o];
            if (slope == 0.0f)
                continue;
            for (int32_t ky = 0; ky < s->kh; ky++) {
                const int32_t iy = oy * s->sh - s->top + ky * s->dh;
                if (iy < 0 || iy >= s->h)
                    continue;
                for (int32_t kx = 0; kx < s->kw; kx++) {
                    const int32_t ix = ox * s->sw - s->left + kx * s->dw;
                    if (ix < 0 || ix >= s->w)
                        continue;
                    const int8_t *p = x + (iy * s->w + ix) * channels + first;
                    float *to = row + (ky * s->kw + kx) * each;
                    for (int32_t c = 0; c < each; c++)
                        to[c] += slope * (float)(p[c] - s->x_zero);
                }
            }
        }
}

NW_KERNEL void nw_weight_gradient(const int8_t *x, const float *g, float *y, const nw_trained_shape *s)
{
    const int32_t row = s->kh * s->kw * s->trained;
    for (int32_t o = 0; o < s->o; o++)
        nw_weight_gradient_row(x, g, y + o * row, o, s->trained, s);
}

NW_KERNEL void nw_bias_gradient(const float *g, float *y, int32_t pixels, int32_t o)
{
    for (int32_t c = 0; c < o; c++) {
        float sum = 0.0f;
        for (int32_t p = 0; p < pixels; p++)
            sum += g[p * o + c];
        y[c] = sum;
    }
}

/* of a max pool: to the first of the largest in each window of s */
NW_KERNEL void nw_max_pool_gradient(const int8_t *x, const float *g, float *y, const nw_trained_shape *s)
{
    for (int32_t i = 0; i < s->h * s->w * s->c; i++)
        y[i] = 0.0f;
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++, g += s->c) {
            const int32_t top = oy * s->sh - s->top, left = ox * s->sw - s->left;
            for (int32_t c = 0; c < s->c; c++) {
                int32_t best = -1;
                for (int32_t iy = top > 0 ? top : 0; iy < top + s->kh && iy < s->h; iy++)
                    for (int32_t ix = left > 0 ? left : 0; ix < left + s->kw && ix < s->w; ix++) {
                        const int32_t place = (iy * s->w + ix) * s->c + c;
                        if (best < 0 || x[place] > x[best])
                            best = place;
                    }
                if (best >= 0)
                    y[best] += g[c];
            }
        }
}

/* of an average pool: the windows of s, each over what it has inside the image */
NW_KERNEL void nw_average_pool_gradient(const float *g, float *y, const nw_trained_shape *s)
{
    for (int32_t i = 0; i < s->h * s->w * s->c; i++)
        y[i] = 0.0f;
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++, g += s->c) {
            const int32_t top = oy * s->sh - s->top, left = ox * s->sw - s->left;
            const int32_t y0 = top > 0 ? top : 0, y1 = top + s->kh < s->h ? top + s->kh : s->h;
            const int32_t x0 = left > 0 ? left : 0, x1 = left + s->kw < s->w ? left + s->kw : s->w;
            const float count = (float)((y1 - y0) * (x1 - x0));
            for (int32_t iy = y0; iy < y1; iy++)
                for (int32_t ix = x0; ix < x1; ix++)
                    for (int32_t c = 0; c < s->c; c++)
                        y[(iy * s->w + ix) * s->c + c] += g[c] / count;
        }
}

#endif
