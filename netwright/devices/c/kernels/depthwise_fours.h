/* Depthwise convolution, channels last: x [h, w, c], weights [kh, kw, c], y [oh, ow, c], c a multiple of four. Four
 * channels at a time, a word of x for one place of them: the rows that the kernel covers are copied to a ring of `scratch`
 * with their borders, each tap takes four products. It needs no fours of outputs along a row, and so is the better kernel
 * for small images and strides. A row is read before its outputs are written, so y may be x itself.
 *
 * Borders hold the zero point, and `start` is a bias less what the zero point adds. */
#ifndef NETWRIGHT_DEPTHWISE_FOURS_H
#define NETWRIGHT_DEPTHWISE_FOURS_H

#include "depthwise.h"

#ifdef NW_DSP
/* acc plus the product of the lower halves, or of the upper */
NW_INLINE int32_t nw_mac_low(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t r;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
}

NW_INLINE int32_t nw_mac_high(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t r;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
}
#endif

/* what four channels need, in `scratch`: taps as halves of channels 0, 2, 1, 3, then the ring of rows */
typedef struct {
    int32_t start[4];
    struct {
        int32_t multiplier, down;
    } end[4];
} nw_four;

/* elements of a row of the ring, of four bytes each */
NW_INLINE int32_t nw_fours_width(const nw_conv_shape *s, int32_t kw, int32_t stride)
{
    return (s->ow - 1) * stride + kw;
}

/* the zero point of x for four channels at so many places */
NW_INLINE void nw_fours_border(int32_t *to, const nw_conv_shape *s, int32_t places)
{
    const int32_t zeros = (s->x_zero & 255) * 0x01010101;
#pragma GCC unroll 1
    for (; places > 0; places--)
        *to++ = zeros;
}

/* one row of four channels into the ring; rows outside the image are zero points */
NW_KERNEL void nw_fours_row(const int8_t *x, int32_t *to, const nw_conv_shape *s, int32_t row, int32_t places)
{
    const int32_t c = s->c;
    to += s->left;
    if (row < 0 || row >= s->h) {
        nw_fours_border(to, s, places);
        return;
    }
    x += row * s->w * c;
#pragma GCC unroll 1
    for (; places >= 4; places -= 4, to += 4) {
        const int8_t *x1 = x + c, *x2 = x1 + c, *x3 = x2 + c;
        to[0] = nw_word(x), to[1] = nw_word(x1), to[2] = nw_word(x2), to[3] = nw_word(x3);
        x = x3 + c;
    }
#pragma GCC unroll 1
    for (; places > 0; places--, x += c)
        *to++ = nw_word(x);
}

/* All channels, for kernels of one size and stride: constants, so that a row of taps is straight code. */
NW_INLINE void nw_depthwise_fours(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *start,
                                  const int32_t *multiplier, const int8_t *shift, int16_t *scratch,
                                  const nw_conv_shape *s, const int32_t kh, const int32_t kw, const int32_t stride,
                                  const nw_end e)
{
    __asm__("" : "+r"(scratch), "+r"(s)); /* in registers, also where a program has one such layer and knows both */
    nw_four *four = (nw_four *)scratch;
    int16_t *taps = (int16_t *)(four + 1);
    int32_t *ring = (int32_t *)(taps + 4 * kh * kw);
    const int32_t c = s->c, width = nw_fours_width(s, kw, stride), room = width - s->left;
    const int32_t places = s->w < room ? s->w : room;
    nw_fours_border(ring, s, kh * width);
    for (int32_t block = 0; block < c; block += 4, x += 4, y += 4, w += 4) {
        int32_t *rows[NW_TALLEST];
        int8_t *to = y;
        int32_t fast = 1, next = -s->top;
        for (int32_t i = 0; i < 4; i++) {
            four->start[i] = start[block + i];
            four->end[i].multiplier = multiplier[block + i];
            four->end[i].down = shift[block + i];
            fast &= shift[block + i] >= 0;
        }
        for (int32_t i = 0; i < kh * kw; i++) {
            const int8_t *tap = w + i * c;
            taps[4 * i] = tap[0], taps[4 * i + 1] = tap[2], taps[4 * i + 2] = tap[1], taps[4 * i + 3] = tap[3];
        }
        for (int32_t k = 0; k < kh; k++)
            nw_fours_row(x, rows[k] = ring + k * width, s, next++, places);
        for (int32_t left = s->oh; left > 0; left--) {
            for (int32_t ox = 0; ox < s->ow; ox++, to += c) {
                int32_t a0 = four->start[0], a1 = four->start[1], a2 = four->start[2], a3 = four->start[3];
                const int16_t *t = taps;
#pragma GCC unroll 3
                for (int32_t ky = 0; ky < kh; ky++) {
                    const int8_t *p = (const int8_t *)(rows[ky] + ox * stride);
#pragma GCC unroll 8
                    for (int32_t kx = 0; kx < kw; kx++, p += 4, t += 4) {
#ifdef NW_DSP
                        const uint32_t v = nw_load4(p), even = nw_even0(v), odd = nw_odd0(v);
                        const uint32_t w02 = *(const uint32_t *)t, w13 = *(const uint32_t *)(t + 2);
                        a0 = nw_mac_low(even, w02, a0);
                        a2 = nw_mac_high(even, w02, a2);
                        a1 = nw_mac_low(odd, w13, a1);
                        a3 = nw_mac_high(odd, w13, a3);
#else
                        a0 += p[0] * t[0];
                        a1 += p[1] * t[2];
                        a2 += p[2] * t[1];
                        a3 += p[3] * t[3];
#endif
                    }
                }
                to[0] = nw_conv_finish(a0, four->end[0].multiplier, four->end[0].down, fast, e);
                to[1] = nw_conv_finish(a1, four->end[1].multiplier, four->end[1].down, fast, e);
                to[2] = nw_conv_finish(a2, four->end[2].multiplier, four->end[2].down, fast, e);
                to[3] = nw_conv_finish(a3, four->end[3].multiplier, four->end[3].down, fast, e);
            }
            for (int32_t turn = 0; turn < s->sh && left > 1; turn++) {
                int32_t *first = rows[0];
                for (int32_t k = 0; k + 1 < kh; k++)
                    rows[k] = rows[k + 1];
                nw_fours_row(x, rows[kh - 1] = first, s, next++, places);
            }
        }
    }
}

#endif
