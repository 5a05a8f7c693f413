"""Softmax cross-entropy on int8 logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import need_int8

_SQRT_HALF = 0x3F3504F3  # bits of the float below which the exponent of a logarithm's argument changes


@dataclass(frozen=True)
class QCrossEntropy(Op):
    """logits int8 [1, K], label int32 [1] -> loss float32 [1], its gradient by the integer logits float32 [1, K].

    A label outside 0 ... K - 1 has no loss and no gradient. Exponentials come from a table (`table`), sums run in the
    order of the classes.
    """

    x: Quant = UNIT_QUANT

    def types(self, logits: Type, label: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, logits, self.x)
        if len(logits.shape) != 2 or logits.shape[0] != 1 or label != Type((1,), "int32"):
            raise ValueError(f"q_cross_entropy of {logits} with label {label}")
        return Type((1,)), Type(logits.shape)

    def table(self) -> np.ndarray:
        """e^(-scale * i) for i = 0 ... 255, float32."""
        return np.exp(-self.x.scale * np.arange(256)).astype(np.float32)

    def numpy(self, logits: Any, label: Any) -> Any:
        row, wanted = logits[0].astype(np.int64), int(label[0])
        below = row.max() - row
        powers = self.table()[below]
        total = np.float32(0)
        for power in powers:
            total += power
        if not 0 <= wanted < len(row):
            return np.zeros(1, np.float32), np.zeros((1, len(row)), np.float32)
        share = powers / total
        share[wanted] -= np.float32(1)
        scale = np.float32(self.x.scale)
        loss = logarithm(total) + np.float32(below[wanted]) * scale
        return np.array([loss], np.float32), (share * scale)[None]


def logarithm(x: np.float32) -> np.float32:
    """log x of a normal number, by the same float32 operations as `nw_log` of float_math.h."""
    one = np.float32
    bits = np.int32(np.asarray(x, np.float32).view(np.int32) - _SQRT_HALF)
    exponent = one(bits >> 23)
    f: Any = np.asarray((bits & 0x007FFFFF) + _SQRT_HALF, np.int32).view(np.float32)[()] - one(1)
    s = f / (one(2) + f)
    z = s * s
    tail = one(9.0909091e-2)
    for term in (1.1111111e-1, 1.4285714e-1, 0.2, 3.3333333e-1):
        tail = one(term) + z * tail
    tail = z * tail
    log_m = one(2) * s + one(2) * s * tail
    return one(exponent * one(0.693359375) + (log_m - exponent * one(2.12194440e-4)))
