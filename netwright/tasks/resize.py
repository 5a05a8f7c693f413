"""Antialiased bilinear resizing as two small matrix products: the triangle filter of Pillow and torch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_BLOCK = 1024  # samples resized at a time, so that temporaries stay small


@lru_cache(maxsize=64)
def weights(before: int, after: int) -> np.ndarray:
    """[after, before] float32, rows sum to 1. The filter widens with the factor when shrinking, so nothing aliases."""
    factor = before / after
    width = max(factor, 1.0)
    centres = (np.arange(after) + 0.5) * factor
    distance = np.abs(np.arange(before)[None] + 0.5 - centres[:, None]) / width
    triangle = np.maximum(1.0 - distance, 0.0)
    return (triangle / triangle.sum(1, keepdims=True)).astype(np.float32)


def resize(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """x float32 [n, C, ...] with its last len(sizes) axes (one or two) brought to `sizes`."""
    if x.shape[x.ndim - len(sizes) :] == sizes:
        return x
    out = np.empty((*x.shape[: x.ndim - len(sizes)], *sizes), np.float32)
    for begin in range(0, len(x), _BLOCK):
        block = x[begin : begin + _BLOCK] @ weights(x.shape[-1], sizes[-1]).T
        out[begin : begin + _BLOCK] = weights(x.shape[-2], sizes[-2]) @ block if len(sizes) == 2 else block
    return out
