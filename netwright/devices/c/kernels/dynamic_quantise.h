/* Activations quantised by their own range while the network runs: whole numbers of steps, held as floats, and the size
 * of a step. The range is worked out in double precision, as TensorFlow Lite's reference does. */
#ifndef NETWRIGHT_DYNAMIC_QUANTISE_H
#define NETWRIGHT_DYNAMIC_QUANTISE_H

#include "base.h"

/* nearest whole number, halves away from zero */
NW_INLINE double nw_nearest(double v)
{
    return v < 0 ? -(double)(int64_t)(0.5 - v) : (double)(int64_t)(v + 0.5);
}

NW_INLINE float nw_held(double v, float low, float high)
{
    return v < low ? low : v > high ? high : (float)v;
}

/* 127 steps reach the largest absolute value of x [n] */
NW_INLINE void nw_quantise_symmetric(const float *x, float *steps, float *size, int32_t n)
{
    float reach = 0.0f;
    for (int32_t i = 0; i < n; i++) {
        const float v = x[i] < 0 ? -x[i] : x[i];
        reach = v > reach ? v : reach;
    }
    *size = reach > 0 ? reach / 127.0f : 1.0f;
    const float inverse = 127.0f / (reach > 0 ? reach : 1.0f);
    for (int32_t i = 0; i < n; i++)
        steps[i] = nw_held(nw_nearest((double)(x[i] * inverse)), -127.0f, 127.0f);
}

/* 255 steps span the range of x [n] and zero, which one of them meets */
NW_INLINE void nw_quantise_asymmetric(const float *x, float *steps, float *size, int32_t n)
{
    float low = 0.0f, high = 0.0f;
    for (int32_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    const double scale = low < high ? ((double)high - (double)low) / 255.0 : 1.0;
    const double down = low / scale, up = high / scale; /* down <= 0 <= up */
    const double at = 128.0 - down < 127.0 + up ? -128.0 - down : 127.0 - up;
    const float zero = nw_held(nw_nearest(at), -128.0f, 127.0f);
    *size = (float)scale;
    const float inverse = 1.0f / *size;
    for (int32_t i = 0; i < n; i++)
        steps[i] = nw_held(nw_nearest((double)(x[i] * inverse + zero)), -128.0f, 127.0f) - zero;
}

#endif
