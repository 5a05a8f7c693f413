/* Bilinear resizing, channels last, in ten-bit fixed point. For each new row (column): the two old ones it lies between,
 * and how far towards the second, in 1/1024. */
#ifndef NETWRIGHT_RESIZE_H
#define NETWRIGHT_RESIZE_H

#include "requantise.h"

typedef struct {
    int32_t w, c, oh, ow;
} nw_resize_shape;

NW_INLINE void nw_resize_bilinear(const int8_t *x, int8_t *y, const int16_t *rows, const int16_t *columns,
                                  const nw_resize_shape s)
{
    for (int32_t oy = 0; oy < s.oh; oy++)
        for (int32_t ox = 0; ox < s.ow; ox++)
            for (int32_t c = 0; c < s.c; c++) {
                const int32_t down = rows[3 * oy + 2], across = columns[3 * ox + 2];
                const int8_t *top = x + rows[3 * oy] * s.w * s.c + c, *bottom = x + rows[3 * oy + 1] * s.w * s.c + c;
                const int32_t left = columns[3 * ox] * s.c, right = columns[3 * ox + 1] * s.c;
                const int32_t sum = (top[left] * (1024 - across) + top[right] * across) * (1024 - down)
                                    + (bottom[left] * (1024 - across) + bottom[right] * across) * down;
                *y++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
            }
}

#endif
