/* Log-mel features of int16 sound: window, real FFT on 32 bits, mel filters, base-2 logarithm. With the DSP extension a
 * product by a 16-bit factor is one instruction. */
#ifndef NETWRIGHT_LOG_MEL_H
#define NETWRIGHT_LOG_MEL_H

#include "base.h"

typedef struct {
    const int16_t *window;  /* [width], Q15 */
    const int16_t *roots;   /* [points, 2]: cos, sin of pi k / points, Q15; word-aligned */
    const int16_t *bands;   /* [mels, 2]: first bin, how many */
    const int16_t *weights; /* of all bands, Q15 */
    const int16_t *logs;    /* log2(1 + i / 32), Q14 */
    int32_t frames, hop, width, points, mels, floor;
} nw_log_mel_shape;

/* half of v times the cosine (or the sine) of a root */
#if defined(__ARM_FEATURE_DSP)
typedef uint32_t nw_root;
NW_INLINE nw_root nw_root_at(const int16_t *p)
{
    return *(const uint32_t *)__builtin_assume_aligned(p, 4);
}

NW_INLINE int32_t nw_by_cos(int32_t v, nw_root w)
{
    int32_t r;
    __asm__("smulwb %0, %1, %2" : "=r"(r) : "r"(v), "r"(w));
    return r;
}

NW_INLINE int32_t nw_by_sin(int32_t v, nw_root w)
{
    int32_t r;
    __asm__("smulwt %0, %1, %2" : "=r"(r) : "r"(v), "r"(w));
    return r;
}

NW_INLINE int32_t nw_add_by_sin(int32_t sum, int32_t v, nw_root w)
{
    int32_t r;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(r) : "r"(v), "r"(w), "r"(sum));
    return r;
}
#else
typedef const int16_t *nw_root;
NW_INLINE nw_root nw_root_at(const int16_t *p)
{
    return p;
}

NW_INLINE int32_t nw_by_16(int32_t v, int32_t factor)
{
    return (v >> 16) * factor + (((v & 0xffff) * factor) >> 16);
}

NW_INLINE int32_t nw_by_cos(int32_t v, nw_root w)
{
    return nw_by_16(v, w[0]);
}

NW_INLINE int32_t nw_by_sin(int32_t v, nw_root w)
{
    return nw_by_16(v, w[1]);
}

NW_INLINE int32_t nw_add_by_sin(int32_t sum, int32_t v, nw_root w)
{
    return sum + nw_by_16(v, w[1]);
}
#endif

/* windowed samples as complex numbers, in the order of reversed bits; zeros where the window has ended */
NW_INLINE void nw_log_mel_load(const int16_t *x, int32_t *z, const nw_log_mel_shape *s)
{
    int32_t at = 0;
    for (int32_t i = 0; i < s->points; i++) {
        const int32_t even = 2 * i, odd = even + 1;
        z[2 * at] = even < s->width ? x[even] * s->window[even] : 0;
        z[2 * at + 1] = odd < s->width ? x[odd] * s->window[odd] : 0;
        int32_t bit = s->points >> 1;
        while (at & bit)
            at ^= bit, bit >>= 1;
        at |= bit;
    }
}

/* the first two stages, by 1 and -i alone */
NW_INLINE void nw_fft_fours(int32_t *z, int32_t points)
{
    for (const int32_t *end = z + 2 * points; z < end; z += 8) {
        const int32_t sr = (z[0] >> 1) + (z[2] >> 1), si = (z[1] >> 1) + (z[3] >> 1);
        const int32_t dr = (z[0] >> 1) - (z[2] >> 1), di = (z[1] >> 1) - (z[3] >> 1);
        const int32_t tr = (z[4] >> 1) + (z[6] >> 1), ti = (z[5] >> 1) + (z[7] >> 1);
        const int32_t er = (z[4] >> 1) - (z[6] >> 1), ei = (z[5] >> 1) - (z[7] >> 1);
        z[0] = (sr >> 1) + (tr >> 1), z[1] = (si >> 1) + (ti >> 1);
        z[4] = (sr >> 1) - (tr >> 1), z[5] = (si >> 1) - (ti >> 1);
        z[2] = (dr >> 1) + (ei >> 1), z[3] = (di >> 1) - (er >> 1);
        z[6] = (dr >> 1) - (ei >> 1), z[7] = (di >> 1) + (er >> 1);
    }
}

/* transforms of `width` points joined to twice as many */
NW_INLINE void nw_fft_stage(int32_t *z, int32_t points, int32_t width, const int16_t *roots)
{
    const int32_t step = 2 * (points / width);
    for (const int32_t *end = z + 2 * points; z < end; z += 2 * width) {
        const int16_t *root = roots;
        for (const int32_t *first = z + 2 * width; z < first; z += 2, root += step) {
            const nw_root w = nw_root_at(root);
            int32_t *b = z + 2 * width;
            const int32_t br = b[0], bi = b[1], ar = z[0], ai = z[1];
            const int32_t wr = nw_add_by_sin(nw_by_cos(br, w), bi, w), wi = nw_by_cos(bi, w) - nw_by_sin(br, w);
            z[0] = (ar >> 1) + wr, z[1] = (ai >> 1) + wi;
            b[0] = (ar >> 1) - wr, b[1] = (ai >> 1) - wi;
        }
    }
}

NW_INLINE uint32_t nw_power(int32_t re, int32_t im)
{
    return (uint32_t)((uint64_t)((1 << 27) + (int64_t)re * re + (int64_t)im * im) >> 28);
}

/* squares of the bins of the real transform, each over the real part that lies in its place */
NW_INLINE void nw_log_mel_power(int32_t *z, int32_t points, const int16_t *roots)
{
    int32_t *y = z + 2 * points;
    for (int32_t k = points / 2; k > 0; k--) {
        z += 2, y -= 2, roots += 2;
        const nw_root w = nw_root_at(roots);
        const int32_t er = (z[0] >> 1) + (y[0] >> 1), ei = (z[1] >> 1) - (y[1] >> 1);
        const int32_t dr = (z[0] >> 1) - (y[0] >> 1), di = (z[1] >> 1) + (y[1] >> 1);
        const int32_t tr = 2 * (nw_by_cos(di, w) - nw_by_sin(dr, w));
        const int32_t ti = 2 * nw_add_by_sin(nw_by_cos(dr, w), di, w);
        y[0] = (int32_t)nw_power(er - tr, ei + ti);
        z[0] = (int32_t)nw_power(er + tr, ei - ti);
    }
}

/* 256 log2(v), v above 0 */
NW_INLINE int16_t nw_log2(uint64_t v, const int16_t *logs)
{
    const int32_t whole = 63 - __builtin_clzll(v);
    const uint32_t fraction = whole >= 32 ? (uint32_t)(v >> (whole - 32)) : (uint32_t)v << (32 - whole);
    const int16_t *p = logs + (fraction >> 27);
    const int32_t between = p[0] + (int32_t)(((p[1] - p[0]) * (int32_t)(fraction >> 11 & 0xffff)) >> 16);
    return (int16_t)((whole << 8) + (between >> 6));
}

/* x [samples] to y [frames, mels]; z holds 2 * points words. A frame is read before its results are written. */
NW_KERNEL void nw_log_mel(const int16_t *x, int16_t *y, int32_t *z, const nw_log_mel_shape *s)
{
    for (int32_t f = 0; f < s->frames; f++, x += s->hop) {
        nw_log_mel_load(x, z, s);
        nw_fft_fours(z, s->points);
        for (int32_t width = 4; width < s->points; width *= 2)
            nw_fft_stage(z, s->points, width, s->roots);
        nw_log_mel_power(z, s->points, s->roots);
        const int16_t *weight = s->weights, *band = s->bands;
        for (int32_t m = 0; m < s->mels; m++, band += 2) {
            const int32_t *power = z + 2 * band[0];
            uint64_t energy = (uint64_t)s->floor;
            for (int32_t n = band[1]; n > 0; n--, power += 2)
                energy += (uint64_t)(uint32_t)*power * (uint32_t)*weight++;
            *y++ = nw_log2(energy, s->logs);
        }
    }
}

#endif
