/* Softmax and its logarithm along one axis in float32: x, y [outer, n, inner]. */
#ifndef NETWRIGHT_FLOAT_SOFTMAX_H
#define NETWRIGHT_FLOAT_SOFTMAX_H

#include "float_math.h"

NW_INLINE void nw_float_softmax(const float *x, float *y, int32_t outer, int32_t n, int32_t inner, int32_t logarithm)
{
    for (int32_t o = 0; o < outer; o++, x += n * inner, y += n * inner)
        for (int32_t i = 0; i < inner; i++) {
            float largest = x[i], sum = 0.0f;
            for (int32_t k = 1; k < n; k++)
                largest = x[k * inner + i] > largest ? x[k * inner + i] : largest;
            for (int32_t k = 0; k < n; k++) {
                const float apart = x[k * inner + i] - largest, e = nw_exp(apart);
                y[k * inner + i] = logarithm ? apart : e;
                sum += e;
            }
            if (logarithm) {
                const float total = nw_log(sum);
                for (int32_t k = 0; k < n; k++)
                    y[k * inner + i] -= total;
            } else {
                const float share = 1.0f / sum;
                for (int32_t k = 0; k < n; k++)
                    y[k * inner + i] *= share;
            }
        }
}

#endif
