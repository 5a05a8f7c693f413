/* What every kernel and every layer is declared with. */
#ifndef NETWRIGHT_BASE_H
#define NETWRIGHT_BASE_H

#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#define NW_APART noinline, noclone /* gcc 12 drops calls of functions that it specialised for static arguments */
#else
#define NW_APART noinline
#endif

#define NW_INLINE static inline __attribute__((always_inline))
#define NW_LAYER static __attribute__((NW_APART)) /* a layer keeps its own registers, stack and name */
#define NW_KERNEL static __attribute__((NW_APART, unused)) /* one copy for all layers that use it */

#endif
