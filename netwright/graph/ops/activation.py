"""Activations that are compositions."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Mul
from .common import scalar
from .unary import Clip, Erf, HardSigmoid, Sigmoid, Tanh


@dataclass(frozen=True)
class Relu6(Composite):
    """min(max(x, 0), 6)."""

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        return b(Clip(0.0, 6.0), x)


@dataclass(frozen=True)
class HardSwish(Composite):
    """x * hard_sigmoid(x) (Howard et al. 2019, section 5.2)."""

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        return b(Mul(), x, b(HardSigmoid(), x))


@dataclass(frozen=True)
class Silu(Composite):
    """x * sigmoid(x)."""

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        return b(Mul(), x, b(Sigmoid(), x))


@dataclass(frozen=True)
class Gelu(Composite):
    """x times the normal distribution function of x; `approximate` uses the tanh form (Hendrycks and Gimpel 2016)."""

    approximate: bool = False

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        half, one = scalar(b, 0.5, x), scalar(b, 1.0, x)
        if self.approximate:
            cubic = b(Mul(), b(Mul(), b(Mul(), x, x), x), scalar(b, 0.044715, x))
            curve = b(Tanh(), b(Mul(), b(Add(), x, cubic), scalar(b, sqrt(2 / pi), x)))
        else:
            curve = b(Erf(), b(Mul(), x, scalar(b, sqrt(0.5), x)))
        return b(Mul(), b(Mul(), x, half), b(Add(), curve, one))
