/* A rank-decomposed dense layer over time: each filter keeps its last `memory` projections, the newest last. */
#ifndef NETWRIGHT_SVDF_H
#define NETWRIGHT_SVDF_H

#include "dot.h"

typedef struct {
    int32_t inputs, filters, memory, rank;
    int32_t x_zero, state_zero, low, high; /* bounds of the state's type */
    int32_t into_multiplier, into_shift, out_multiplier, out_shift, out_zero;
} nw_svdf_shape;

/* defines nw_svdf for a state of one type: x [inputs], before and after [filters, memory], weights [filters, inputs],
 * time [filters, memory], y [filters / rank] */
#define NW_SVDF(NAME, STATE)                                                                                           \
    NW_INLINE void NAME(const int8_t *x, const STATE *before, int8_t *y, STATE *after, const int8_t *w,                \
                        const STATE *time, const int32_t *bias, const nw_svdf_shape s)                                 \
    {                                                                                                                  \
        for (int32_t u = 0; u < s.filters / s.rank; u++) {                                                             \
            int32_t total = bias[u];                                                                                   \
            for (int32_t r = 0; r < s.rank; r++, before += s.memory, after += s.memory, time += s.memory) {            \
                int32_t newest = 0;                                                                                    \
                nw_dot(x, w + (u * s.rank + r) * s.inputs, 0, s.inputs, s.x_zero, 0, 1, &newest);                      \
                newest = nw_clamp_wide(nw_scale(newest, s.into_multiplier, s.into_shift), s.low, s.high);              \
                for (int32_t m = 0; m + 1 < s.memory; m++)                                                             \
                    after[m] = before[m + 1];                                                                          \
                after[s.memory - 1] = (STATE)(newest + s.state_zero);                                                  \
                for (int32_t m = 0; m < s.memory; m++)                                                                 \
                    total += (after[m] - s.state_zero) * time[m];                                                      \
            }                                                                                                          \
            y[u] = nw_finish(total, s.out_multiplier, s.out_shift, s.out_zero, -128, 127);                             \
        }                                                                                                              \
    }

NW_SVDF(nw_svdf8, int8_t)
NW_SVDF(nw_svdf16, int16_t)

#endif
