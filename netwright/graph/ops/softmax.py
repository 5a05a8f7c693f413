"""Softmax and its logarithm along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .binary import Mul, Sub
from .common import axis_of, need_float
from .reduce import ReduceSum
from .unary import Exp


@dataclass(frozen=True)
class _AlongAxis(Op):
    axis: int = -1

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        axis_of(self.axis, len(x.shape), self.name)
        return (x,)


class Softmax(_AlongAxis):
    """e^x / sum(e^x)."""

    def numpy(self, x: Any) -> Any:
        e = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return e / e.sum(axis=self.axis, keepdims=True)

    def torch(self, x: Any) -> Any:
        return x.softmax(self.axis)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        y = node.output
        weighted = b(ReduceSum((self.axis,), True), b(Mul(), dy, y))
        return (b(Mul(), y, b(Sub(), dy, weighted)),)


class LogSoftmax(_AlongAxis):
    """x - log(sum(e^x))."""

    def numpy(self, x: Any) -> Any:
        shifted = x - x.max(axis=self.axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))

    def torch(self, x: Any) -> Any:
        return x.log_softmax(self.axis)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        total = b(ReduceSum((self.axis,), True), dy)
        return (b(Sub(), dy, b(Mul(), b(Exp(), node.output), total)),)
