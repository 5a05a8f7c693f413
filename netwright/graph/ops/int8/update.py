"""Steps of gradient descent on integer parameters, which are states of the graph.

Int8 alone cannot learn: most steps are far below one unit and would be rounded away. So weights keep a residue, what
rounding left, as a fraction of a unit in 8 or 16 bits more. `factor` [O] is the rate, for each output channel in the
units of the integers (see netwright.compile.training: quantisation-aware scaling).
Source: Lin et al. 2022, "On-Device Training Under 256KB Memory", section 2; the residue is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...op import Op
from ...types import Type
from .gradient import QConvWeightGradient

LARGEST_STEP = 1 << 24  # of one update, in units of the residue
LARGEST_BIAS = (1 << 31) - (1 << 28)  # leaves room for the sums that are added to it
RESIDUE_BITS = {"int8": 8, "int16": 16}


def rounded(x: np.ndarray, largest: int) -> np.ndarray:
    """float32 to int64, halves away from zero, cut at `largest`; what is no number becomes 0."""
    cut = np.clip(np.where(np.isnan(x), np.float32(0), x), np.float32(-largest), np.float32(largest))
    half = np.where(cut < 0, np.float32(-0.5), np.float32(0.5))
    return (cut + half).astype(np.int64)


def descended(
    w: np.ndarray, residue: np.ndarray | None, g: np.ndarray, factor: np.ndarray
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Weights [O, ...] and their residue after one step along float32 gradients of the same shape."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = g * factor.reshape(-1, *(1,) * (w.ndim - 1))
        bits = 0 if residue is None else RESIDUE_BITS[str(residue.dtype)]
        by = rounded(step * np.float32(1 << bits), LARGEST_STEP)
    wide = (w.astype(np.int64) << bits) - by
    if residue is None:
        return np.clip(wide, -128, 127).astype(np.int8)
    half = 1 << (bits - 1)
    wide = np.clip(wide + residue, (-128 << bits) - half, (127 << bits) + half - 1)
    made = (wide + half) >> bits
    return made.astype(np.int8), (wide - (made << bits)).astype(residue.dtype)


def _result(op: str, w: Type, residue: Type | None, g: Type, factor: Type) -> tuple[Type, ...]:
    if w.dtype != "int8" or g.dtype != "float32" or factor != Type(w.shape[:1]) or g.shape != w.shape:
        raise ValueError(f"{op} of {w} along {g}, factor {factor}")
    if residue is None:
        return (w,)
    if residue.shape != w.shape or residue.dtype not in RESIDUE_BITS:
        raise ValueError(f"{op} of {w} with residue {residue} (int8 or int16 of the same shape)")
    return w, residue


@dataclass(frozen=True)
class QWeightUpdate(Op):
    """w int8 [O, ...], residue int8 or int16 of its shape or None, g float32 of its shape, factor float32 [O] -> w and
    residue after w -= factor * g."""

    updates: ClassVar[tuple[int, ...]] = (0, 1)

    def types(self, w: Type, residue: Type | None, g: Type, factor: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return _result(self.name, w, residue, g, factor)

    def numpy(self, w: Any, residue: Any, g: Any, factor: Any) -> Any:
        return descended(w, residue, g, factor)


@dataclass(frozen=True)
class QBiasUpdate(Op):
    """bias int32 [O], g float32 [O], factor float32 [O] -> bias - factor * g, rounded."""

    updates: ClassVar[tuple[int, ...]] = (0,)

    def types(self, bias: Type, g: Type, factor: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if bias.dtype != "int32" or g != Type(bias.shape) or factor != Type(bias.shape):
            raise ValueError(f"q_bias_update of {bias} along {g}, factor {factor}")
        return (bias,)

    def numpy(self, bias: Any, g: Any, factor: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            by = rounded(g * factor, 1 << 30)
        return np.clip(bias.astype(np.int64) - by, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


@dataclass(frozen=True)
class QConvWeightStep(QConvWeightGradient):
    """`q_conv_weight_gradient` and `q_weight_update` in one, an output channel at a time: no gradient is stored whole.

    w int8 [O, Kh, Kw, R], residue or None, x int8 [1, H, W, groups * R], g float32 [1, H', W', O], factor [O] -> w and
    residue.
    """

    updates: ClassVar[tuple[int, ...]] = (0, 1)

    def types(  # type: ignore[override]
        self, w: Type, residue: Type | None, x: Type, g: Type, factor: Type
    ) -> tuple[Type, ...]:
        (gradient,) = super().types(x, g)
        return _result(self.name, w, residue, gradient, factor)

    def macs(self, w: Type, residue: Type | None, x: Type, g: Type, factor: Type) -> int:  # type: ignore[override]
        return super().macs(x, g)

    def numpy(self, w: Any, residue: Any, x: Any, g: Any, factor: Any) -> Any:  # type: ignore[override]
        return descended(w, residue, super().numpy(x, g), factor)
