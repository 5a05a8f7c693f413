/* Gradient descent on int8 weights with a residue of 0, 8 or 16 bits, and on int32 biases. */
#ifndef NETWRIGHT_TRAIN_UPDATE_H
#define NETWRIGHT_TRAIN_UPDATE_H

#include "train_gradient.h"

#define NW_LARGEST_STEP (1 << 24)
#define NW_LARGEST_BIAS 1879048192 /* leaves room for the sums that are added to it */

/* nearest whole number, halves away from zero, cut at `largest`; 0 for what is no number */
NW_INLINE int32_t nw_whole(float x, float largest)
{
    if (x != x)
        return 0;
    x = x < -largest ? -largest : x > largest ? largest : x;
    return (int32_t)(x + (x < 0.0f ? -0.5f : 0.5f));
}

/* n weights of one output channel; residues are int8 or int16 by `bits`, which is a constant */
NW_INLINE void nw_descend(int8_t *w, int8_t *residue8, int16_t *residue16, const float *g, int32_t n, float factor,
                          int32_t bits)
{
    const int32_t half = bits ? 1 << (bits - 1) : 0, one = 1 << bits;
    for (int32_t i = 0; i < n; i++) {
        const int32_t by = nw_whole(g[i] * factor * (float)one, (float)NW_LARGEST_STEP);
        const int32_t kept = bits == 8 ? residue8[i] : bits == 16 ? residue16[i] : 0;
        int32_t wide = w[i] * one - by + kept;
        wide = nw_clamp_wide(wide, -128 * one - half, 127 * one + (bits ? half - 1 : 0));
        const int32_t made = (wide + half) >> bits;
        w[i] = (int8_t)made;
        if (bits == 8)
            residue8[i] = (int8_t)(wide - made * one);
        else if (bits == 16)
            residue16[i] = (int16_t)(wide - made * one);
    }
}

NW_KERNEL void nw_bias_update(const int32_t *bias, int32_t *y, const float *g, const float *factor, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const int64_t wide = (int64_t)bias[i] - nw_whole(g[i] * factor[i], 1073741824.0f);
        y[i] = (int32_t)(wide < -NW_LARGEST_BIAS ? -NW_LARGEST_BIAS : wide > NW_LARGEST_BIAS ? NW_LARGEST_BIAS : wide);
    }
}

#endif
