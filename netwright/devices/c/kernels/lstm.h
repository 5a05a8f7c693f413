/* A sequence through an LSTM: int8 activations, int16 cell, gates in 16-bit fixed point, bit for bit as TensorFlow
 * Lite's reference kernel. Weights [4, hidden, inputs] and [4, hidden, hidden], gates in order i, f, g, o. */
#ifndef NETWRIGHT_LSTM_H
#define NETWRIGHT_LSTM_H

#include "dot.h"
#include "fixed_point.h"

typedef struct {
    int32_t multiplier, shift;
} nw_factor;

typedef struct {
    int32_t steps, inputs, hidden, cell_bits, clip, zero;
    nw_factor x[4], h[4], out;
} nw_lstm_shape;

/* one row of the batch: h is the state before, y [steps, hidden] the result, c the cell, changed in place; biases have
 * the zero points folded in */
NW_INLINE void nw_lstm(const int8_t *x, const int8_t *h, int16_t *c, int8_t *y, const int8_t *w_x, const int8_t *w_h,
                       const int32_t *x_bias, const int32_t *h_bias, const nw_lstm_shape s)
{
    for (int32_t t = 0; t < s.steps; t++, x += s.inputs, h = y, y += s.hidden)
        for (int32_t j = 0; j < s.hidden; j++) {
            int32_t gate[4];
            for (int32_t g = 0; g < 4; g++) {
                const int32_t row = g * s.hidden + j;
                int32_t given = x_bias[row], kept = h_bias[row];
                nw_dot(x, w_x + row * s.inputs, 0, s.inputs, 0, 0, 1, &given);
                nw_dot(h, w_h + row * s.hidden, 0, s.hidden, 0, 0, 1, &kept);
                gate[g] = nw_hold16(nw_scale(given, s.x[g].multiplier, s.x[g].shift));
                gate[g] = nw_hold16(gate[g] + nw_scale(kept, s.h[g].multiplier, s.h[g].shift));
            }
            const int32_t forgotten = nw_shift(nw_logistic16(gate[1], 3) * c[j], 15);
            const int32_t fresh = nw_shift(nw_logistic16(gate[0], 3) * nw_tanh16(gate[2], 3), 15 + s.cell_bits);
            int32_t cell = nw_hold16(forgotten + fresh);
            if (s.clip)
                cell = nw_clamp_wide(cell, -s.clip, s.clip);
            c[j] = (int16_t)cell;
            const int32_t product = nw_logistic16(gate[3], 3) * nw_tanh16(cell, s.cell_bits);
            y[j] = nw_finish(product, s.out.multiplier, s.out.shift, s.zero, -128, 127);
        }
}

#endif
