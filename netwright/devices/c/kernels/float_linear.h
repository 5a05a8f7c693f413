/* Matrix products in float32. */
#ifndef NETWRIGHT_FLOAT_LINEAR_H
#define NETWRIGHT_FLOAT_LINEAR_H

#include "base.h"

/* `rows` outputs of one row of inputs: x [n], w [n, rows] with `step` elements from one input's weights to the next's */
NW_INLINE void nw_float_dot(const float *x, const float *w, const float *bias, float *y, int32_t n, int32_t step,
                            int32_t rows)
{
    float acc[4];
    for (int32_t j = 0; j < rows; j++)
        acc[j] = 0.0f;
    for (int32_t i = 0; i < n; i++, w += step)
        for (int32_t j = 0; j < rows; j++)
            acc[j] += x[i] * w[j];
    for (int32_t j = 0; j < rows; j++)
        y[j] = acc[j] + (bias ? bias[j] : 0.0f);
}

/* x [rows, n], w [o, n], packed: four outputs at a time side by side as [n, 4], those left over one by one -> y [rows, o];
 * bias may be 0 */
NW_INLINE void nw_float_linear(const float *x, float *y, const float *w, const float *bias, int32_t rows, int32_t n,
                               int32_t o)
{
    for (int32_t r = 0; r < rows; r++, x += n, y += o) {
        int32_t j = 0;
        for (; j + 4 <= o; j += 4)
            nw_float_dot(x, w + j * n, bias ? bias + j : 0, y + j, n, 4, 4);
        for (; j < o; j++)
            nw_float_dot(x, w + j * n, bias ? bias + j : 0, y + j, n, 1, 1);
    }
}

/* a [m, k] times b [k, n] -> y [m, n] */
NW_INLINE void nw_float_matmul(const float *a, const float *b, float *y, int32_t m, int32_t k, int32_t n)
{
    for (int32_t i = 0; i < m; i++, a += k, y += n) {
        int32_t j = 0;
        for (; j + 4 <= n; j += 4)
            nw_float_dot(a, b + j, 0, y + j, k, n, 4);
        for (; j < n; j++)
            nw_float_dot(a, b + j, 0, y + j, k, n, 1);
    }
}

/* a [m, k] times b [n, k] turned, plus bias [n] or 0 -> y [m, n]: a linear layer whose weights are computed */
NW_INLINE void nw_float_matmul_turned(const float *a, const float *b, const float *bias, float *y, int32_t m, int32_t k,
                                      int32_t n)
{
    for (int32_t i = 0; i < m; i++, a += k, y += n)
        for (int32_t j = 0; j < n; j++)
            nw_float_dot(a, b + j * k, bias ? bias + j : 0, y + j, k, 1, 1);
}

#endif
