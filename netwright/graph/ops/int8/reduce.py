"""Reductions of int8 [N, H, W, C] over space, and the place of the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..common import axis_of
from .arithmetic import finish, need_int8, quantise_multiplier


@dataclass(frozen=True)
class QMean(Op):
    """Mean over height and width in another quantisation: int8 [N, H, W, C] -> [N, 1, 1, C], or [N, C].

    Source: TensorFlow Lite's reference `QuantizedMeanOrSum` (kernels/internal/reference/reduce.h), the form that folds
    the division by H * W into the multiplier and so rounds once; older ones divided after requantising.
    """

    keepdims: bool = True
    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if len(x.shape) != 4 or not x.shape[1] * x.shape[2]:
            raise ValueError(f"q_mean needs int8 [N, H, W, C], got {x}")
        n, _, _, c = x.shape
        return (Type((n, 1, 1, c) if self.keepdims else (n, c), "int8", self.out),)

    def constants(self, count: int) -> tuple[int, int]:
        """(multiplier, shift) that turn a sum of `count` elements into their mean in the output's scale."""
        multiplier, shift = quantise_multiplier(self.x.scale / self.out.scale)
        room = min(count.bit_length() - 1, 32, 31 + shift)
        return (multiplier << room) // count, shift - room

    def numpy(self, x: Any) -> Any:
        count = x.shape[1] * x.shape[2]
        total = x.astype(np.int64).sum(axis=(1, 2), keepdims=self.keepdims) - count * self.x.zero
        return finish(total, *self.constants(count), self.out, self.low, self.high)


@dataclass(frozen=True)
class QArgMax(Op):
    """Index of the largest int8 along `axis`, the first of equals, as int32 (TFLite ARG_MAX)."""

    axis: int = -1
    keepdims: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        axis = axis_of(self.axis, len(x.shape), self.name)
        if x.dtype != "int8" or not x.shape[axis]:
            raise ValueError(f"q_arg_max along axis {self.axis} needs int8 elements there, got {x}")
        one = (1,) if self.keepdims else ()
        return (Type((*x.shape[:axis], *one, *x.shape[axis + 1 :]), "int32"),)

    def numpy(self, x: Any) -> Any:
        return np.argmax(x, axis=self.axis, keepdims=self.keepdims).astype(np.int32)
