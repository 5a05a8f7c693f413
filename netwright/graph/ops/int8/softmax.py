"""Softmax on int8, in gemmlowp's fixed point, along the last axis.

Source: TensorFlow Lite's reference `Softmax` (kernels/internal/reference/softmax.h).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import need_int8, quantise_multiplier, rounding_shift
from .fixed_point import FIXED32

SOFTMAX_QUANTS = {"int8": Quant(1 / 256, -128), "int16": Quant(1 / 65536, -32768)}  # fixed by the TFLite specification
SOFTMAX_QUANT = SOFTMAX_QUANTS["int8"]
DIFFERENCE_BITS = 5  # integer bits of beta * scale * (x - max)
SUM_BITS = 12  # integer bits of the sum of exponentials
LONGEST = (1 << SUM_BITS) - 1  # elements whose exponentials surely fit the sum
SMALLEST = 2.0**-25  # of beta * scale: the multiplier must be greater than one


@dataclass(frozen=True)
class QSoftmax(Op):
    """e^(beta x) / sum(e^(beta x)) along the last axis: int8 [..., C] -> int8 [..., C] of scale 1/256, zero -128;
    with `dtype` int16, of scale 1/65536 and zero -32768.

    Where the exponentials sum to 512 or more, TFLite's reference stops with an assertion; here every result is the
    nearest integer, which is zero.
    """

    x: Quant = UNIT_QUANT
    beta: float = 1.0
    dtype: str = "int8"

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if not x.shape or not 1 <= x.shape[-1] <= LONGEST or self.beta * self.x.scale < SMALLEST:
            raise ValueError(
                f"q_softmax needs a last axis of 1 to {LONGEST} and beta * scale of at least 2^-25, "
                f"got {x} and beta {self.beta}"
            )
        if self.dtype not in SOFTMAX_QUANTS:
            raise ValueError(f"q_softmax makes int8 or int16, not {self.dtype!r}")
        return (Type(x.shape, self.dtype, SOFTMAX_QUANTS[self.dtype]),)

    def constants(self) -> tuple[int, int, int]:
        """(multiplier, left shift, least difference): x - max to fixed point, and where e^x is taken for zero."""
        wanted = float(np.float32(self.beta)) * self.x.scale * (1 << (31 - DIFFERENCE_BITS))
        multiplier, shift = quantise_multiplier(min(wanted, 2.0**31 - 1))
        radius = ((1 << DIFFERENCE_BITS) - 1) * (1 << (31 - DIFFERENCE_BITS)) / (1 << shift)
        return multiplier, shift, -math.floor(radius)

    def numpy(self, x: Any) -> Any:
        multiplier, shift, least = self.constants()
        wide = x.astype(np.int64)
        difference = wide - wide.max(axis=-1, keepdims=True)
        kept = difference >= least
        power = FIXED32.exp_of_negative(
            FIXED32.product(np.where(kept, difference, 0) << shift, np.int64(multiplier)), DIFFERENCE_BITS
        )
        total = np.where(kept, rounding_shift(power, SUM_BITS), 0).sum(axis=-1, keepdims=True)
        bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # total < 2^bits
        inverse = FIXED32.one_over_one_plus((total << (32 - bits)) - (1 << 31))
        info = np.iinfo(self.dtype)
        y = rounding_shift(FIXED32.product(inverse, power), SUM_BITS - (32 - bits) + 31 - info.bits) + info.min
        return np.where(kept, np.clip(y, info.min, info.max), info.min).astype(self.dtype)
