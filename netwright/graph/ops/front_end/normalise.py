"""Readings of a sensor to int8, each channel with its own offset and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..int8.arithmetic import multiply_rounding_once


@dataclass(frozen=True)
class QNormalise(Op):
    """int16 [n, ..., C] -> int8: (x - offset) * multiplier * 2^(shift - 31), rounded once, halves up, + out.zero.

    offset, multiplier and shift are int32 [C]; shift is at most 13, so that the result stays on 31 bits.
    """

    out: Quant = UNIT_QUANT

    def types(self, x: Type, offset: Type, multiplier: Type, shift: Type) -> tuple[Type, ...]:  # type: ignore[override]
        wanted = Type(x.shape[-1:], "int32")
        if x.dtype != "int16" or not x.shape or (offset, multiplier, shift) != (wanted,) * 3:
            raise ValueError(f"q_normalise takes int16 and int32 [C], not {x}, {offset}, {multiplier}, {shift}")
        return (Type(x.shape, "int8", self.out),)

    def numpy(self, x: Any, offset: Any, multiplier: Any, shift: Any) -> Any:
        wide = multiply_rounding_once(x.astype(np.int64) - offset, multiplier, shift)
        return np.clip(wide + self.out.zero, -128, 127).astype(np.int8)
