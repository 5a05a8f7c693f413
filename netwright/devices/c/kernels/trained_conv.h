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

/* mask may be 0 */
NW_KERNEL void nw_trained_conv(const int8_t *x, const int8_t *trained, const int8_t *fixed, const int32_t *bias,
                               const int32_t *multiplier, const int8_t *shift, int8_t *y, uint8_t *mask,
                               const nw_trained_shape *s)
{
    const int32_t each = s->c / s->groups, outputs = s->o / s->groups, rest = each - s->trained;
    int32_t i = 0;
    if (mask)
        __builtin_memset(mask, 0, (s->oh * s->ow * s->o + 7) / 8);
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++)
            for (int32_t o = 0; o < s->o; o++, i++) {
                int32_t acc = bias[o];
                for (int32_t ky = 0; ky < s->kh; ky++) {
                    const int32_t row = oy * s->sh - s->top + ky * s->dh;
                    if (row < 0 || row >= s->h)
                        continue;
                    for (int32_t kx = 0; kx < s->kw; kx++) {
                        const int32_t column = ox * s->sw - s->left + kx * s->dw, tap = (o * s->kh + ky) * s->kw + kx;
                        if (column < 0 || column >= s->w)
                            continue;
                        const int8_t *p = x + (row * s->w + column) * s->c + o / outputs * each;
                        if (each == 1) {
                            acc += (*p - s->x_zero) * (rest ? fixed : trained)[tap];
                            continue;
                        }
                        if (s->trained)
                            nw_dot(p, trained + tap * s->trained, 0, s->trained, s->x_zero, 0, 1, &acc);
                        if (rest)
                            nw_dot(p + s->trained, fixed + tap * rest, 0, rest, s->x_zero, 0, 1, &acc);
                    }
                }
                const int32_t v = s->y_zero + (s->once ? nw_scale_once(acc, multiplier[o], shift[o])
                                                       : nw_scale(acc, multiplier[o], shift[o]));
                y[i] = nw_clamp(v, s->low, s->high);
                if (mask)
                    mask[i >> 3] |= (uint8_t)(nw_inside(v, s->low, s->high) << (i & 7));
            }
}

#endif
