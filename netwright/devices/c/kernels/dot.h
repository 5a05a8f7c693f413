/* Dot products of int8 with int8. With the DSP extension two products an instruction (SMLAD), else plain C. */
#ifndef NETWRIGHT_DOT_H
#define NETWRIGHT_DOT_H

#include "requantise.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED)
#define NW_DSP 1

NW_INLINE uint32_t nw_load4(const int8_t *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

/* bytes 0 and 2 (or, rotated, 1 and 3) sign-extended to halves, plus the halves of `offset` */
NW_INLINE uint32_t nw_even(uint32_t offset, uint32_t v)
{
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2" : "=r"(r) : "r"(offset), "r"(v));
    return r;
}

NW_INLINE uint32_t nw_odd(uint32_t offset, uint32_t v)
{
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(offset), "r"(v));
    return r;
}

NW_INLINE uint32_t nw_even0(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(v));
    return r;
}

NW_INLINE uint32_t nw_odd0(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}

NW_INLINE int32_t nw_mac2(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t r;
    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
}

NW_INLINE uint32_t nw_pair(int32_t v)
{
    return ((uint32_t)v & 0xffffu) | ((uint32_t)v << 16);
}
#endif

/* acc[j] += sum over i of (x[i] - zero) * (w[j * stride + i] - w_zero), for `rows` rows of weights (a constant, at
 * most 4); w_zero is a constant too, and 0 but in old uint8 models */
NW_INLINE void nw_dot(const int8_t *x, const int8_t *w, int32_t stride, int32_t n, int32_t zero, int32_t w_zero,
                      int32_t rows, int32_t *acc)
{
#ifdef NW_DSP
    const uint32_t offset = nw_pair(-zero), w_offset = nw_pair(-w_zero);
    for (; n >= 4; n -= 4, x += 4, w += 4) {
        uint32_t v = nw_load4(x);
        uint32_t even = nw_even(offset, v), odd = nw_odd(offset, v);
#pragma GCC unroll 4
        for (int32_t j = 0; j < rows; j++) {
            uint32_t u = nw_load4(w + j * stride);
            acc[j] = nw_mac2(even, w_zero ? nw_even(w_offset, u) : nw_even0(u), acc[j]);
            acc[j] = nw_mac2(odd, w_zero ? nw_odd(w_offset, u) : nw_odd0(u), acc[j]);
        }
    }
    for (; n > 0; n--, x++, w++) {
        int32_t v = *x - zero;
#pragma GCC unroll 4
        for (int32_t j = 0; j < rows; j++)
            acc[j] += v * (w[j * stride] - w_zero);
    }
#else
    for (int32_t j = 0; j < rows; j++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < n; i++)
            sum += (x[i] - zero) * (w[j * stride + i] - w_zero);
        acc[j] += sum;
    }
#endif
}

#endif
