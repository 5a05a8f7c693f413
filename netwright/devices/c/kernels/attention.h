/* Attention a row of scores at a time: matrix product, softmax, matrix product, to the bit as matmul.h and softmax.h. */
#ifndef NETWRIGHT_ATTENTION_H
#define NETWRIGHT_ATTENTION_H

#include "dot.h"
#include "fixed_point.h"

typedef struct {
    int32_t tokens, keys, heads, width, depth;
    int32_t q_step, k_step, v_step; /* from one token's row to the next */
    int32_t q_zero, k_zero, v_zero;
    int32_t score_multiplier, score_shift, score_zero;
    int32_t multiplier, shift, zero;
} nw_attention_shape;

/* acc[c] += sum over j of w[j] * v[j * step + c] for four features c */
NW_INLINE void nw_weigh4(const int16_t *w, const int8_t *v, int32_t n, int32_t step, int32_t *acc)
{
    int32_t j = 0;
#ifdef NW_DSP
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (; j + 2 <= n; j += 2, v += 2 * step) {
        const uint32_t both = *(const uint32_t *)(w + j), first = nw_load4(v), second = nw_load4(v + step);
        const uint32_t e = nw_even0(first), f = nw_even0(second), g = nw_odd0(first), h = nw_odd0(second);
        a = nw_mac2((e & 0xffffu) | f << 16, both, a);
        b = nw_mac2((g & 0xffffu) | h << 16, both, b);
        c = nw_mac2(e >> 16 | (f & 0xffff0000u), both, c);
        d = nw_mac2(g >> 16 | (h & 0xffff0000u), both, d);
    }
    acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
#endif
    for (; j < n; j++, v += step)
        for (int32_t c = 0; c < 4; c++)
            acc[c] += w[j] * v[c];
}

/* scores of one query in one head */
NW_INLINE int32_t nw_scores(const int8_t *q, const int8_t *k, int8_t *score, const nw_attention_shape *s)
{
    int32_t sum = 0, largest = -128;
    for (int32_t i = 0; i < s->width; i++)
        sum += q[i] - s->q_zero;
    const int32_t start = -s->k_zero * sum;
    for (int32_t j = 0; j < s->keys; j += 4, k += 4 * s->k_step) {
        int32_t acc[4] = {start, start, start, start};
        const int32_t left = s->keys - j < 4 ? s->keys - j : 4;
        if (left == 4)
            nw_dot(q, k, s->k_step, s->width, s->q_zero, 0, 4, acc);
        else
            for (int32_t c = 0; c < left; c++)
                nw_dot(q, k + c * s->k_step, 0, s->width, s->q_zero, 0, 1, acc + c);
        for (int32_t c = 0; c < left; c++) {
            const int8_t v = nw_finish(acc[c], s->score_multiplier, s->score_shift, s->score_zero, -128, 127);
            score[j + c] = v;
            largest = v > largest ? v : largest;
        }
    }
    return largest;
}

/* softmax of one row to 16 bits, 256 for one; returns the sum. Nothing is negative, so that a rounding shift is an
 * addition; a weight is written where no score is read any more. */
NW_INLINE int32_t nw_weights(const int8_t *score, int16_t *w, int32_t largest, const int32_t *powers, int32_t n)
{
    uint32_t sum = 0; /* 12 integer bits */
    int32_t total = 0;
    for (int32_t j = 0; j < n; j++)
        sum += ((uint32_t)powers[largest - score[j]] + (1u << 11)) >> 12;
    const int32_t headroom = __builtin_clz(sum), down = 12 - headroom + 31 - 8;
    const int32_t inverse = nw_inverse_one_plus((int32_t)((sum << headroom) - (1u << 31)));
    const uint32_t half = down > 31 ? 0 : 1u << (down - 1);
    for (int32_t j = 0; j < n; j++) {
        const uint32_t scaled = (uint32_t)nw_high(inverse, powers[largest - score[j]]);
        const int32_t v = down > 31 ? 0 : (int32_t)((scaled + half) >> down);
        w[j] = (int16_t)(v < 255 ? v : 255);
        total += w[j];
    }
    return total;
}

/* q, k, v by rows of tokens, their first head's features first; powers [256]: e^-d of the distance d to the largest
 * score; scratch [keys]: weights grow from its begin over the scores in its second half. A head's results are written when its
 * query has been read, so that y may be q. */
NW_INLINE void nw_attention(const int8_t *q, const int8_t *k, const int8_t *v, int8_t *y, int16_t *scratch,
                            const int32_t *powers, const nw_attention_shape *s)
{
    int8_t *score = (int8_t *)scratch + s->keys;
    for (int32_t i = 0; i < s->tokens; i++, q += s->q_step)
        for (int32_t h = 0; h < s->heads; h++) {
            const int8_t *values = v + h * s->depth;
            const int32_t largest = nw_scores(q + h * s->width, k + h * s->width, score, s);
            const int32_t total = nw_weights(score, scratch, largest, powers, s->keys);
            const int32_t start = -s->v_zero * total;
            int32_t d = 0;
            for (; d + 4 <= s->depth; d += 4, y += 4) {
                int32_t acc[4] = {start, start, start, start};
                nw_weigh4(scratch, values + d, s->keys, s->v_step, acc);
                for (int32_t c = 0; c < 4; c++)
                    y[c] = nw_finish(acc[c], s->multiplier, s->shift, s->zero, -128, 127);
            }
            for (; d < s->depth; d++) {
                int32_t acc = start;
                for (int32_t j = 0; j < s->keys; j++)
                    acc += scratch[j] * values[j * s->v_step + d];
                *y++ = nw_finish(acc, s->multiplier, s->shift, s->zero, -128, 127);
            }
        }
}

#endif
