"""Transposed convolution on int8."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..conv import ConvTranspose
from .arithmetic import finish, multipliers, need_int8


@dataclass(frozen=True)
class QConvTranspose(Op):
    """x int8 [N, H, W, C], w int8 [O, Kh, Kw, C], w_scale float32 [O], bias int32 [O] -> int8 [N, H', W', O].

    H' = (H - 1) * stride + Kh - top - bottom + output_padding. Source: TensorFlow Lite's reference `TransposeConv`
    (kernels/internal/reference/integer_ops/transpose_conv.h), whose padding names give `top` and `left`.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right: cut off the result
    output_padding: tuple[int, int] = (0, 0)  # rows and columns more at the bottom and the right
    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127
    w_zero: int = 0
    float_product: bool = False

    def types(self, x: Type, w: Type, w_scale: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if len(x.shape) != 4 or len(w.shape) != 4 or w_scale.shape != w.shape[:1] or bias != Type(w.shape[:1], "int32"):
            raise ValueError(f"q_conv_transpose of {x} with weights {w}, scales {w_scale}, bias {bias}")
        if min(self.padding) < 0 or min(self.stride) < 1:
            raise ValueError(f"q_conv_transpose with stride {self.stride} and padding {self.padding}")
        n, h, width, c = x.shape
        o, kh, kw, inputs = w.shape
        made = self.in_reals().types(Type((n, c, h, width)), Type((inputs, o, kh, kw)))[0].shape
        return (Type((n, made[2], made[3], o), "int8", self.out),)

    def in_reals(self) -> ConvTranspose:
        """The float op of the same geometry."""
        return ConvTranspose(self.stride, self.padding, output_padding=self.output_padding)

    def macs(self, x: Type, w: Type, w_scale: Type, bias: Type) -> int:  # type: ignore[override]
        return x.size * math.prod(w.shape[:3])

    def numpy(self, x: Any, w: Any, w_scale: Any, bias: Any) -> Any:
        # products of int8 summed over a kernel are exact in float64, which has a fast matrix product
        real = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).astype(np.float64) - self.x.zero
        total = self.in_reals().numpy(real, w.transpose(3, 0, 1, 2).astype(np.float64) - self.w_zero)
        accumulator = total.transpose(0, 2, 3, 1).astype(np.int64) + bias
        scales = multipliers(self.x, w_scale, self.out, self.float_product)
        return finish(accumulator, *scales, self.out, self.low, self.high)
