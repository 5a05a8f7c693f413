"""Scaled dot-product attention."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Mul
from .common import scalar
from .linear import Matmul
from .shape import Transpose
from .softmax import Softmax


@dataclass(frozen=True)
class Attention(Composite):
    """q [.., T, D], k [.., S, D], v [.., S, E], optional additive mask -> [.., T, E] (Vaswani et al. 2017, eq. 1)."""

    scale: float = 0.0  # 0: 1 / sqrt(D)

    def expand(self, b: Builder, q: Value, k: Value, v: Value, mask: Value | None = None) -> Value:  # type: ignore[override]
        rank = len(k.shape)
        turned = b(Transpose((*range(rank - 2), rank - 1, rank - 2)), k)
        scores = b(Mul(), b(Matmul(), q, turned), scalar(b, self.scale or 1 / math.sqrt(q.shape[-1]), q))
        if mask is not None:
            scores = b(Add(), scores, mask)
        return b(Matmul(), b(Softmax(-1), scores), v)
