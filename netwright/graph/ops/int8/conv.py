"""Convolution and fully connected layers on int8."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..conv import Conv
from .arithmetic import finish, multipliers, multiply_rounding_once, need_int8


@dataclass(frozen=True)
class QConv(Op):
    """x int8 [N, H, W, C], w int8 [O, Kh, Kw, C/groups], w_scale float32 [O], bias int32 [O] -> int8 [N, H', W', O].

    `w_zero` is the weights' zero point, which only old uint8 models have; `float_product`: see `multipliers`.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127
    w_zero: int = 0
    float_product: bool = False

    def types(self, x: Type, w: Type, w_scale: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if len(x.shape) != 4 or len(w.shape) != 4 or w_scale.shape != w.shape[:1] or bias != Type(w.shape[:1], "int32"):
            raise ValueError(f"q_conv of {x} with weights {w}, scales {w_scale}, bias {bias}")
        shape = self._float().types(Type(_nchw(x.shape)), Type(_nchw(w.shape)))[0].shape
        return (Type((shape[0], shape[2], shape[3], shape[1]), "int8", self.out),)

    def _float(self) -> Conv:
        return Conv(self.stride, self.padding, self.dilation, self.groups)

    def macs(self, x: Type, w: Type, w_scale: Type, bias: Type) -> int:  # type: ignore[override]
        return self.types(x, w, w_scale, bias)[0].size * math.prod(w.shape[1:])

    def numpy(self, x: Any, w: Any, w_scale: Any, bias: Any) -> Any:
        exact = exact_float(math.prod(w.shape[1:]), self.w_zero)
        real = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).astype(exact) - exact(self.x.zero)
        total = self._float().numpy(real, w.transpose(0, 3, 1, 2).astype(exact) - exact(self.w_zero))
        accumulator = total.transpose(0, 2, 3, 1).astype(np.int64) + bias
        return finish(
            accumulator, *multipliers(self.x, w_scale, self.out, self.float_product), self.out, self.low, self.high
        )


@dataclass(frozen=True)
class QLinear(Op):
    """x int8 [N, I], w int8 [O, I], w_scale float32 [O], bias int32 [O] -> int8 [N, O].

    `w_zero` is the weights' zero point. Sums are requantised with one rounding, as
    LiteRT's kernel does (TFLite Micro's rounds twice and may differ by one).
    """

    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127
    w_zero: int = 0

    def types(self, x: Type, w: Type, w_scale: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[1] != w.shape[1] or bias != Type(w.shape[:1], "int32"):
            raise ValueError(f"q_linear of {x} with weights {w}, bias {bias}")
        return (Type((x.shape[0], w.shape[0]), "int8", self.out),)

    def macs(self, x: Type, w: Type, w_scale: Type, bias: Type) -> int:  # type: ignore[override]
        return x.shape[0] * w.size

    def numpy(self, x: Any, w: Any, w_scale: Any, bias: Any) -> Any:
        exact = exact_float(w.shape[1], self.w_zero)
        total = (x.astype(exact) - exact(self.x.zero)) @ (w.T.astype(exact) - exact(self.w_zero))
        scales = multipliers(self.x, w_scale, self.out)
        y = multiply_rounding_once(total.astype(np.int64) + bias, *scales) + self.out.zero
        return np.clip(y, self.low, self.high).astype(np.int8)


def exact_float(taps: int, w_zero: int = 0) -> type[np.floating[Any]]:
    """The float type whose fast matrix product sums so many products of int8 without rounding."""
    return np.float32 if taps * 255 * (128 + abs(w_zero)) < 1 << 24 else np.float64


def _nchw(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[3], shape[1], shape[2])
