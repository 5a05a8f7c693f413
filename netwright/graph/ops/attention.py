"""Scaled dot-product attention."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Mul
from .common import scalar
from .compare import GreaterEqual, Where
from .linear import Matmul
from .shape import Reshape, Transpose
from .softmax import Softmax

MASKED = -1e4  # e^-10000 is 0 in every float, and -10000 is finite in all of them


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


@dataclass(frozen=True)
class CausalAttention(Composite):
    """Each query sees the keys up to its own position: q [H, T, D], k [G, S, D], v [G, S, E] -> [H, T, E].

    Query t is at position start[0] + t (start is int64 [1]); without `start` it is at t, and T = S. Query heads
    h * H/G .. share key head h (grouped queries, Ainslie et al. 2023, section 2.2).
    """

    scale: float = 0.0  # 0: 1 / sqrt(D)

    def expand(self, b: Builder, q: Value, k: Value, v: Value, start: Value | None = None) -> Value:  # type: ignore[override]
        if any(len(x.shape) != 3 for x in (q, k, v)) or k.shape[:2] != v.shape[:2] or q.shape[2] != k.shape[2]:
            raise ValueError(f"causal_attention of {list(q.shape)}, {list(k.shape)} and {list(v.shape)}")
        (heads, rows, width), (groups, keys, _) = q.shape, k.shape
        if heads % groups:
            raise ValueError(f"causal_attention: {heads} query heads cannot share {groups} key heads evenly")
        if start is None:
            if rows != keys:
                raise ValueError(f"causal_attention of {rows} queries and {keys} keys needs to know where they start")
            mask = b.constant(np.triu(np.full((rows, keys), MASKED, q.dtype), 1), "causal", q.dtype)
        else:
            at = b(Add(), b.constant(np.arange(rows, dtype=np.int64)[:, None], "queries"), start)
            seen = b(GreaterEqual(), at, b.constant(np.arange(keys, dtype=np.int64), "keys"))
            mask = b(Where(), seen, scalar(b, 0.0, q), scalar(b, MASKED, q))
        if heads != groups:
            q = b(Reshape((groups, heads // groups, rows, width)), q)
            k, v = (b(Reshape((groups, 1, *x.shape[1:])), x) for x in (k, v))
        y = b(Attention(self.scale), q, k, v, mask)
        return b(Reshape((heads, rows, v.shape[-1])), y) if heads != groups else y
