/* Depthwise convolution, channels last: x [h, w, c], weights [c, kh, kw], y [oh, ow, c], strides of 1 or 2. One channel at
 * a time: the rows that its kernel covers are expanded to 16 bits in a ring of `scratch`, four outputs of a row are
 * computed together, two taps an instruction. A row is read before its outputs are written, so y may be x itself.
 *
 * What is called a row may be a column (the longer of the two is the better row), so the shape holds bytes instead of
 * strides: sh, sw from row to row and from place to place of x, dh, dw of y. */
#ifndef NETWRIGHT_DEPTHWISE_H
#define NETWRIGHT_DEPTHWISE_H

#include "conv.h"

#define NW_TALLEST 8 /* rows of a kernel */

/* pairs of taps in a row of the kernel; outputs in odd places begin in the middle of a pair */
#define NW_PAIRS(KW) ((KW) / 2 + 1)

/* taps of one channel as pairs: for each row [pair, even and odd place, 2] */
NW_INLINE void nw_depthwise_taps(const int8_t *w, int16_t *taps, int32_t kh, int32_t kw)
{
    for (int32_t ky = 0; ky < kh; ky++, w += kw)
        for (int32_t j = 0; j < NW_PAIRS(kw); j++, taps += 4) {
            taps[0] = 2 * j < kw ? w[2 * j] : 0;
            taps[1] = 2 * j + 1 < kw ? w[2 * j + 1] : 0;
            taps[2] = j ? w[2 * j - 1] : 0;
            taps[3] = 2 * j < kw ? w[2 * j] : 0;
        }
}

NW_INLINE int32_t nw_pair_sum(const int16_t *x, const int16_t *taps, int32_t acc)
{
#ifdef NW_DSP
    return nw_mac2(*(const uint32_t *)x, *(const uint32_t *)taps, acc);
#else
    return acc + x[0] * taps[0] + x[1] * taps[1];
#endif
}

/* one row of one channel into the ring; rows outside the image are zeros */
NW_KERNEL void nw_depthwise_row(const int8_t *x, int16_t *to, const nw_conv_shape *s, int32_t row)
{
    to += s->left;
    if (row < 0 || row >= s->h) {
        for (int32_t i = 0; i < s->w; i++)
            to[i] = 0;
        return;
    }
    const int32_t step = s->sw, zero = s->x_zero;
    x += row * s->sh;
    int32_t i = 0;
    for (; i + 4 <= s->w; i += 4, to += 4) {
        const int32_t a = *x, b = x[step];
        x += 2 * step;
        const int32_t c = *x, d = x[step];
        x += 2 * step;
        to[0] = (int16_t)(a - zero);
        to[1] = (int16_t)(b - zero);
        to[2] = (int16_t)(c - zero);
        to[3] = (int16_t)(d - zero);
    }
    for (; i < s->w; i++, x += step)
        *to++ = (int16_t)(*x - zero);
}

#ifdef NW_DSP
/* one pair of taps for four outputs; the words of x move up by one for the next pair */
#define NW_TAPS_1(V0, V1)                                                                                              \
    "ldrd %[e], %[o], [%[t]], #8\n\t"                                                                                  \
    "ldr %[" V1 "], [%[p]], #4\n\t"                                                                                    \
    "smlad %[a], %[" V0 "], %[e], %[a]\n\t"                                                                            \
    "smlad %[b], %[" V0 "], %[o], %[b]\n\t"                                                                            \
    "smlad %[c], %[" V1 "], %[e], %[c]\n\t"                                                                            \
    "smlad %[d], %[" V1 "], %[o], %[d]\n\t"
#define NW_TAPS_2(V0, V1, V2, V3)                                                                                      \
    "ldr %[e], [%[t]], #8\n\t"                                                                                         \
    "ldr %[" V3 "], [%[p]], #4\n\t"                                                                                    \
    "smlad %[a], %[" V0 "], %[e], %[a]\n\t"                                                                            \
    "smlad %[b], %[" V1 "], %[e], %[b]\n\t"                                                                            \
    "smlad %[c], %[" V2 "], %[e], %[c]\n\t"                                                                            \
    "smlad %[d], %[" V3 "], %[e], %[d]\n\t"
#define NW_ROW_1(TAPS)                                                                                                 \
    __asm__("ldr %[v0], [%[p]], #4\n\t" TAPS                                                                           \
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [p] "+r"(p), [t] "+r"(taps), [e] "=&r"(e),           \
              [o] "=&r"(o), [v0] "=&r"(v0), [v1] "=&r"(v1)                                                             \
            :                                                                                                          \
            : "memory")
#define NW_ROW_2(TAPS)                                                                                                 \
    __asm__("ldr %[v0], [%[p]], #4\n\tldr %[v1], [%[p]], #4\n\tldr %[v2], [%[p]], #4\n\t" TAPS                         \
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [p] "+r"(p), [t] "+r"(taps), [e] "=&r"(e),           \
              [v0] "=&r"(v0), [v1] "=&r"(v1), [v2] "=&r"(v2), [v3] "=&r"(v3)                                           \
            :                                                                                                          \
            : "memory")
#endif

/* four neighbouring outputs of a row, from place ox on */
NW_INLINE void nw_depthwise_sums(int16_t *const *rows, const int16_t *taps, int32_t ox, int32_t kh, int32_t kw,
                                 int32_t stride, int32_t *acc)
{
    const int32_t pairs = NW_PAIRS(kw);
#ifdef NW_DSP
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    uint32_t e, o, v0, v1, v2, v3;
    if (pairs <= 4) {
        for (int32_t ky = 0; ky < kh; ky++) {
            const int16_t *p = rows[ky] + ox * stride;
            if (stride == 1) {
                if (pairs == 1)
                    NW_ROW_1(NW_TAPS_1("v0", "v1"));
                else if (pairs == 2)
                    NW_ROW_1(NW_TAPS_1("v0", "v1") NW_TAPS_1("v1", "v0"));
                else if (pairs == 3)
                    NW_ROW_1(NW_TAPS_1("v0", "v1") NW_TAPS_1("v1", "v0") NW_TAPS_1("v0", "v1"));
                else
                    NW_ROW_1(NW_TAPS_1("v0", "v1") NW_TAPS_1("v1", "v0") NW_TAPS_1("v0", "v1") NW_TAPS_1("v1", "v0"));
            } else {
                if (pairs == 1)
                    NW_ROW_2(NW_TAPS_2("v0", "v1", "v2", "v3"));
                else if (pairs == 2)
                    NW_ROW_2(NW_TAPS_2("v0", "v1", "v2", "v3") NW_TAPS_2("v1", "v2", "v3", "v0"));
                else if (pairs == 3)
                    NW_ROW_2(NW_TAPS_2("v0", "v1", "v2", "v3") NW_TAPS_2("v1", "v2", "v3", "v0")
                                 NW_TAPS_2("v2", "v3", "v0", "v1"));
                else
                    NW_ROW_2(NW_TAPS_2("v0", "v1", "v2", "v3") NW_TAPS_2("v1", "v2", "v3", "v0")
                                 NW_TAPS_2("v2", "v3", "v0", "v1") NW_TAPS_2("v3", "v0", "v1", "v2"));
            }
        }
        acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
        return;
    }
#endif
    for (int32_t ky = 0; ky < kh; ky++) {
        const int16_t *p = rows[ky] + ox * stride;
        for (int32_t j = 0; j < pairs; j++, taps += 4, p += 2)
            for (int32_t i = 0; i < 4; i++)
                acc[i] = nw_pair_sum(p + (stride == 1 ? i & ~1 : 2 * i), taps + (stride == 1 ? 2 * (i & 1) : 0), acc[i]);
    }
}

/* One channel, for kernels of one size and stride: constants, so that the sums are straight code. */
NW_INLINE void nw_depthwise_channel(const int8_t *x, int8_t *y, const int8_t *w, int16_t *scratch,
                                    const nw_conv_shape *s, int32_t start, int32_t m, int32_t d, const int32_t kh,
                                    const int32_t kw, const int32_t stride, const nw_end e)
{
    const int32_t pairs = NW_PAIRS(kw), width = (s->ow + 3) / 4 * 4 * stride + 2 * pairs, step = s->dw, ow = s->ow;
    const int32_t fast = d >= 0;
    int16_t *taps = scratch, *ring = scratch + 4 * kh * pairs, *rows[NW_TALLEST];
    int32_t next = -s->top;
    nw_depthwise_taps(w, taps, kh, kw);
    for (int32_t k = 0; k < kh; k++)
        nw_depthwise_row(x, rows[k] = ring + k * width, s, next++);
    for (int32_t left = s->oh; left > 0; left--, y += s->dh) {
        int8_t *to = y;
        int32_t ox = 0;
        for (; ox + 4 <= ow; ox += 4) {
            int32_t acc[4] = {start, start, start, start};
            nw_depthwise_sums(rows, taps, ox, kh, kw, stride, acc);
            for (int32_t i = 0; i < 4; i++, to += step)
                *to = nw_conv_finish(acc[i], m, d, fast, e);
        }
        if (ox < ow) {
            int32_t acc[4] = {start, start, start, start};
            nw_depthwise_sums(rows, taps, ox, kh, kw, stride, acc);
            to[0] = nw_conv_finish(acc[0], m, d, fast, e);
            if (ox + 1 < ow)
                to[step] = nw_conv_finish(acc[1], m, d, fast, e);
            if (ox + 2 < ow)
                to[2 * step] = nw_conv_finish(acc[2], m, d, fast, e);
        }
        for (int32_t turn = 0; turn < stride && left > 1; turn++) {
            int16_t *first = rows[0];
            for (int32_t k = 0; k + 1 < kh; k++)
                rows[k] = rows[k + 1];
            nw_depthwise_row(x, rows[kh - 1] = first, s, next++);
        }
    }
}

typedef void nw_depthwise_kernel(const int8_t *x, int8_t *y, const int8_t *w, int16_t *scratch, const nw_conv_shape *s,
                                 int32_t start, int32_t multiplier, int32_t shift);

/* all channels: weights [c, taps]; `scratch` of so many elements */
NW_KERNEL void nw_depthwise(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias, const int32_t *multiplier,
                            const int8_t *shift, int16_t *scratch, const nw_conv_shape *s, nw_depthwise_kernel *channel,
                            int32_t taps, int32_t elements)
{
    for (int32_t i = 0; i < elements; i++)
        scratch[i] = 0;
    for (int32_t c = 0; c < s->c; c++, w += taps)
        channel(x + c, y + c, w, scratch, s, bias[c], multiplier[c], shift[c]);
}

/* any stride and dilation, a tap at a time */
NW_INLINE void nw_depthwise_any(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                                const int32_t *multiplier, const int8_t *shift, const nw_conv_shape *s, const nw_end e)
{
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++)
            for (int32_t c = 0; c < s->c; c++) {
                int32_t acc = bias[c];
                for (int32_t ky = 0; ky < s->kh; ky++)
                    for (int32_t kx = 0; kx < s->kw; kx++) {
                        const int32_t row = oy * s->sh - s->top + ky * s->dh, column = ox * s->sw - s->left + kx * s->dw;
                        if (row >= 0 && row < s->h && column >= 0 && column < s->w)
                            acc += (x[(row * s->w + column) * s->c + c] - s->x_zero)
                                   * (w[(c * s->kh + ky) * s->kw + kx] - s->w_zero);
                    }
                *y++ = nw_conv_finish(acc, multiplier[c], shift[c], 0, e);
            }
}

#endif
