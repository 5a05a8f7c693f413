"""Attention on int8, a row of scores at a time: the chain of matrix product, softmax, matrix product as one op.

Source: MCUFormer (Liang et al. 2023, token overwriting).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import need_int8
from .matmul import QMatmul
from .softmax import SOFTMAX_QUANT, QSoftmax


@dataclass(frozen=True)
class QAttention(Op):
    """q int8 [B, N, ...], k int8 [B, S, ...], v int8 [B, S, ...] -> int8 [B, N, heads * depth].

    Head h reads `width` features of each token of q and k from `columns` + h * width on, and `depth` features of v's.
    It computes exactly QMatmul(q, k, scores), QSoftmax(read, beta) and QMatmul(softmax, v, out) of them; `read` is what
    softmax takes the scores for (a factor between them is a change of scale only). No more scores than the row of one
    token and head exist at a time.
    """

    heads: int = 1
    width: int = 1
    depth: int = 1
    columns: tuple[int, int, int] = (0, 0, 0)  # of q, k, v
    q: Quant = UNIT_QUANT
    k: Quant = UNIT_QUANT
    v: Quant = UNIT_QUANT
    scores: Quant = UNIT_QUANT
    read: Quant = UNIT_QUANT
    beta: float = 1.0
    out: Quant = UNIT_QUANT

    def products(self) -> tuple[QMatmul, QSoftmax, QMatmul]:
        """The ops that it is the chain of."""
        return (
            QMatmul(self.q, self.k, self.scores),
            QSoftmax(self.read, self.beta),
            QMatmul(SOFTMAX_QUANT, self.v, self.out),
        )

    def types(self, q: Type, k: Type, v: Type) -> tuple[Type, ...]:  # type: ignore[override]
        for type, quant, column, size in zip((q, k, v), (self.q, self.k, self.v), self.columns, self._sizes()):
            need_int8(self.name, type, quant)
            if len(type.shape) != 3 or not 0 <= column <= type.shape[2] - self.heads * size:
                raise ValueError(f"q_attention reads {self.heads} heads of {size} features from {column} on of {type}")
        if not q.shape[0] == k.shape[0] == v.shape[0] or k.shape[1] != v.shape[1]:
            raise ValueError(f"q_attention of {q}, {k} and {v}")
        self.products()[1].types(Type((self.heads, q.shape[1], k.shape[1]), "int8", self.read))
        return (Type((*q.shape[:2], self.heads * self.depth), "int8", self.out),)

    def macs(self, q: Type, k: Type, v: Type) -> int:  # type: ignore[override]
        return q.shape[0] * self.heads * q.shape[1] * k.shape[1] * (self.width + self.depth)

    def numpy(self, q: Any, k: Any, v: Any) -> Any:
        first, softmax, second = self.products()
        q, k, v = (self._split(a, *given) for a, *given in zip((q, k, v), self.columns, self._sizes()))
        y = second.numpy(softmax.numpy(first.numpy(q, k.swapaxes(2, 3))), v)
        return np.ascontiguousarray(y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1))

    def _sizes(self) -> tuple[int, int, int]:
        return self.width, self.width, self.depth

    def _split(self, a: Any, column: int, size: int) -> Any:
        """[B, N, ...] -> [B, heads, N, size]."""
        rows = a[:, :, column : column + self.heads * size]
        return rows.reshape(*a.shape[:2], self.heads, size).transpose(0, 2, 1, 3)
