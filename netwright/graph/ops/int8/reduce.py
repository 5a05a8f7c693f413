"""Reductions of int8: means, sums and extremes over any axes, and the place of the largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..common import axis_of
from .arithmetic import finish, need_int8, quantise_multiplier


@dataclass(frozen=True)
class _QReduce(Op):
    axes: tuple[int, ...] = (1, 2)
    keepdims: bool = True

    def _shape(self, x: Type) -> tuple[int, ...]:
        axes = {axis_of(a, len(x.shape), self.name) for a in self.axes}
        if not all(x.shape[a] for a in axes):
            raise ValueError(f"{self.name} needs elements along {self.axes}, got {x}")
        kept = [1 if a in axes else n for a, n in enumerate(x.shape) if self.keepdims or a not in axes]
        return tuple(kept)

    def count(self, shape: tuple[int, ...]) -> int:
        """How many elements become one."""
        return math.prod(shape[a] for a in {a % len(shape) for a in self.axes})


@dataclass(frozen=True)
class QMean(_QReduce):
    """Mean over `axes` in another quantisation: of int8 [N, H, W, C] over (1, 2), [N, 1, 1, C] or [N, C].

    Source: TensorFlow Lite's reference `QuantizedMeanOrSum` (kernels/internal/reference/reduce.h), the form that folds
    the division into the multiplier and so rounds once; older ones divided after requantising.
    """

    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        return (Type(self._shape(x), "int8", self.out),)

    def constants(self, count: int) -> tuple[int, int]:
        """(multiplier, shift) that turn a sum of `count` elements into their mean in the output's scale."""
        multiplier, shift = quantise_multiplier(self.x.scale / self.out.scale)
        room = min(count.bit_length() - 1, 32, 31 + shift)
        return (multiplier << room) // count, shift - room

    def numpy(self, x: Any) -> Any:
        count = self.count(x.shape)
        total = x.astype(np.int64).sum(axis=self.axes, keepdims=self.keepdims) - count * self.x.zero
        return finish(total, *self.constants(count), self.out, self.low, self.high)


@dataclass(frozen=True)
class QSum(QMean):
    """Sum over `axes` in another quantisation; source as for `QMean`."""

    def constants(self, count: int) -> tuple[int, int]:
        """(multiplier, shift) of the sum."""
        return quantise_multiplier(self.x.scale / self.out.scale)


@dataclass(frozen=True)
class QExtreme(_QReduce):
    """Largest (or smallest) integer over `axes`; the quantisation stays."""

    largest: bool = True

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8":
            raise ValueError(f"q_extreme needs int8, got {x}")
        return (x.with_shape(self._shape(x)),)

    def numpy(self, x: Any) -> Any:
        return (np.max if self.largest else np.min)(x, axis=self.axes, keepdims=self.keepdims)


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
