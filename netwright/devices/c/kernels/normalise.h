/* Readings of a sensor to int8, each channel with its own offset and scale. */
#ifndef NETWRIGHT_NORMALISE_H
#define NETWRIGHT_NORMALISE_H

#include "requantise.h"

/* x [rows, channels]; the constants of a channel: offset, multiplier, shift */
NW_INLINE void nw_normalise(const int16_t *x, int8_t *y, int32_t rows, int32_t channels, const int32_t *offset,
                            const int32_t *multiplier, const int32_t *shift, int32_t zero)
{
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < channels; c++)
            *y++ = nw_clamp(nw_scale_once(*x++ - offset[c], multiplier[c], shift[c]) + zero, -128, 127);
}

#endif
