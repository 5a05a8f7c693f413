/* The ends of a program: float to int8 and back. On cores without floating point the compiler's library computes. */
#ifndef NETWRIGHT_ENDS_H
#define NETWRIGHT_ENDS_H

#include "requantise.h"

/* halves are rounded away from zero; 512 steps or more saturate whatever the zero point, so they are cut first */
NW_INLINE void nw_quantise(const float *x, int8_t *y, int32_t n, float scale, int32_t zero)
{
    for (int32_t i = 0; i < n; i++) {
        const float steps = x[i] / scale;
        const float size = steps < 0.0f ? -steps : steps;
        int32_t whole = size < 512.0f ? (int32_t)size : 512;
        whole += size < 512.0f && size - (float)whole >= 0.5f;
        y[i] = nw_clamp((steps < 0.0f ? -whole : whole) + zero, -128, 127);
    }
}

/* the same with halves rounded to the even number, as ONNX does */
NW_INLINE void nw_quantise_even(const float *x, int8_t *y, int32_t n, float scale, int32_t zero)
{
    for (int32_t i = 0; i < n; i++) {
        const float steps = x[i] / scale;
        const float size = steps < 0.0f ? -steps : steps;
        int32_t whole = size < 512.0f ? (int32_t)size : 512;
        const float rest = size < 512.0f ? size - (float)whole : 0.0f;
        whole += rest > 0.5f || (rest == 0.5f && (whole & 1));
        y[i] = nw_clamp((steps < 0.0f ? -whole : whole) + zero, -128, 127);
    }
}

NW_INLINE void nw_dequantise(const int8_t *x, float *y, int32_t n, float scale, int32_t zero)
{
    for (int32_t i = 0; i < n; i++)
        y[i] = (float)(x[i] - zero) * scale;
}

#endif
