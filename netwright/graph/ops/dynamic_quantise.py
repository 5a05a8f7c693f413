"""Quantising an activation by its own range while the network runs, as hybrid layers do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Div, Maximum, Minimum, Mul, Sub
from .compare import Less, Where
from .quantise import Cast
from .reduce import ReduceMax, ReduceMin
from .unary import Abs, Clip, Floor, Reciprocal, Sign


@dataclass(frozen=True)
class DynamicQuantise(Composite):
    """x [N, ...] float32 -> whole numbers of steps [N, ...] and the size of a step [N, 1, ...], both float32.

    x is about steps * size; each sample has a range of its own. With `symmetric`, 127 steps reach the largest absolute
    value; else 255 steps span the range and zero is met exactly. Source: TensorFlow Lite's `SymmetricQuantizeFloats`
    and `AsymmetricQuantizeFloats` (kernels/internal/reference/portable_tensor_utils.cc), which compute the range in
    double precision.
    """

    symmetric: bool = False

    def expand(self, b: Builder, x: Value) -> tuple[Value, ...]:  # type: ignore[override]
        axes = tuple(range(1, len(x.shape)))
        zero, one = b.constant(np.zeros((), np.float32)), b.constant(np.ones((), np.float32))
        if self.symmetric:
            reach = b(ReduceMax(axes), b(Abs(), x))
            empty = b(Less(), zero, reach)  # not all zero
            safe = b(Where(), empty, reach, one)
            top = b.constant(np.float32(127))
            size = b(Where(), empty, b(Div(), safe, top), one)
            steps = self._rounded(b, b(Mul(), x, b(Div(), top, safe)))
            return b(Clip(-127.0, 127.0), steps), size
        low = b(Cast("float64"), b(Minimum(), b(ReduceMin(axes), x), zero))
        high = b(Cast("float64"), b(Maximum(), b(ReduceMax(axes), x), zero))
        bottom, top = b.constant(-128.0, dtype="float64"), b.constant(127.0, dtype="float64")
        span = b(Sub(), high, low)
        some = b(Less(), b.constant(0.0, dtype="float64"), span)
        scale = b(Where(), some, b(Div(), span, b.constant(255.0, dtype="float64")), b.constant(1.0, dtype="float64"))
        from_low, from_high = b(Div(), low, scale), b(Div(), high, scale)
        nearer_low = b(Less(), b(Add(), b(Abs(), from_low), b(Abs(), bottom)), b(Add(), b(Abs(), from_high), top))
        zero_point = b(Where(), nearer_low, b(Sub(), bottom, from_low), b(Sub(), top, from_high))
        nudged = b(Cast("float32"), b(Clip(-128.0, 127.0), self._rounded(b, zero_point)))
        size = b(Cast("float32"), scale)
        shifted = b(Add(), b(Mul(), x, b(Reciprocal(), size)), nudged)
        return b(Sub(), b(Clip(-128.0, 127.0), self._rounded(b, shifted)), nudged), size

    def _rounded(self, b: Builder, v: Value) -> Value:
        """Nearest whole number, halves away from zero; the half is added in double precision, where that is exact."""
        wide = v if v.dtype == "float64" else b(Cast("float64"), v)
        size = b(Floor(), b(Add(), b(Abs(), wide), b.constant(0.5, dtype="float64")))
        made = b(Mul(), b(Sign(), wide), size)
        return made if v.dtype == "float64" else b(Cast("float32"), made)
