"""Exponential, reciprocal, logistic and tanh in gemmlowp's fixed point, bit for bit, on 16 or 32 bits.

A number of n integer bits on w bits is an integer worth raw / 2^(w - 1 - n). Arrays are int64 that hold such integers.
Source: gemmlowp, fixedpoint/fixedpoint.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arithmetic import rounding_shift

# e^-(2^k) for k = -2 ... 4, no integer bits, 32 bits
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_EIGHTH, _THIRD = 1895147668, 715827883  # e^(-1/8), 1/3; no integer bits
_START, _SLOPE = 1515870810, -1010580540  # 48/17, -32/17; 2 integer bits


@dataclass(frozen=True)
class Fixed:
    """Arithmetic on `width` bits."""

    width: int

    @property
    def one(self) -> int:
        """The largest integer: as near to 1 as no integer bits come."""
        return (1 << (self.width - 1)) - 1

    def constant(self, raw32: int) -> np.int64:
        """A constant given on 32 bits."""
        return np.int64(rounding_shift(np.asarray(raw32, np.int64), 32 - self.width))

    def product(self, a: Any, b: Any) -> np.ndarray:
        """The doubling high half of a product, rounded; -1 * -1 saturates."""
        return np.minimum((a * b + (1 << (self.width - 2))) >> (self.width - 1), self.one)

    def saturated(self, a: Any) -> np.ndarray:
        return np.clip(a, -self.one - 1, self.one)

    def exp_of_negative(self, a: np.ndarray, integer_bits: int) -> np.ndarray:
        """e^a for a <= 0 of `integer_bits`, without integer bits: Taylor inside a quarter, a factor a bit above it."""
        fraction = self.width - 1 - integer_bits
        quarter = 1 << (fraction - 2)
        inside = (a & (quarter - 1)) - quarter  # a modulo 1/4, in [-1/4, 0)
        result = self._exp_of_quarter(self.saturated(inside << integer_bits))
        rest = inside - a
        for k, power in enumerate(_POWERS, start=-2):
            if integer_bits > k:
                scaled = self.product(result, self.constant(power))
                result = np.where(rest >> (fraction + k) & 1, scaled, result)
        if integer_bits > 5:
            result = np.where(a < -(1 << (fraction + 5)), 0, result)
        return np.where(a == 0, self.one, result)

    def _exp_of_quarter(self, a: np.ndarray) -> np.ndarray:
        """e^a for a in [-1/4, 0), around -1/8 to the fourth power."""
        start = self.constant(_EXP_EIGHTH)
        x = a + (1 << (self.width - 4))
        x2 = self.product(x, x)
        x3, x4 = self.product(x2, x), self.product(x2, x2)
        tail = rounding_shift(self.product(rounding_shift(x4, 2) + x3, self.constant(_THIRD)) + x2, 1)
        return self.saturated(start + self.product(start, x + tail))

    def _newton(self, a: np.ndarray) -> np.ndarray:
        """2 / (1 + a) for a in [0, 1), 2 integer bits, by three Newton-Raphson steps."""
        half = (a + self.one + 1) >> 1
        x = self.constant(_START) + self.product(half, self.constant(_SLOPE))
        for _ in range(3):
            x = x + self.saturated(self.product(x, (1 << (self.width - 3)) - self.product(half, x)) << 2)
        return x

    def one_over_one_plus(self, a: np.ndarray) -> np.ndarray:
        """1 / (1 + a) for a in [0, 1)."""
        return self.saturated(self._newton(a) << 1)

    def _one_minus_over_one_plus(self, a: np.ndarray) -> np.ndarray:
        """(1 - a) / (1 + a) for a in [0, 1)."""
        return self.saturated((self._newton(a) - (1 << (self.width - 3))) << 2)

    def logistic(self, a: np.ndarray, integer_bits: int) -> np.ndarray:
        """1 / (1 + e^-a), no integer bits."""
        a = np.asarray(a, np.int64)
        positive = self.one_over_one_plus(self.exp_of_negative(-np.abs(a), integer_bits))
        half = 1 << (self.width - 2)
        return np.where(a == 0, half, np.where(a > 0, positive, self.one - positive))

    def tanh(self, a: np.ndarray, integer_bits: int) -> np.ndarray:
        """tanh(a), no integer bits."""
        a = np.asarray(a, np.int64)
        size = self._one_minus_over_one_plus(self.exp_of_negative(-np.abs(a), integer_bits + 1))
        return np.where(a == 0, 0, np.where(a < 0, -size, size))


FIXED16, FIXED32 = Fixed(16), Fixed(32)
