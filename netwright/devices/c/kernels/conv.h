/* Convolution, channels last: x [h, w, c], y [oh, ow, o]. Two output pixels at a time: their windows are gathered into
 * `scratch`, expanded to 16 bits, borders as zeros; then two output channels at a time. Gathering before writing is also
 * what lets y lie over x (see `order`). */
#ifndef NETWRIGHT_CONV_H
#define NETWRIGHT_CONV_H

#include "block.h"

typedef struct {
    int32_t h, w, c, oh, ow, o;      /* input and output */
    int32_t kh, kw, sh, sw, dh, dw;  /* kernel, stride, dilation */
    int32_t top, left;               /* padding before */
    int32_t x_zero, w_zero, y_zero, low, high;
    int32_t backward;                /* whether the last pixels are computed first */
} nw_conv_shape;

/* elements of one row of the kernel, filled up to whole groups */
NW_INLINE int32_t nw_conv_run(const nw_conv_shape *s)
{
    return (s->kw * s->c + 3) & ~3;
}

/* the window that begins at (y0, x0), to every other group of q */
NW_INLINE void nw_conv_gather(const int8_t *x, int16_t *q, const nw_conv_shape *s, int32_t y0, int32_t x0)
{
    const int32_t run = nw_conv_run(s);
    const int8_t *end = x + s->h * s->w * s->c;
    for (int32_t ky = 0; ky < s->kh; ky++, q += 2 * run) {
        const int32_t row = y0 + ky * s->dh;
        const int8_t *p = x + (row * s->w + x0) * s->c;
        const int32_t inside = row >= 0 && row < s->h;
        if (inside && s->dw == 1 && x0 >= 0 && x0 + s->kw <= s->w && (s->kw * s->c % 4 == 0 || p + run <= end)) {
            for (int32_t i = 0; i < run; i += 4)
                nw_expand4(p + i, q + 2 * i, s->x_zero);
        } else if (s->c % 4 == 0) {
            for (int32_t kx = 0; kx < s->kw; kx++) {
                const int32_t column = x0 + kx * s->dw;
                int16_t *to = q + 2 * kx * s->c;
                const int32_t here = inside && column >= 0 && column < s->w;
                for (int32_t i = 0; i < s->c; i += 4)
                    if (here)
                        nw_expand4(p + kx * s->dw * s->c + i, to + 2 * i, s->x_zero);
                    else
                        __builtin_memset(to + 2 * i, 0, 8);
            }
        } else {
            for (int32_t k = s->kw * s->c; k < run; k++)
                q[nw_place(k)] = 0;
            for (int32_t kx = 0, k = 0; kx < s->kw; kx++) {
                const int32_t column = x0 + kx * s->dw;
                const int32_t here = inside && column >= 0 && column < s->w;
                for (int32_t i = 0; i < s->c; i++, k++)
                    q[nw_place(k)] = here ? (int16_t)(p[kx * s->dw * s->c + i] - s->x_zero) : 0;
            }
        }
    }
}

/* what the end of a layer needs; constants where a kernel is made for them */
typedef struct {
    int32_t zero, low, high;
} nw_end;

NW_INLINE int8_t nw_conv_finish(int32_t acc, int32_t multiplier, int32_t down, int32_t fast, const nw_end e)
{
    return fast ? nw_finish_small(acc, multiplier, down, e.zero, e.low, e.high)
                : nw_slow_finish(acc, multiplier, down, e.zero, e.low, e.high);
}

/* two words of a stream of constants */
NW_INLINE int32_t nw_word(const int8_t *p)
{
    int32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

/* What the loop over pairs of outputs keeps in memory, behind the gathered pixels, where its pointer into them ends. */
typedef struct {
    const int16_t *q;
    int32_t loops, entry; /* of four groups each; where the first is entered */
    int32_t rounding, start0, start1;
    int8_t *y0, *y1;
    int32_t pairs;
} nw_conv_context;

#ifdef NW_DSP
#define NW_GROUP                                                                                                       \
    "ldrd %[d0], %[d1], [%[w]], #8\n\t"                                                                                \
    "ldrd %[xe], %[xo], [%[x]], #8\n\t"                                                                                \
    "sxtb16 %[m0], %[d0]\n\t"                                                                                          \
    "sxtb16 %[d0], %[d0], ror #8\n\t"                                                                                  \
    "sxtb16 %[m1], %[d1]\n\t"                                                                                          \
    "sxtb16 %[d1], %[d1], ror #8\n\t"                                                                                  \
    "smlad %[a], %[m0], %[xe], %[a]\n\t"                                                                               \
    "smlad %[b], %[m1], %[xe], %[b]\n\t"                                                                               \
    "smlad %[a], %[d0], %[xo], %[a]\n\t"                                                                               \
    "smlad %[b], %[d1], %[xo], %[b]\n\t"                                                                               \
    "ldrd %[xe], %[xo], [%[x]], #8\n\t"                                                                                \
    "smlad %[c], %[m0], %[xe], %[c]\n\t"                                                                               \
    "smlad %[d], %[m1], %[xe], %[d]\n\t"                                                                               \
    "smlad %[c], %[d0], %[xo], %[c]\n\t"                                                                               \
    "smlad %[d], %[d1], %[xo], %[d]\n\t"
#define NW_GROUP_BYTES 60
#define NW_FINISH(ACC, M, D, Y)                                                                                        \
    "lsl %[" ACC "], %[" ACC "], #1\n\t"                                                                               \
    "smmulr %[" ACC "], %[" ACC "], %[" M "]\n\t"                                                                      \
    "add %[" ACC "], %[" ACC "], %[" ACC "], asr #31\n\t"                                                              \
    "asr %[" ACC "], %[" ACC "], %[" D "]\n\t"                                                                         \
    "add %[" ACC "], %[" ACC "], %[n]\n\t"                                                                             \
    "ssat %[" ACC "], #8, %[" ACC "], asr #1\n\t"                                                                      \
    "strb %[" ACC "], [%[" Y "]], #1\n\t"
#endif

/* what a sum gets that was begun without its bias: 24 bits of it lie above a shift; the rest of a NW_WIDE one in `more` */
NW_INLINE int32_t nw_conv_late(int32_t bias, int32_t down, const int8_t **more)
{
    if (down >= -NW_WIDE / 2)
        return bias >> 8;
    *more += 4;
    return (int32_t)((uint32_t)(bias >> 8) + (uint32_t)nw_word(*more - 4));
}

NW_INLINE int32_t nw_plus(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* All pairs of outputs of two gathered pixels q, to y0 and y1. For each pair the stream w has the weights [groups, 2, 4],
 * two words of 24 bits of bias above a shift as nw_conv_finish has it, and two multipliers. `start` is less what a zero
 * point of the weights takes off. */
NW_INLINE const int8_t *nw_conv_pairs(int16_t *q, const int8_t *w, int8_t *y0, int8_t *y1, int32_t pairs,
                                      int32_t groups, int32_t start0, int32_t start1, const nw_end e,
                                      const int8_t **more)
{
#ifdef NW_DSP
    nw_conv_context *context = (nw_conv_context *)(q + 8 * groups);
    *context = (nw_conv_context){q, (groups + 3) / 4, (-groups & 3) * NW_GROUP_BYTES + 1, 2 * e.zero + 1, start0, start1,
                                 y0, y1, pairs};
    while (context->pairs > 0) {
        int32_t a, b, c, d, m0, m1, d0, d1;
        uint32_t xe, xo, n;
        void *x = context;
        /* pixel 0: a, b; pixel 1: c, d. Runs on until the pairs end or one has a negative shift. An odd last pixel is
         * written over what its absent neighbour gave. */
        __asm__ volatile(
            "1:\n\t"
            "ldrd %[a], %[c], [%[x], #16]\n\t"
            "mov %[b], %[a]\n\t"
            "mov %[d], %[c]\n\t"
            "ldrd %[n], %[xe], [%[x], #4]\n\t"
            "ldr %[x], [%[x]]\n\t"
            "adr %[xo], 2f\n\t"
            "add %[xe], %[xe], %[xo]\n\t"
            "bx %[xe]\n\t"
            ".p2align 2\n\t"
            "2:\n\t" NW_GROUP NW_GROUP NW_GROUP NW_GROUP "subs %[n], %[n], #1\n\t"
            "bne 2b\n\t"
            "ldrd %[d0], %[d1], [%[w]], #8\n\t"
            "ldrd %[m0], %[m1], [%[w]], #8\n\t"
            "ldr %[n], [%[x], #12]\n\t"
            "orr %[xe], %[d0], %[d1]\n\t"
            "lsls %[xe], %[xe], #24\n\t"
            "bmi 3f\n\t"
            "add %[a], %[a], %[d0], asr #8\n\t"
            "add %[b], %[b], %[d1], asr #8\n\t"
            "add %[c], %[c], %[d0], asr #8\n\t"
            "add %[d], %[d], %[d1], asr #8\n\t"
            "ldrd %[xe], %[xo], [%[x], #24]\n\t"
            NW_FINISH("c", "m0", "d0", "xo") NW_FINISH("d", "m1", "d1", "xo") NW_FINISH("a", "m0", "d0", "xe")
            NW_FINISH("b", "m1", "d1", "xe")
            "ldr %[n], [%[x], #32]\n\t"
            "strd %[xe], %[xo], [%[x], #24]\n\t"
            "subs %[n], %[n], #1\n\t"
            "str %[n], [%[x], #32]\n\t"
            "bne 1b\n\t"
            "3:"
            : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [m0] "=&r"(m0), [m1] "=&r"(m1), [d0] "=&r"(d0),
              [d1] "=&r"(d1), [xe] "=&r"(xe), [xo] "=&r"(xo), [x] "+r"(x), [w] "+r"(w), [n] "=&r"(n)
            :
            : "cc", "memory");
        if (context->pairs == 0)
            break;
        y0 = context->y0, y1 = context->y1;
        context->y0 += 2, context->y1 += 2, context->pairs--;
#else
    for (; pairs > 0; pairs--, y0 += 2, y1 += 2) {
        const int16_t *x = q;
        int32_t a = start0, b = start0, c = start1, d = start1;
        for (int32_t g = 0; g < groups; g++, x += 8, w += 8)
            for (int32_t i = 0; i < 4; i++) {
                a += x[i] * w[i];
                b += x[i] * w[4 + i];
                c += x[4 + i] * w[i];
                d += x[4 + i] * w[4 + i];
            }
        const int32_t d0 = nw_word(w), d1 = nw_word(w + 4), m0 = nw_word(w + 8), m1 = nw_word(w + 12);
        w += 16;
#endif
        const int32_t s0 = (int8_t)d0, s1 = (int8_t)d1;
        const int32_t b0 = nw_conv_late(d0, s0, more), b1 = nw_conv_late(d1, s1, more);
        y1[0] = nw_slow_finish(nw_plus(c, b0), m0, s0, e.zero, -128, 127);
        y1[1] = nw_slow_finish(nw_plus(d, b1), m1, s1, e.zero, -128, 127);
        y0[0] = nw_slow_finish(nw_plus(a, b0), m0, s0, e.zero, -128, 127);
        y0[1] = nw_slow_finish(nw_plus(b, b1), m1, s1, e.zero, -128, 127);
    }
    return w;
}

NW_INLINE void nw_clamp_all(int8_t *y, int32_t n, const nw_end e)
{
    for (int32_t i = 0; i < n; i++)
        y[i] = nw_clamp(y[i], e.low, e.high);
}

/* The constants of pairs of outputs (nw_conv_pairs); of an odd last one its weights [groups, 4], bias with shift,
 * multiplier; then what 24 bits did not hold of the bias of each NW_WIDE output. */
NW_KERNEL void nw_conv(const int8_t *x, int8_t *y, const int8_t *constants, int16_t *scratch,
                       const nw_conv_shape *shape)
{
    const nw_conv_shape s = *shape;
    const nw_end e = {s.y_zero, s.low, s.high};
    const int32_t step = s.backward ? -1 : 1, groups = s.kh * nw_conv_run(&s) / 4, clamped = s.low > -128 || s.high < 127;
    const int8_t *extra = constants + s.o / 2 * (16 + 8 * groups) + (s.o & 1) * (8 + 4 * groups);
    int32_t p = s.backward ? s.oh * s.ow - 1 : 0, oy = s.backward ? s.oh - 1 : 0, ox = s.backward ? s.ow - 1 : 0;
    for (int32_t left = s.oh * s.ow; left > 0; left -= 2) {
        int8_t *y0 = y + p * s.o, *y1 = y0;
        for (int32_t i = 0; i < 2 && i < left; i++) {
            nw_conv_gather(x, scratch + 4 * i, &s, oy * s.sh - s.top, ox * s.sw - s.left);
            y1 = y + p * s.o;
            p += step, ox += step;
            if (ox == s.ow)
                ox = 0, oy++;
            else if (ox < 0)
                ox = s.ow - 1, oy--;
        }
        int32_t start[2] = {0, 0};
        if (s.w_zero) {
            start[0] = -s.w_zero * nw_expanded_sum(scratch, groups);
            start[1] = -s.w_zero * nw_expanded_sum(scratch + 4, groups);
        }
        const int8_t *more = extra;
        const int8_t *w = nw_conv_pairs(scratch, constants, y0, y1, s.o / 2, groups, start[0], start[1], e, &more);
        if (s.o & 1) {
            nw_block21(scratch, w, groups, start);
            w += 4 * groups;
            const int32_t d = (int8_t)w[0], bias = nw_conv_late(nw_word(w), d, &more), m = nw_word(w + 4);
            y1[s.o - 1] = nw_slow_finish(nw_plus(start[1], bias), m, d, s.y_zero, -128, 127);
            y0[s.o - 1] = nw_slow_finish(nw_plus(start[0], bias), m, d, s.y_zero, -128, 127);
        }
        if (clamped) {
            nw_clamp_all(y0, s.o, e);
            nw_clamp_all(y1, s.o, e);
        }
    }
}

/* Any number of groups, one tap at a time: weights [o, kh, kw, c / groups]. */
NW_KERNEL void nw_conv_grouped(const int8_t *x, int8_t *y, const int8_t *w, const int32_t *bias,
                               const int32_t *multiplier, const int8_t *shift, const nw_conv_shape *s, int32_t groups)
{
    const int32_t per_group = s->c / groups, outputs = s->o / groups;
    for (int32_t oy = 0; oy < s->oh; oy++)
        for (int32_t ox = 0; ox < s->ow; ox++)
            for (int32_t o = 0; o < s->o; o++) {
                int32_t acc = bias[o];
                for (int32_t ky = 0; ky < s->kh; ky++)
                    for (int32_t kx = 0; kx < s->kw; kx++) {
                        const int32_t row = oy * s->sh - s->top + ky * s->dh, column = ox * s->sw - s->left + kx * s->dw;
                        if (row >= 0 && row < s->h && column >= 0 && column < s->w)
                            nw_dot(x + (row * s->w + column) * s->c + o / outputs * per_group,
                                   w + ((o * s->kh + ky) * s->kw + kx) * per_group, 0, per_group, s->x_zero,
                                   s->w_zero, 1, &acc);
                    }
                *y++ = nw_finish(acc, multiplier[o], shift[o], s->y_zero, s->low, s->high);
            }
}

#endif
