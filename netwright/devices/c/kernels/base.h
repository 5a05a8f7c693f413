/* What every kernel and every layer is declared with. */
#ifndef NETWRIGHT_BASE_H
#define NETWRIGHT_BASE_H

#include <stdint.h>

#define NW_INLINE static inline __attribute__((always_inline))
#define NW_LAYER static __attribute__((noinline)) /* a layer keeps its own registers, stack and name */
#define NW_KERNEL static __attribute__((noinline, unused)) /* one copy for all layers that use it */

#endif
