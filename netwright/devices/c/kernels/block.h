/* Products of expanded activations with int8 weights, four at a time: the inner loops of convolution and linear layers.
 *
 * Activations lie expanded to 16 bits in groups of four, two pixels side by side: [group, 2, 4]. With the DSP extension
 * the four are held as (0, 2, 1, 3), which is how SXTB16 takes a word of weights apart. Weights lie as
 * [group, outputs, 4]. */
#ifndef NETWRIGHT_BLOCK_H
#define NETWRIGHT_BLOCK_H

#include "dot.h"

/* four bytes of x, less its zero point, to q */
NW_INLINE void nw_expand4(const int8_t *x, int16_t *q, int32_t zero)
{
#ifdef NW_DSP
    const uint32_t offset = nw_pair(-zero), v = nw_load4(x);
    ((uint32_t *)q)[0] = nw_even(offset, v);
    ((uint32_t *)q)[1] = nw_odd(offset, v);
#else
    for (int32_t i = 0; i < 4; i++)
        q[i] = (int16_t)(x[i] - zero);
#endif
}

/* where element k of a pixel lies */
NW_INLINE int32_t nw_place(int32_t k)
{
#ifdef NW_DSP
    return (k >> 2) * 8 + ((k & 1) << 1 | (k & 2) >> 1);
#else
    return (k >> 2) * 8 + (k & 3);
#endif
}

/* two pixels by one output: weights [group, 4] */
NW_INLINE void nw_block21(const int16_t *x, const int8_t *w, int32_t groups, int32_t *acc)
{
    for (int32_t g = 0; g < groups; g++, x += 8, w += 4) {
#ifdef NW_DSP
        const uint32_t v = nw_load4(w), e = nw_even0(v), o = nw_odd0(v), *q = (const uint32_t *)x;
        acc[0] = nw_mac2(o, q[1], nw_mac2(e, q[0], acc[0]));
        acc[1] = nw_mac2(o, q[3], nw_mac2(e, q[2], acc[1]));
#else
        for (int32_t i = 0; i < 4; i++) {
            acc[0] += x[i] * w[i];
            acc[1] += x[4 + i] * w[i];
        }
#endif
    }
}

/* one row of int8, less its zero point, by four outputs: weights [group, 4, 4] */
NW_INLINE void nw_block14(const int8_t *x, const int8_t *w, int32_t groups, int32_t zero, int32_t *acc)
{
#ifdef NW_DSP
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3], n = groups;
    uint32_t e, o, p, xe, xo;
    const uint32_t offset = nw_pair(-zero);
    if (n)
        __asm__ volatile("1:\n\t"
                         "ldr %[xo], [%[x]], #4\n\t"
                         "ldrd %[o], %[p], [%[w]], #8\n\t"
                         "sxtab16 %[xe], %[offset], %[xo]\n\t"
                         "sxtab16 %[xo], %[offset], %[xo], ror #8\n\t"
                         "sxtb16 %[e], %[o]\n\t"
                         "sxtb16 %[o], %[o], ror #8\n\t"
                         "smlad %[a], %[e], %[xe], %[a]\n\t"
                         "smlad %[a], %[o], %[xo], %[a]\n\t"
                         "sxtb16 %[e], %[p]\n\t"
                         "sxtb16 %[p], %[p], ror #8\n\t"
                         "smlad %[b], %[e], %[xe], %[b]\n\t"
                         "smlad %[b], %[p], %[xo], %[b]\n\t"
                         "ldrd %[o], %[p], [%[w]], #8\n\t"
                         "sxtb16 %[e], %[o]\n\t"
                         "sxtb16 %[o], %[o], ror #8\n\t"
                         "smlad %[c], %[e], %[xe], %[c]\n\t"
                         "smlad %[c], %[o], %[xo], %[c]\n\t"
                         "sxtb16 %[e], %[p]\n\t"
                         "sxtb16 %[p], %[p], ror #8\n\t"
                         "smlad %[d], %[e], %[xe], %[d]\n\t"
                         "smlad %[d], %[p], %[xo], %[d]\n\t"
                         "subs %[n], %[n], #1\n\t"
                         "bne 1b"
                         : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w] "+r"(w), [n] "+r"(n),
                           [e] "=&r"(e), [o] "=&r"(o), [p] "=&r"(p), [xe] "=&r"(xe), [xo] "=&r"(xo)
                         : [offset] "r"(offset)
                         : "cc", "memory");
    acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
#else
    for (int32_t g = 0; g < groups; g++, x += 4, w += 16)
        for (int32_t j = 0; j < 4; j++)
            for (int32_t i = 0; i < 4; i++)
                acc[j] += (x[i] - zero) * w[4 * j + i];
#endif
}

/* sum of one pixel's expanded activations: what a zero point of the weights takes off */
NW_INLINE int32_t nw_expanded_sum(const int16_t *x, int32_t groups)
{
    int32_t sum = 0;
    for (int32_t g = 0; g < groups; g++, x += 8)
        sum += x[0] + x[1] + x[2] + x[3];
    return sum;
}

#endif
