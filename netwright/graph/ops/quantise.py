"""Between dtypes, and between reals and the integers that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import DTYPES, FLOATS, UNIT_QUANT, Quant, Type
from .common import need_float, torch_module


@dataclass(frozen=True)
class Cast(Op):
    """Another dtype; floats are cut towards zero on the way to integers."""

    to: str = "float32"

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if self.to not in DTYPES:
            raise ValueError(f"unknown dtype {self.to!r}")
        return (Type(x.shape, self.to),)

    def numpy(self, x: Any) -> Any:
        return x.astype(DTYPES[self.to])

    def torch(self, x: Any) -> Any:
        return x.to(getattr(torch_module(), self.to))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        (x,) = node.inputs
        assert x is not None
        return (b(Cast(x.dtype), dy) if x.dtype in FLOATS else None,)


@dataclass(frozen=True)
class Quantise(Op):
    """Reals to integers: clip(round(x / scale) + zero).

    Halves round away from zero, as TFLite's reference does, or with `even` to the even number, as ONNX does.
    """

    out: Quant = UNIT_QUANT
    dtype: str = "int8"
    even: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        return (Type(x.shape, self.dtype, self.out),)

    def numpy(self, x: Any) -> Any:
        info = np.iinfo(DTYPES[self.dtype])
        scaled = x / np.float32(self.out.scale)
        if self.even:
            rounded = np.rint(scaled)
        else:
            part, whole = np.modf(scaled)  # exact; adding a half first would carry the float below a half over it
            rounded = whole + np.sign(part) * (np.abs(part) >= 0.5)
        return np.clip(rounded + self.out.zero, info.min, info.max).astype(DTYPES[self.dtype])

    def torch(self, x: Any) -> Any:
        info = np.iinfo(DTYPES[self.dtype])
        scaled = x / self.out.scale
        rounded = scaled.round() if self.even else scaled.sign() * (scaled.abs() + 0.5).floor()
        return (rounded + self.out.zero).clamp(int(info.min), int(info.max)).to(getattr(torch_module(), self.dtype))


@dataclass(frozen=True)
class Dequantise(Op):
    """Integers to the reals they stand for: scale * (q - zero), float32."""

    x: Quant = UNIT_QUANT

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.quant != self.x:
            raise ValueError(f"dequantise by {tuple(self.x)} of {x}")
        return (Type(x.shape, "float32"),)

    def numpy(self, x: Any) -> Any:
        return (x.astype(np.float32) - np.float32(self.x.zero)) * np.float32(self.x.scale)

    def torch(self, x: Any) -> Any:
        return (x.float() - self.x.zero) * self.x.scale


@dataclass(frozen=True)
class FakeQuantise(Op):
    """Reals rounded to what `bits` bits can hold, still reals; the gradient passes where nothing was clipped.

    x and low, high: the clipping range, scalars [] or one a channel of axis 0 ([O, 1, ...]). Zero is always held
    exactly (Jacob et al. 2018, section 3.1). `symmetric` is for weights: range -max|.| .. max|.|, no zero point.
    """

    bits: int = 8
    symmetric: bool = False

    def types(self, x: Type, low: Type, high: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        return (x,)

    def _grid(self, low: Any, high: Any, lib: Any) -> tuple[Any, Any, int, int]:
        levels = 2**self.bits - 1
        if self.symmetric:
            top = levels // 2
            return lib.maximum(abs(low), abs(high)) / top, 0, -top, top
        low, high = lib.minimum(low, low * 0), lib.maximum(high, high * 0)
        scale = (high - low) / levels
        return scale, lib.round(-low / _nonzero(scale, lib)), 0, levels

    def numpy(self, x: Any, low: Any, high: Any) -> Any:
        scale, zero, bottom, top = self._grid(low, high, np)
        scale = _nonzero(scale, np)
        return ((np.clip(np.round(x / scale) + zero, bottom, top) - zero) * scale).astype(x.dtype)

    def torch(self, x: Any, low: Any, high: Any) -> Any:
        torch = torch_module()
        scale, zero, bottom, top = self._grid(low, high, torch)
        scale = _nonzero(scale, torch)
        inner = x / scale
        rounded = inner + (inner.round() - inner).detach()
        return ((rounded + zero).clamp(bottom, top) - zero) * scale

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        from .binary import Add, Div, Maximum, Minimum, Sub
        from .common import scalar
        from .compare import And, Greater, GreaterEqual, LessEqual, Where
        from .unary import Abs, Neg, Round

        x, low, high = node.inputs
        zero = scalar(b, 0.0, dy)
        levels = 2**self.bits - 1
        if self.symmetric:
            bottom, top = -(levels // 2), levels // 2
            span, intervals = b(Maximum(), b(Abs(), low), b(Abs(), high)), top
        else:
            bottom, top = 0, levels
            low, high = b(Minimum(), low, zero), b(Maximum(), high, zero)
            span, intervals = b(Sub(), high, low), levels
        scale = b(Div(), span, scalar(b, intervals, dy))
        scale = b(Where(), b(Greater(), scale, zero), scale, scalar(b, 1.0, dy))
        steps = b(Round(), b(Div(), x, scale))
        if not self.symmetric:
            steps = b(Add(), steps, b(Round(), b(Div(), b(Neg(), low), scale)))
        above = b(GreaterEqual(), steps, scalar(b, bottom, dy))
        below = b(LessEqual(), steps, scalar(b, top, dy))
        return b(Where(), b(And(), above, below), dy, zero), None, None


def _nonzero(scale: Any, lib: Any) -> Any:
    return lib.where(scale > 0, scale, scale * 0 + 1)
