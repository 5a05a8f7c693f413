/* Layer, group and instance norm: integer sums and root, gemmlowp's reciprocal. */
#ifndef NETWRIGHT_GROUP_NORM_H
#define NETWRIGHT_GROUP_NORM_H

#include "fixed_point.h"

typedef struct {
    int32_t n, places, c, groups, centred, x_zero, multiplier, shift, y_zero, low, high;
    int64_t least; /* epsilon, in the units of count^2 * variance */
} nw_norm_shape;

/* the integer square root, bit by bit */
NW_INLINE int32_t nw_root(uint64_t a)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 60; bit; bit >>= 2) {
        const uint64_t next = root + bit;
        root >>= 1;
        if (a >= next) {
            a -= next;
            root += bit;
        }
    }
    return (int32_t)root;
}

/* x [n, places, c] to y, channels of a group side by side */
NW_INLINE void nw_group_norm(const int8_t *x, int8_t *y, const int16_t *scale, const int32_t *bias,
                             const nw_norm_shape s)
{
    const int32_t each = s.c / s.groups, count = each * s.places;
    const int32_t limit = (1 << 30) >> (s.shift > 0 ? s.shift : 0);
    for (int32_t r = 0; r < s.n * s.groups; r++) {
        const int32_t group = r % s.groups, start = (r / s.groups) * s.places * s.c + group * each;
        int32_t total = 0;
        int64_t squares = 0;
        for (int32_t p = 0; p < s.places; p++)
            for (int32_t k = 0; k < each; k++) {
                const int32_t v = x[start + p * s.c + k] - s.x_zero;
                total += v;
                squares += v * v;
            }
        total = s.centred ? total : 0;
        uint64_t power = (uint64_t)((int64_t)count * squares - (int64_t)total * total + s.least);
        int32_t down = 41; /* 61 - 20 fractional bits, less what the power is brought up by */
        for (; power < (uint64_t)1 << 60; power <<= 2)
            down--;
        const int32_t root = nw_root(power);
        const int32_t inverse = nw_inverse_one_plus((int32_t)((uint32_t)(root - (1 << 30)) << 1));
        for (int32_t p = 0; p < s.places; p++)
            for (int32_t k = 0; k < each; k++) {
                const int32_t at = start + p * s.c + k, channel = group * each + k;
                const int32_t apart = (x[at] - s.x_zero) * count - total;
                const int64_t normal = ((int64_t)apart * inverse + ((int64_t)1 << (down - 1))) >> down;
                const int64_t wide = ((normal * scale[channel] + 512) >> 10) + bias[channel];
                const int32_t held = wide > limit ? limit : wide < -limit ? -limit : (int32_t)wide;
                y[at] = nw_finish(held, s.multiplier, s.shift, s.y_zero, s.low, s.high);
            }
    }
}

#endif
