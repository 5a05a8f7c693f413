"""Element by element on int8: add, subtract, multiply, change of scale, and any function of one operand by table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type, broadcast
from .arithmetic import finish, multiply_by_multiplier, need_int8, quantise_multiplier

LEFT_SHIFT = 20  # headroom that TFLite's add gives both operands before scaling them


@dataclass(frozen=True)
class _QBinary(Op):
    in_place: ClassVar[bool] = True

    x: Quant = UNIT_QUANT
    y: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        need_int8(self.name, y, self.y)
        return (Type(broadcast(x.shape, y.shape), "int8", self.out),)


@dataclass(frozen=True)
class _QSum(_QBinary):
    sign: ClassVar[int] = 1

    def constants(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(multiplier, shift) of x, of y, and of their sum."""
        twice = 2 * max(self.x.scale, self.y.scale)
        return (
            quantise_multiplier(self.x.scale / twice),
            quantise_multiplier(self.y.scale / twice),
            quantise_multiplier(twice / ((1 << LEFT_SHIFT) * self.out.scale)),
        )

    def numpy(self, x: Any, y: Any) -> Any:
        first, second, result = self.constants()
        left = multiply_by_multiplier((x.astype(np.int64) - self.x.zero) << LEFT_SHIFT, *first)
        right = multiply_by_multiplier((y.astype(np.int64) - self.y.zero) << LEFT_SHIFT, *second)
        return finish(left + self.sign * right, *result, self.out, self.low, self.high)


class QAdd(_QSum):
    """x + y, operands broadcast."""


class QSub(_QSum):
    """x - y, operands broadcast."""

    sign: ClassVar[int] = -1


class QMul(_QBinary):
    """x * y, operands broadcast."""

    def constants(self) -> tuple[int, int]:
        """(multiplier, shift) of the product; TFLite computes the scale in float32."""
        return quantise_multiplier(
            float(np.float32(self.x.scale) * np.float32(self.y.scale) / np.float32(self.out.scale))
        )

    def numpy(self, x: Any, y: Any) -> Any:
        product = (x.astype(np.int64) - self.x.zero) * (y.astype(np.int64) - self.y.zero)
        return finish(product, *self.constants(), self.out, self.low, self.high)


@dataclass(frozen=True)
class QRequantise(Op):
    """The same reals in another quantisation: int8, int16 or int32 to `dtype`, which is one of these."""

    in_place: ClassVar[bool] = True

    x: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    low: int = -128
    high: int = 127
    dtype: str = "int8"

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype not in ("int8", "int16", "int32") or x.quant != self.x:
            raise ValueError(f"{self.name} expects int8, int16 or int32 with quantisation {tuple(self.x)}, got {x}")
        return (Type(x.shape, self.dtype, self.out),)

    def constants(self) -> tuple[int, int]:
        """(multiplier, shift) of the change."""
        return quantise_multiplier(self.x.scale / self.out.scale)

    def numpy(self, x: Any) -> Any:
        wide = x.astype(np.int64) - self.x.zero
        return finish(wide, *self.constants(), self.out, self.low, self.high, self.dtype)


@dataclass(frozen=True)
class QPrelu(_QBinary):
    """x where x >= 0, else alpha * x, alpha broadcast (TFLite PRELU): `y` is alpha's quantisation."""

    def constants(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(multiplier, shift) of x, and of x * alpha; TFLite computes the scales in float32."""
        x, y, out = np.float32(self.x.scale), np.float32(self.y.scale), np.float32(self.out.scale)
        return quantise_multiplier(float(x / out)), quantise_multiplier(float(x * y / out))

    def numpy(self, x: Any, y: Any) -> Any:
        kept, scaled = self.constants()
        wide, alpha = x.astype(np.int64) - self.x.zero, y.astype(np.int64) - self.y.zero
        left = finish(wide + 0 * alpha, *kept, self.out, self.low, self.high)
        return np.where(wide >= 0, left, finish(wide * alpha, *scaled, self.out, self.low, self.high))


@dataclass(frozen=True)
class QFlip(Op):
    """uint8 to int8 or back, the same reals: the zero point moves by 128 and the top bit of each byte is flipped."""

    in_place: ClassVar[bool] = True

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype not in ("int8", "uint8"):
            raise ValueError(f"q_flip needs int8 or uint8, got {x}")
        step = 128 if x.dtype == "int8" else -128
        quant = Quant(x.quant.scale, x.quant.zero + step) if x.quant is not None else None
        return (Type(x.shape, "uint8" if x.dtype == "int8" else "int8", quant),)

    def numpy(self, x: Any) -> Any:
        return (x.view(np.uint8) ^ np.uint8(0x80)).view(np.uint8 if x.dtype == np.int8 else np.int8)


@dataclass(frozen=True)
class QRelabel(Op):
    """The same integers, read in another quantisation: what kernels do that ignore their result's scale."""

    is_view: ClassVar[bool] = True

    out: Quant = UNIT_QUANT

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return (Type(x.shape, x.dtype, self.out),)

    def numpy(self, x: Any) -> Any:
        return x


@dataclass(frozen=True)
class QLookup(Op):
    """table[x + 128] for each element; table int8 [256]. `function` says in words what the table holds."""

    in_place: ClassVar[bool] = True

    out: Quant = UNIT_QUANT
    function: str = ""

    def types(self, x: Type, table: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8" or table != Type((256,), "int8"):
            raise ValueError(f"q_lookup of {x} in a table {table}")
        return (Type(x.shape, "int8", self.out),)

    def numpy(self, x: Any, table: Any) -> Any:
        return table[x.astype(np.int64) + 128]
