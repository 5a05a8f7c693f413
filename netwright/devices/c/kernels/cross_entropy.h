/* Softmax cross-entropy on int8 logits: exponentials from a table of e^(-scale i). */
#ifndef NETWRIGHT_CROSS_ENTROPY_H
#define NETWRIGHT_CROSS_ENTROPY_H

#include "float_math.h"

/* a label that is no class has no loss and no gradient */
NW_KERNEL void nw_cross_entropy(const int8_t *x, int32_t label, float *loss, float *g, int32_t n, const float *table,
                                float scale)
{
    int32_t largest = x[0];
    for (int32_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    float total = 0.0f;
    for (int32_t i = 0; i < n; i++)
        total += table[largest - x[i]];
    const int32_t known = label >= 0 && label < n;
    for (int32_t i = 0; i < n; i++) {
        const float share = table[largest - x[i]] / total;
        g[i] = known ? (i == label ? share - 1.0f : share) * scale : 0.0f;
    }
    loss[0] = known ? nw_log(total) + (float)(largest - x[label]) * scale : 0.0f;
}

#endif
