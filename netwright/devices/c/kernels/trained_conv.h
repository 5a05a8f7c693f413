/* Convolution with parameters that training changes, channels last: weights [o, kh, kw, each] as they are, the first
 * `trained` channels of each window in one array and the rest in another. Beside y the clip mask, a bit an element. */
#ifndef NETWRIGHT_TRAINED_CONV_H
#define NETWRIGHT_TRAINED_CONV_H

#include "dot.h"

typedef struct {
    int32_t h, w, c, oh, ow, o;     /* input and output */
    int32_t kh, kw, sh, sw, dh, dw; /* kernel, stride, dilation */
    int32_t top, left;              /* padding before */
    int32_t groups, trained;        /* trained: of the c / groups channels of a window */
    int32_t x_zero, y_zero, low, high, once;
} nw_trained_shape;

NW_INLINE int32_t nw_inside(int32_t v, int32_t low, int32_t high)
{
    return v >= low && v <= high;
}

/* sums of `rows` outputs (a constant, at most 4) from o on at one pixel; those of several are in one group */
NW_INLINE void nw_trained_sums(const int8_t *x, const int8_t *trained, const int8_t *fixed, int32_t oy, int32_t ox,
                               int32_t o, int32_t rows, const nw_trained_shape *s, int32_t *acc)
{
    const int32_t each = s->c / s->groups, rest = each - s->trained, taps = s->kh * s->kw;
    x += o / (s->o / s->groups) * each;
    for (int32_t ky = 0; ky < s->kh; ky++) {
        const int32_t row = oy * s->sh - s->top + ky * s->dh;
        if (row < 0 || row >= s->h)
            continue;
        for (int32_t kx = 0; kx < s->kw; kx++) {
            const int32_t column = ox * s->sw - s->left + kx * s->dw, tap = (o * s->kh + ky) * s->kw + kx;
            if (column < 0 || column >= s->w)
                continue;
            const int8_t *p = x + (row * s->w + column) * s->c;
            if (s->trained)
                nw_dot(p, trained + tap * s->trained, taps * s->trained, s->trained, s->x_zero, 0, rows, acc);
            if (rest)
                nw_dot(p + s->trained, fixed + tap * rest, taps * rest, rest, s->x_zero, 0, rows, acc);
        }
    }
}

/* the taps of a window that begins at `start` which lie inside `size`: from *first up to, not including, the result */
NW_INLINE int32_t nw_taps(int32_t start, int32_t step, int32_t taps, int32_t size, int32_t *first)
{
    *first = start < 0 ? (step - 1 - start) / step : 0;
    const int32_t last = size > start ? (size - 1 - start) / step + 1 : 0;
    return last < taps ? last : taps;
}

/* the sum of output o of a group of one channel; w are its taps, of which rows ky0 ... ky1 and columns kx0 ... kx1 count */
NW_INLINE int32_t nw_trained_channel(const int8_t *x, const int8_t *w, int32_t ky0, int32_t ky1, int32_t kx0,
                                     int32_t kx1, const nw_trained_shape *s)
{
    const int32_t step = s->dw * s->c, zero = s->x_zero;
    int32_t sum = 0;
    for (int32_t ky = ky0; ky < ky1; ky++) {
        const int8_t *p = x + (ky * s->dh * s->w + kx0 * s->dw) * s->c, *q = w + ky * s->kw + kx0;
        for (int32_t n = kx1 - kx0; n > 0; n--, p += step)
            sum += (*p - zero) * *q++;
    }
    return sum;
}

/* one result, at its place of y and of the mask, which may be 0 */
NW_INLINE void nw_trained_finish(int32_t acc, int32_t multiplier, int32_t shift, int8_t *y, uint8_t *mask,
                                 int32_t place, const nw_trained_shape *s)
{
    const int32_t scaled = s->once ? nw_scale_once(acc, multiplier, shift) : nw_scale(acc, multiplier, shift);
    const int32_t v = s->y_zero + scaled;
    y[place] = nw_clamp(v, s->low, s->high);
    if (mask)
        mask[place >> 3] |= (uint8_t)(nw_inside(v, s->low, s->high) << (place & 7));
}

/* mask may be 0 */
NW_KERNEL void nw_trained_depthwise(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *multiplier,
                                    const int8_t *shift, int8_t *y, uint8_t *mask, const nw_trained_shape *s)
{
    const int32_t outputs = s->o / s->groups, taps = s->kh * s->kw;
    int32_t place = 0;
    if (mask)
        __builtin_memset(mask, 0, (s->oh * s->ow * s->o + 7) / 8);
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++) {
            const int32_t row = oy * s->sh - s->top, column = ox * s->sw - s->left;
            int32_t ky0, kx0;
            const int32_t ky1 = nw_taps(row, s->dh, s->kh, s->h, &ky0), kx1 = nw_taps(column, s->dw, s->kw, s->w, &kx0);
            for (int32_t o = 0; o < s->o; o++, place++) {
                const int8_t *window = x + (row * s->w + column) * s->c + o / outputs;
                const int32_t sum = nw_trained_channel(window, w + o * taps, ky0, ky1, kx0, kx1, s);
                nw_trained_finish(bias[o] + sum, multiplier[o], shift[o], y, mask, place, s);
            }
        }
}

/* mask may be 0 */
NW_KERNEL void nw_trained_conv(const int8_t *x, const int8_t *trained, const int8_t *fixed, const int32_t *bias,
                               const int32_t *multiplier, const int8_t *shift, int8_t *y, uint8_t *mask,
                               const nw_trained_shape *s)
{
    int32_t place = 0;
    if (mask)
        __builtin_memset(mask, 0, (s->oh * s->ow * s->o + 7) / 8);
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++)
            for (int32_t o = 0; o < s->o;) {
                const int32_t rows = s->groups == 1 && o + 4 <= s->o ? 4 : 1;
                int32_t acc[4];
                for (int32_t i = 0; i < rows; i++)
                    acc[i] = bias[o + i];
                if (rows == 4)
                    nw_trained_sums(x, trained, fixed, oy, ox, o, 4, s, acc);
                else
                    nw_trained_sums(x, trained, fixed, oy, ox, o, 1, s, acc);
                for (int32_t i = 0; i < rows; i++, o++, place++)
                    nw_trained_finish(acc[i], multiplier[o], shift[o], y, mask, place, s);
            }
}

#endif
