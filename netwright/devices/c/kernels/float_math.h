/* Elementary functions in float32, without a C library. Relative errors stay below 1e-6 where the result is a normal
 * number and, for sin and cos, the argument is within a few thousand; tests/devices/test_float_math.py measures them. */
#ifndef NETWRIGHT_FLOAT_MATH_H
#define NETWRIGHT_FLOAT_MATH_H

#include "base.h"

#define NW_MATH static inline __attribute__((unused))
#define NW_INF __builtin_inff()
#define NW_NAN __builtin_nanf("")

NW_MATH float nw_from_bits(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return x;
}

NW_MATH uint32_t nw_bits(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    return bits;
}

NW_MATH float nw_abs(float x) { return nw_from_bits(nw_bits(x) & 0x7fffffffu); }

/* x with the sign of s, x not negative */
NW_MATH float nw_signed(float x, float s) { return nw_from_bits(nw_bits(x) | (nw_bits(s) & 0x80000000u)); }

NW_MATH float nw_sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

/* nearest whole number, halves to even: adding 2^23 leaves no room for fractions */
NW_MATH float nw_round(float x)
{
    const float size = nw_abs(x);
    return size < 8388608.0f ? nw_signed((size + 8388608.0f) - 8388608.0f, x) : x;
}

NW_MATH float nw_floor(float x)
{
    const float near = nw_round(x);
    return near > x ? near - 1.0f : near;
}

NW_MATH float nw_ceil(float x) { return -nw_floor(-x); }

/* e^x = 2^k e^r with |r| <= log(2) / 2: Taylor to the seventh power; 2^k in two factors, so that the ends are reached */
NW_MATH float nw_exp(float x)
{
    if (!(x < 89.0f))
        return x != x ? x : NW_INF;
    if (x < -104.0f)
        return 0.0f;
    const int32_t k = (int32_t)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    const float r = (x - (float)k * 0.693359375f) + (float)k * 2.12194440e-4f;
    const float p = r * (1.0f + r * (0.5f + r * (1.6666667e-1f + r * (4.1666667e-2f + r * (8.3333333e-3f
                  + r * (1.3888889e-3f + r * 1.9841270e-4f))))));
    const int32_t half = k / 2;
    const float first = nw_from_bits((uint32_t)(127 + half) << 23);
    const float second = nw_from_bits((uint32_t)(127 + k - half) << 23);
    return (1.0f + p) * first * second;
}

/* log(2^e m) with m in [sqrt(1/2), sqrt(2)): the series of the inverse hyperbolic tangent of (m - 1) / (m + 1) */
NW_MATH float nw_log(float x)
{
    if (!(x > 0.0f))
        return x == 0.0f ? -NW_INF : NW_NAN;
    if (x > 3.4028235e38f)
        return x;
    int32_t e = 0;
    if (x < 1.17549435e-38f) {
        x *= 33554432.0f;
        e = -25;
    }
    const uint32_t bits = nw_bits(x) - 0x3f3504f3u; /* so that the exponent changes at sqrt(1/2) */
    e += (int32_t)bits >> 23;
    const float f = nw_from_bits((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    const float s = f / (2.0f + f), z = s * s;
    const float tail = z * (3.3333333e-1f + z * (0.2f + z * (1.4285714e-1f + z * (1.1111111e-1f + z * 9.0909091e-2f))));
    const float log_m = 2.0f * s + 2.0f * s * tail;
    return (float)e * 0.693359375f + (log_m - (float)e * 2.12194440e-4f);
}

/* log(1 + x) for x >= 0, exact also where 1 + x loses x (Kahan) */
NW_MATH float nw_log1p(float x)
{
    const float u = 1.0f + x;
    return u == 1.0f ? x : nw_log(u) * (x / (u - 1.0f));
}

/* 1 / sqrt(x) by Newton's method from the exponent halved */
NW_MATH float nw_rsqrt(float x)
{
    if (!(x > 0.0f))
        return x == 0.0f ? nw_signed(NW_INF, x) : NW_NAN;
    if (x > 3.4028235e38f)
        return 0.0f;
    const int small = x < 1.17549435e-38f;
    if (small)
        x *= 16777216.0f;
    const float half = 0.5f * x;
    float y = nw_from_bits(0x5f375a86u - (nw_bits(x) >> 1));
    for (int32_t i = 0; i < 3; i++)
        y = y * (1.5f - half * y * y);
    y += 0.5f * y * (1.0f - x * y * y);
    return small ? y * 4096.0f : y;
}

NW_MATH float nw_sqrt(float x)
{
    if (x == 0.0f || x > 3.4028235e38f)
        return x;
    const int small = x < 1.17549435e-38f;
    if (small)
        x *= 16777216.0f;
    const float y = nw_rsqrt(x), s = x * y;
    const float root = s + 0.5f * y * (x - s * s);
    return small ? root * 2.44140625e-4f : root;
}

/* x - x^3/3 + ... near 0, where 1 - 2 / (e^2x + 1) would cancel */
NW_MATH float nw_tanh(float x)
{
    const float size = nw_abs(x), z = x * x;
    if (size < 0.3f)
        return x + x * z * (-3.3333333e-1f + z * (1.3333333e-1f + z * (-5.3968254e-2f + z * 2.1869489e-2f)));
    if (x != x)
        return x;
    return nw_signed(size > 10.0f ? 1.0f : 1.0f - 2.0f / (nw_exp(2.0f * size) + 1.0f), x);
}

NW_MATH float nw_sigmoid(float x)
{
    const float e = nw_exp(-nw_abs(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

NW_MATH float nw_softplus(float x) { return (x > 0.0f ? x : 0.0f) + nw_log1p(nw_exp(-nw_abs(x))); }

/* Abramowitz and Stegun, 7.1.5 up to 1 and 7.1.26 beyond, where erf is at least 0.84 */
NW_MATH float nw_erf(float x)
{
    const float size = nw_abs(x), z = x * x;
    if (size <= 1.0f)
        return x * (1.1283792f + z * (-3.7612639e-1f + z * (1.1283792e-1f + z * (-2.6866171e-2f + z * (5.2239776e-3f
                 + z * (-8.5483270e-4f + z * (1.2055333e-4f + z * (-1.4925650e-5f + z * (1.6462115e-6f
                 + z * -1.6365847e-7f)))))))));
    if (x != x)
        return x;
    if (size > 4.0f)
        return nw_signed(1.0f, x);
    const float t = 1.0f / (1.0f + 0.3275911f * size);
    const float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    return nw_signed(1.0f - p * nw_exp(-z), x);
}

/* quarter turns taken off in three parts (Cody and Waite), then Taylor on an eighth of a turn each way */
NW_MATH float nw_sine(float x, int32_t quarters)
{
    const float turns = nw_round(x * 0.63661977f);
    if (!(nw_abs(turns) < 1e9f))
        return NW_NAN;
    const float r = ((x - turns * 1.5703125f) - turns * 4.8375130e-4f) - turns * 7.5497899e-8f, z = r * r;
    const int32_t k = (int32_t)turns + quarters;
    const float y = k & 1
        ? 1.0f + z * (-0.5f + z * (4.1666667e-2f + z * (-1.3888889e-3f + z * (2.4801587e-5f - z * 2.7557319e-7f))))
        : r + r * z * (-1.6666667e-1f + z * (8.3333333e-3f + z * (-1.9841270e-4f + z * 2.7557319e-6f)));
    return k & 2 ? -y : y;
}

NW_MATH float nw_sin(float x) { return nw_sine(x, 0); }

NW_MATH float nw_cos(float x) { return nw_sine(x, 1); }

/* small whole exponents by multiplication; others by e^(y log x), whose error grows with |y log x| */
NW_MATH float nw_pow(float x, float y)
{
    const float whole = nw_round(y);
    if (whole == y && nw_abs(y) <= 32.0f) {
        float power = 1.0f, square = x;
        for (int32_t n = (int32_t)nw_abs(y); n; n >>= 1, square *= square)
            if (n & 1)
                power *= square;
        return y < 0.0f ? 1.0f / power : power;
    }
    if (x == 0.0f)
        return y > 0.0f ? 0.0f : NW_INF;
    const float size = nw_exp(y * nw_log(nw_abs(x)));
    if (x > 0.0f)
        return size;
    if (whole != y)
        return NW_NAN;
    return nw_abs(y) < 16777216.0f && ((int32_t)y & 1) ? -size : size;
}

#endif
