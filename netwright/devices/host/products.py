"""Products of a language model's weights with one token's row, as this machine does them best.

    runner = CpuRunner(model, products=Products(model))

Weights that the file packs in blocks are multiplied as they are, so that a token reads a fifth to a quarter of the
bytes; the numbers are those of the float32 network, summed in another order. Others are streamed by rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.models.model import Model

from . import native

LARGE = 1 << 20  # bytes from which on a matrix comes from memory, not from a cache


class Products:
    """A `netwright.graph.prepared.Products` for one model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, tensors: tuple[str, ...], x: np.ndarray, out: np.ndarray) -> Callable[[], None] | None:
        packed = [self._model.packed[name] for name in tensors if name in self._model.packed]
        if len(packed) == len(tensors) and len({blocks.kind for blocks in packed}) == 1:
            several = [blocks.rows for blocks in packed]
            rows = np.ascontiguousarray(several[0]) if len(several) == 1 else np.concatenate(several)
            return native.blocks(packed[0].kind, rows, x, out)
        weight = self._model.store[tensors[0]]
        return native.vector(weight, x, out) if len(tensors) == 1 and weight.nbytes >= LARGE else None
