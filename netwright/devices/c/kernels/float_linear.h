/* Matrix products in float32. */
#ifndef NETWRIGHT_FLOAT_LINEAR_H
#define NETWRIGHT_FLOAT_LINEAR_H

#include "base.h"

/* x [rows, n], w [o, n], y [rows, o]; four outputs share each input; bias may be 0 */
NW_INLINE void nw_float_linear(const float *x, float *y, const float *w, const float *bias, int32_t rows, int32_t n,
                               int32_t o)
{
    for (int32_t r = 0; r < rows; r++, x += n, y += o) {
        int32_t j = 0;
        for (; j + 4 <= o; j += 4) {
            const float *w0 = w + j * n, *w1 = w0 + n, *w2 = w1 + n, *w3 = w2 + n;
            float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
            for (int32_t i = 0; i < n; i++) {
                const float v = x[i];
                a += v * w0[i];
                b += v * w1[i];
                c += v * w2[i];
                d += v * w3[i];
            }
            y[j] = a + (bias ? bias[j] : 0.0f);
            y[j + 1] = b + (bias ? bias[j + 1] : 0.0f);
            y[j + 2] = c + (bias ? bias[j + 2] : 0.0f);
            y[j + 3] = d + (bias ? bias[j + 3] : 0.0f);
        }
        for (; j < o; j++) {
            float a = 0.0f;
            for (int32_t i = 0; i < n; i++)
                a += x[i] * w[j * n + i];
            y[j] = a + (bias ? bias[j] : 0.0f);
        }
    }
}

/* a [m, k] times b [k, n] -> y [m, n], row by row so that b is read in order */
NW_INLINE void nw_float_matmul(const float *a, const float *b, float *y, int32_t m, int32_t k, int32_t n)
{
    for (int32_t i = 0; i < m; i++, a += k, y += n) {
        for (int32_t j = 0; j < n; j++)
            y[j] = 0.0f;
        for (int32_t l = 0; l < k; l++)
            for (int32_t j = 0; j < n; j++)
                y[j] += a[l] * b[l * n + j];
    }
}

#endif
