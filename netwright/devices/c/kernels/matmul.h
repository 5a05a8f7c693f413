/* Matrix product of two activations: x [m, k], y [k, n], z [m, n]. */
#ifndef NETWRIGHT_MATMUL_H
#define NETWRIGHT_MATMUL_H

#include "requantise.h"

typedef struct {
    int32_t m, k, n, x_zero, y_zero, z_zero, multiplier, shift;
} nw_matmul_shape;

NW_INLINE void nw_matmul(const int8_t *x, const int8_t *y, int8_t *z, const nw_matmul_shape s)
{
    for (int32_t i = 0; i < s.m; i++)
        for (int32_t j = 0; j < s.n; j++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < s.k; k++)
                sum += (x[i * s.k + k] - s.x_zero) * (y[k * s.n + j] - s.y_zero);
            z[i * s.n + j] = nw_finish(sum, s.multiplier, s.shift, s.z_zero, -128, 127);
        }
}

#endif
