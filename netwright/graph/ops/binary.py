"""Element by element, two operands, NumPy broadcasting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type, broadcast
from .common import need_same_dtype, scalar, torch_module, unbroadcast


@dataclass(frozen=True)
class _Binary(Op):
    in_place: ClassVar[bool] = True

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_same_dtype(self.name, x, y)
        if x.dtype == "bool":
            raise ValueError(f"{self.name} needs numbers, got bool")
        return (Type(broadcast(x.shape, y.shape), x.dtype),)


def _operands(node: Node) -> tuple[Value, Value]:
    x, y = node.inputs
    assert x is not None and y is not None
    return x, y


class Add(_Binary):
    """x + y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x + y

    def torch(self, x: Any, y: Any) -> Any:
        return x + y

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        x, y = _operands(node)
        return unbroadcast(b, dy, x.type), unbroadcast(b, dy, y.type)


class Sub(_Binary):
    """x - y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x - y

    def torch(self, x: Any, y: Any) -> Any:
        return x - y

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .unary import Neg

        x, y = _operands(node)
        return unbroadcast(b, dy, x.type), unbroadcast(b, b(Neg(), dy), y.type)


class Mul(_Binary):
    """x * y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x * y

    def torch(self, x: Any, y: Any) -> Any:
        return x * y

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        x, y = _operands(node)
        return unbroadcast(b, b(Mul(), dy, y), x.type), unbroadcast(b, b(Mul(), dy, x), y.type)


class Div(_Binary):
    """x / y; integers divide towards zero, as ONNX."""

    def numpy(self, x: Any, y: Any) -> Any:
        if x.dtype.kind == "f":
            return x / y
        return (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)

    def torch(self, x: Any, y: Any) -> Any:
        return x / y if x.is_floating_point() else torch_module().div(x, y, rounding_mode="trunc")

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .unary import Neg

        x, y = _operands(node)
        over = b(Div(), dy, y)
        return unbroadcast(b, over, x.type), unbroadcast(b, b(Neg(), b(Mul(), over, node.output)), y.type)


class Pow(_Binary):
    """x to the y. The gradient for y is defined where x > 0."""

    def numpy(self, x: Any, y: Any) -> Any:
        return np.power(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        return x.pow(y)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .compare import Greater, Where
        from .unary import Log

        x, y = _operands(node)
        one, zero = scalar(b, 1.0, dy), scalar(b, 0.0, dy)
        dx = b(Mul(), dy, b(Mul(), y, b(Pow(), x, b(Sub(), y, one))))
        positive = b(Greater(), x, zero)
        log = b(Where(), positive, b(Log(), b(Where(), positive, x, one)), zero)
        return unbroadcast(b, dx, x.type), unbroadcast(b, b(Mul(), b(Mul(), dy, node.output), log), y.type)


@dataclass(frozen=True)
class _Extreme(_Binary):
    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .compare import Equal, Where

        x, y = _operands(node)
        zero, half = scalar(b, 0.0, dy), b(Mul(), dy, scalar(b, 0.5, dy))
        tie = b(Equal(), x, y)

        def share(own: Value) -> Value:
            return b(Where(), tie, half, b(Where(), b(Equal(), own, node.output), dy, zero))

        return unbroadcast(b, share(x), x.type), unbroadcast(b, share(y), y.type)


class Maximum(_Extreme):
    """The larger; a tie shares its gradient."""

    def numpy(self, x: Any, y: Any) -> Any:
        return np.maximum(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        return torch_module().maximum(x, y)


class Minimum(_Extreme):
    """The smaller; a tie shares its gradient."""

    def numpy(self, x: Any, y: Any) -> Any:
        return np.minimum(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        return torch_module().minimum(x, y)
