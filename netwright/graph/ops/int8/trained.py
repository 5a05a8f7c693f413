"""Int8 layers as training on the device runs them: parameters that change, and clip masks for the way back.

A clip mask has one bit an element, 1 where the rounded result lay inside [low, high] before it was clamped: bit i % 8
of byte i // 8. Gradients pass there and nowhere else (straight through the rounding).
Source: Lin et al. 2022, "On-Device Training Under 256KB Memory", sections 2.1 and 3 (real quantised graph, masks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..conv import Conv
from .arithmetic import multipliers, multiply_by_multiplier, multiply_rounding_once, need_int8
from .conv import exact_float
from .elementwise import LEFT_SHIFT, QAdd
from .reduce import QMean


def mask_type(size: int) -> Type:
    """The clip mask of so many elements."""
    return Type((-(-size // 8),), "uint8")


def clipped(wide: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Rounded results, clamped to int8, and their clip mask."""
    inside = (wide >= low) & (wide <= high)
    return np.clip(wide, low, high).astype(np.int8), np.packbits(inside.reshape(-1), bitorder="little")


@dataclass(frozen=True)
class QTrainedConv(Op):
    """`q_conv` whose weights come in two parts, trained and fixed, either of which may be left out.

    x int8 [1, H, W, C], trained int8 [O, Kh, Kw, R], fixed int8 [O, Kh, Kw, C/groups - R], w_scale float32 [O], bias
    int32 [O] -> int8 [1, H', W', O] and, with `mask`, its clip mask. The trained part are the first R channels that
    each output reads. `round_once` requantises as `q_linear` does, which then is this op on a 1 x 1 image.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127
    float_product: bool = False
    round_once: bool = False
    mask: bool = True

    def types(  # type: ignore[override]
        self, x: Type, trained: Type | None, fixed: Type | None, w_scale: Type, bias: Type
    ) -> tuple[Type, ...]:
        need_int8(self.name, x, self.x)
        parts = [p for p in (trained, fixed) if p is not None]
        if len(x.shape) != 4 or x.shape[0] != 1 or not parts or any(len(p.shape) != 4 for p in parts):
            raise ValueError(f"q_trained_conv of {x} with weights {trained} and {fixed}")
        if len({p.shape[:3] for p in parts}) > 1 or w_scale.shape != bias.shape or bias.shape != parts[0].shape[:1]:
            raise ValueError(f"q_trained_conv with weights {trained} and {fixed}, scales {w_scale}, bias {bias}")
        o, kh, kw = parts[0].shape[:3]
        image, kernel = Type((1, x.shape[3], *x.shape[1:3])), Type((o, sum(p.shape[3] for p in parts), kh, kw))
        shape = self._float().types(image, kernel)[0].shape
        y = Type((1, shape[2], shape[3], o), "int8", self.out)
        return (y, mask_type(y.size)) if self.mask else (y,)

    def _float(self) -> Conv:
        return Conv(self.stride, self.padding, self.dilation, self.groups)

    def macs(  # type: ignore[override]
        self, x: Type, trained: Type | None, fixed: Type | None, w_scale: Type, bias: Type
    ) -> int:
        taps = sum(math.prod(p.shape[1:]) for p in (trained, fixed) if p is not None)
        return self.types(x, trained, fixed, w_scale, bias)[0].size * taps

    def numpy(self, x: Any, trained: Any, fixed: Any, w_scale: Any, bias: Any) -> Any:
        w = np.concatenate([p for p in (trained, fixed) if p is not None], axis=3)
        exact = exact_float(math.prod(w.shape[1:]))
        real = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).astype(exact) - exact(self.x.zero)
        total = self._float().numpy(real, w.transpose(0, 3, 1, 2).astype(exact))
        accumulator = total.transpose(0, 2, 3, 1).astype(np.int64) + bias
        scale = multiply_rounding_once if self.round_once else multiply_by_multiplier
        wide = scale(accumulator, *multipliers(self.x, w_scale, self.out, self.float_product)) + self.out.zero
        y, mask = clipped(wide, self.low, self.high)
        return (y, mask) if self.mask else y


class QMaskedAdd(QAdd):
    """`q_add`, and the clip mask of its result."""

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        (result,) = super().types(x, y)
        return result, mask_type(result.size)

    def numpy(self, x: Any, y: Any) -> Any:
        first, second, result = self.constants()
        left = multiply_by_multiplier((x.astype(np.int64) - self.x.zero) << LEFT_SHIFT, *first)
        right = multiply_by_multiplier((y.astype(np.int64) - self.y.zero) << LEFT_SHIFT, *second)
        wide = multiply_by_multiplier(left + right, *result) + self.out.zero
        return clipped(wide, self.low, self.high)


class QMaskedMean(QMean):
    """`q_mean`, and the clip mask of its result."""

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        (result,) = super().types(x)
        return result, mask_type(result.size)

    def numpy(self, x: Any) -> Any:
        count = self.count(x.shape)
        total = x.astype(np.int64).sum(axis=self.axes, keepdims=self.keepdims) - count * self.x.zero
        wide = multiply_by_multiplier(total, *self.constants(count)) + self.out.zero
        return clipped(wide, self.low, self.high)
