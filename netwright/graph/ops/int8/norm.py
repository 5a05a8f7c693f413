"""Layer, group and instance norm on int8, with exact statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import finish, need_int8, quantise_multiplier
from .fixed_point import FIXED32

LARGEST = 1 << 21  # elements normalised together, so that their sums fit
FRACTION = 20  # fractional bits of a normalised element
DROPPED = 10  # of them dropped once it is scaled
ROOT_BITS = 60  # the power is brought to 2^60 ... 2^62 before its root is taken


@dataclass(frozen=True)
class QGroupNorm(Op):
    """x int8 [N, ..., C], scale int16 [C], bias int32 [C] -> int8: each sample and group of channels normalised over
    its places and channels, then scaled and shifted per channel.

    A scale counts in steps of `step`, a bias in steps of `step` / 1024. With `centred` false the mean stays in (RMS
    norm). One group over [rows, C] is a layer norm. Sums and the variance are exact integers; 1 / sqrt is good to about
    2^-28 (an integer root, then gemmlowp's reciprocal), so that only the rounding of x and of the result is lost.
    """

    groups: int = 1
    centred: bool = True
    epsilon: float = 1e-5
    step: float = 1.0
    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127

    def types(self, x: Type, scale: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        channels = x.shape[-1:] if len(x.shape) > 1 else ()
        if not channels or self.groups < 1 or channels[0] % self.groups or not 0 < self.count(x.shape) <= LARGEST:
            raise ValueError(f"q_group_norm of {x} in {self.groups} groups: at most {LARGEST} elements each")
        if scale != Type(channels, "int16") or bias != Type(channels, "int32"):
            raise ValueError(f"q_group_norm of {x} with scale {scale} and bias {bias}")
        return (Type(x.shape, "int8", self.out),)

    def count(self, shape: tuple[int, ...]) -> int:
        """Elements that are normalised together."""
        return math.prod(shape[1:]) // self.groups

    def least(self, count: int) -> int:
        """Epsilon in the units of count^2 * variance; at least 1, so that nothing is divided by zero."""
        return max(1, min(1 << 61, round(count * count * self.epsilon / self.x.scale**2)))

    def constants(self) -> tuple[int, int]:
        """(multiplier, shift) of the scaled elements."""
        return quantise_multiplier(self.step / (1 << DROPPED) / self.out.scale)

    def numpy(self, x: Any, scale: Any, bias: Any) -> Any:
        n, c = x.shape[0], x.shape[-1]
        count = self.count(x.shape)
        rows = x.reshape(n, -1, self.groups, c // self.groups).astype(np.int64) - self.x.zero
        total = rows.sum((1, 3), keepdims=True) * int(self.centred)
        power = count * (rows * rows).sum((1, 3), keepdims=True) - total * total + self.least(count)
        up = (ROOT_BITS + 2 - _bits(power)) // 2
        root = _root(power << (2 * up))
        inverse = FIXED32.one_over_one_plus((root - (1 << 30)) << 1)
        down = 61 - FRACTION - up
        normal = ((rows * count - total) * inverse + (np.int64(1) << (down - 1))) >> down
        multiplier, shift = self.constants()
        limit = (1 << 30) >> max(shift, 0)
        scaled = (normal.reshape(n, -1, c) * scale.astype(np.int64) + (1 << (DROPPED - 1))) >> DROPPED
        wide = np.clip(scaled + bias, -limit, limit)
        return finish(wide, multiplier, shift, self.out, self.low, self.high).reshape(x.shape)


def _bits(a: np.ndarray) -> np.ndarray:
    """How many bits positive integers below 2^62 have."""
    bits = np.frexp(a.astype(np.float64))[1].astype(np.int64)  # one too many where the float was rounded up
    return bits - ((np.int64(1) << (bits - 1)) > a)


def _root(a: np.ndarray) -> np.ndarray:
    """The integer square root of integers below 2^62."""
    root = np.sqrt(a.astype(np.float64)).astype(np.int64)
    root -= root * root > a
    return root + ((root + 1) * (root + 1) <= a)
