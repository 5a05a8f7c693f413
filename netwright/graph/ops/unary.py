"""Element by element, one operand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .common import need_float, scalar, torch_module

_ERF = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True)
class _Unary(Op):
    in_place: ClassVar[bool] = True

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        return (x,)


class Neg(_Unary):
    """-x."""

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return (x,)

    def numpy(self, x: Any) -> Any:
        return -x

    def torch(self, x: Any) -> Any:
        return -x

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        return (b(Neg(), dy),)


class Abs(_Unary):
    """|x|."""

    def numpy(self, x: Any) -> Any:
        return np.abs(x)

    def torch(self, x: Any) -> Any:
        return x.abs()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Mul(), dy, b(Sign(), node.inputs[0])),)


class Sign(_Unary):
    """-1, 0 or 1. Its gradient is zero."""

    def numpy(self, x: Any) -> Any:
        return np.sign(x)

    def torch(self, x: Any) -> Any:
        return x.sign()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[None, ...]:  # type: ignore[override]
        return (None,)


class Floor(_Unary):
    """Largest integer not above x. Its gradient is zero."""

    def numpy(self, x: Any) -> Any:
        return np.floor(x)

    def torch(self, x: Any) -> Any:
        return x.floor()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[None, ...]:  # type: ignore[override]
        return (None,)


class Ceil(_Unary):
    """Smallest integer not below x. Its gradient is zero."""

    def numpy(self, x: Any) -> Any:
        return np.ceil(x)

    def torch(self, x: Any) -> Any:
        return x.ceil()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[None, ...]:  # type: ignore[override]
        return (None,)


class Round(_Unary):
    """Nearest integer, halves to even. Its gradient is zero."""

    def numpy(self, x: Any) -> Any:
        return np.rint(x)

    def torch(self, x: Any) -> Any:
        return x.round()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[None, ...]:  # type: ignore[override]
        return (None,)


class Exp(_Unary):
    """e to the x."""

    def numpy(self, x: Any) -> Any:
        return np.exp(x)

    def torch(self, x: Any) -> Any:
        return x.exp()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Mul(), dy, node.output),)


class Log(_Unary):
    """Natural logarithm."""

    def numpy(self, x: Any) -> Any:
        return np.log(x)

    def torch(self, x: Any) -> Any:
        return x.log()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Div

        return (b(Div(), dy, node.inputs[0]),)


class Sqrt(_Unary):
    """Square root."""

    def numpy(self, x: Any) -> Any:
        return np.sqrt(x)

    def torch(self, x: Any) -> Any:
        return x.sqrt()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Div, Mul

        return (b(Div(), b(Mul(), dy, scalar(b, 0.5, dy)), node.output),)


class Rsqrt(_Unary):
    """1 / sqrt(x)."""

    def numpy(self, x: Any) -> Any:
        return np.reciprocal(np.sqrt(x))

    def torch(self, x: Any) -> Any:
        return x.rsqrt()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        cube = b(Mul(), b(Mul(), node.output, node.output), node.output)
        return (b(Mul(), b(Mul(), dy, scalar(b, -0.5, dy)), cube),)


class Reciprocal(_Unary):
    """1 / x."""

    def numpy(self, x: Any) -> Any:
        return np.reciprocal(x)

    def torch(self, x: Any) -> Any:
        return x.reciprocal()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Mul(), b(Neg(), dy), b(Mul(), node.output, node.output)),)


class Sin(_Unary):
    """Sine, x in radians."""

    def numpy(self, x: Any) -> Any:
        return np.sin(x)

    def torch(self, x: Any) -> Any:
        return x.sin()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Mul(), dy, b(Cos(), node.inputs[0])),)


class Cos(_Unary):
    """Cosine, x in radians."""

    def numpy(self, x: Any) -> Any:
        return np.cos(x)

    def torch(self, x: Any) -> Any:
        return x.cos()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Neg(), b(Mul(), dy, b(Sin(), node.inputs[0]))),)


class Tanh(_Unary):
    """Hyperbolic tangent."""

    def numpy(self, x: Any) -> Any:
        return np.tanh(x)

    def torch(self, x: Any) -> Any:
        return x.tanh()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul, Sub

        square = b(Mul(), node.output, node.output)
        return (b(Mul(), dy, b(Sub(), scalar(b, 1.0, dy), square)),)


class Sigmoid(_Unary):
    """1 / (1 + e^-x), computed so that neither tail overflows."""

    def numpy(self, x: Any) -> Any:
        small = np.exp(-np.abs(x))
        return (np.where(x >= 0, 1, small) / (1 + small)).astype(x.dtype)

    def torch(self, x: Any) -> Any:
        return x.sigmoid()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul, Sub

        slope = b(Mul(), node.output, b(Sub(), scalar(b, 1.0, dy), node.output))
        return (b(Mul(), dy, slope),)


class Softplus(_Unary):
    """log(1 + e^x)."""

    def numpy(self, x: Any) -> Any:
        return np.logaddexp(x, np.zeros((), x.dtype))

    def torch(self, x: Any) -> Any:
        return torch_module().logaddexp(x, x.new_zeros(()))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        return (b(Mul(), dy, b(Sigmoid(), node.inputs[0])),)


class Erf(_Unary):
    """Gauss error function."""

    def numpy(self, x: Any) -> Any:
        return _ERF(x).astype(x.dtype)

    def torch(self, x: Any) -> Any:
        return x.erf()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul

        bell = b(Exp(), b(Neg(), b(Mul(), node.inputs[0], node.inputs[0])))
        return (b(Mul(), b(Mul(), dy, scalar(b, 2 / np.sqrt(np.pi), dy)), bell),)


class Relu(_Unary):
    """max(x, 0)."""

    def numpy(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def torch(self, x: Any) -> Any:
        return x.relu()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .compare import Greater, Where

        zero = scalar(b, 0.0, dy)
        return (b(Where(), b(Greater(), node.inputs[0], zero), dy, zero),)


@dataclass(frozen=True)
class LeakyRelu(_Unary):
    """x where positive, alpha * x elsewhere."""

    alpha: float = 0.01

    def numpy(self, x: Any) -> Any:
        return np.where(x > 0, x, x * np.asarray(self.alpha, x.dtype))

    def torch(self, x: Any) -> Any:
        return torch_module().nn.functional.leaky_relu(x, self.alpha)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul
        from .compare import Greater, Where

        falling = b(Mul(), dy, scalar(b, self.alpha, dy))
        return (b(Where(), b(Greater(), node.inputs[0], scalar(b, 0.0, dy)), dy, falling),)


@dataclass(frozen=True)
class HardSigmoid(_Unary):
    """clip(alpha * x + beta, 0, 1); the defaults are MobileNetV3's, not ONNX's 0.2."""

    alpha: float = 1 / 6
    beta: float = 0.5

    def numpy(self, x: Any) -> Any:
        return np.clip(x * np.asarray(self.alpha, x.dtype) + np.asarray(self.beta, x.dtype), 0, 1)

    def torch(self, x: Any) -> Any:
        return (x * self.alpha + self.beta).clamp(0, 1)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul
        from .compare import And, Greater, Less, Where

        inside = b(And(), b(Greater(), node.output, scalar(b, 0.0, dy)), b(Less(), node.output, scalar(b, 1.0, dy)))
        return (b(Where(), inside, b(Mul(), dy, scalar(b, self.alpha, dy)), scalar(b, 0.0, dy)),)


@dataclass(frozen=True)
class Clip(_Unary):
    """min(max(x, low), high); works on integers too."""

    low: float = -float("inf")
    high: float = float("inf")

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if self.low > self.high:
            raise ValueError(f"clip from {self.low} to {self.high} is empty")
        return (x,)

    def numpy(self, x: Any) -> Any:
        return np.clip(x, self.low, self.high).astype(x.dtype)

    def torch(self, x: Any) -> Any:
        if x.is_floating_point() and -math.inf < self.low < self.high < math.inf:  # its gradient is one pass, not four
            return torch_module().nn.functional.hardtanh(x, self.low, self.high)
        return x.clamp(self.low, self.high).to(x.dtype)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .compare import And, GreaterEqual, LessEqual, Where

        x = node.inputs[0]
        inside = b(And(), b(GreaterEqual(), x, scalar(b, self.low, dy)), b(LessEqual(), x, scalar(b, self.high, dy)))
        return (b(Where(), inside, dy, scalar(b, 0.0, dy)),)


@dataclass(frozen=True)
class Spike(_Unary):
    """1 where x >= 0, else 0; differentiated as the arctangent surrogate (Fang et al. 2021, eq. 8), width `alpha`."""

    alpha: float = 2.0

    def numpy(self, x: Any) -> Any:
        return (x >= 0).astype(x.dtype)

    def torch(self, x: Any) -> Any:
        torch = torch_module()
        half_pi = torch.pi / 2
        soft = (half_pi * self.alpha * x).atan() / torch.pi
        return (x >= 0).to(x.dtype) + soft - soft.detach()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Add, Div, Mul

        steep = b(Mul(), node.inputs[0], scalar(b, np.pi / 2 * self.alpha, dy))
        width = b(Add(), b(Mul(), steep, steep), scalar(b, 1.0, dy))
        return (b(Div(), b(Mul(), dy, scalar(b, self.alpha / 2, dy)), width),)


class LogicalNot(Op):
    """Not, of booleans."""

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "bool":
            raise ValueError(f"not needs bool, got {x.dtype}")
        return (x,)

    def numpy(self, x: Any) -> Any:
        return np.logical_not(x)

    def torch(self, x: Any) -> Any:
        return x.logical_not()
