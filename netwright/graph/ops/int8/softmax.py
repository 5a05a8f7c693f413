"""Softmax on int8, in gemmlowp's fixed point, along the last axis.

Source: TensorFlow Lite's reference `Softmax` (kernels/internal/reference/softmax.h) and gemmlowp's
fixedpoint/fixedpoint.h. A fixed-point number of n integer bits is an int32 worth raw / 2^(31 - n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import need_int8, quantise_multiplier, rounding_shift

SOFTMAX_QUANT = Quant(1 / 256, -128)  # fixed by the TFLite 8-bit specification
DIFFERENCE_BITS = 5  # integer bits of beta * scale * (x - max)
SUM_BITS = 12  # integer bits of the sum of exponentials
LONGEST = (1 << SUM_BITS) - 1  # elements whose exponentials surely fit the sum
SMALLEST = 2.0**-25  # of beta * scale: the multiplier must be greater than one
_ONE = (1 << 31) - 1
# e^-(2^k) for k = -2 ... 4, no integer bits
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


@dataclass(frozen=True)
class QSoftmax(Op):
    """e^(beta x) / sum(e^(beta x)) along the last axis: int8 [..., C] -> int8 [..., C] of scale 1/256, zero -128.

    Where the exponentials sum to 512 or more, TFLite's reference stops with an assertion; here every result is the
    nearest integer, which is zero.
    """

    x: Quant = UNIT_QUANT
    beta: float = 1.0

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        if not x.shape or not 1 <= x.shape[-1] <= LONGEST or self.beta * self.x.scale < SMALLEST:
            raise ValueError(
                f"q_softmax needs a last axis of 1 to {LONGEST} and beta * scale of at least 2^-25, "
                f"got {x} and beta {self.beta}"
            )
        return (Type(x.shape, "int8", SOFTMAX_QUANT),)

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
        power = exp_of_negative(_product(np.where(kept, difference, 0) << shift, np.int64(multiplier)))
        total = np.where(kept, rounding_shift(power, SUM_BITS), 0).sum(axis=-1, keepdims=True)
        bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # total < 2^bits
        inverse = one_over_one_plus((total << (32 - bits)) - (1 << 31))
        y = rounding_shift(_product(inverse, power), SUM_BITS - (32 - bits) + 31 - 8) - 128
        return np.where(kept, np.clip(y, -128, 127), -128).astype(np.int8)


def exp_of_negative(a: np.ndarray) -> np.ndarray:
    """e^a for a <= 0 of 5 integer bits, as fixed point without integer bits (gemmlowp `exp_on_negative_values`)."""
    fraction = 31 - DIFFERENCE_BITS
    quarter = 1 << (fraction - 2)
    inside = (a & (quarter - 1)) - quarter  # a modulo 1/4, in [-1/4, 0)
    result = _exp_of_quarter(inside << DIFFERENCE_BITS)
    rest = inside - a
    for k, power in enumerate(_POWERS, start=-2):
        result = np.where(rest >> (fraction + k) & 1, _product(result, np.int64(power)), result)
    return np.where(a == 0, _ONE, result)


def _exp_of_quarter(a: np.ndarray) -> np.ndarray:
    """e^a for a in [-1/4, 0), Taylor around -1/8 to the fourth power."""
    start, third = np.int64(1895147668), np.int64(715827883)  # e^(-1/8), 1/3
    x = a + (1 << 28)
    x2 = _product(x, x)
    x3, x4 = _product(x2, x), _product(x2, x2)
    tail = rounding_shift(_product(rounding_shift(x4, 2) + x3, third) + x2, 1)
    return start + _product(start, x + tail)


def one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) for a in [0, 1), by three Newton-Raphson steps (gemmlowp `one_over_one_plus_x_for_x_in_0_1`)."""
    half = (a + _ONE + 1) >> 1
    x = 1515870810 + _product(half, np.int64(-1010580540))  # 48/17 - 32/17 * half, 2 integer bits
    for _ in range(3):
        x = x + _saturated(_product(x, (1 << 29) - _product(half, x)) << 2)
    return _saturated(x << 1)


def _product(a: Any, b: Any) -> np.ndarray:
    """gemmlowp's saturating rounding doubling high multiplication; operands are never both -2^31 here."""
    return (a * b + (1 << 30)) >> 31


def _saturated(a: np.ndarray) -> np.ndarray:
    return np.clip(a, -(1 << 31), _ONE)
