"""Comparisons, logic on booleans, and choosing by a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type, broadcast
from .common import need_same_dtype, scalar, unbroadcast


@dataclass(frozen=True)
class _Compare(Op):
    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_same_dtype(self.name, x, y)
        return (Type(broadcast(x.shape, y.shape), "bool"),)


class Equal(_Compare):
    """x == y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x == y

    def torch(self, x: Any, y: Any) -> Any:
        return x == y


class Less(_Compare):
    """x < y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x < y

    def torch(self, x: Any, y: Any) -> Any:
        return x < y


class LessEqual(_Compare):
    """x <= y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x <= y

    def torch(self, x: Any, y: Any) -> Any:
        return x <= y


class Greater(_Compare):
    """x > y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x > y

    def torch(self, x: Any, y: Any) -> Any:
        return x > y


class GreaterEqual(_Compare):
    """x >= y."""

    def numpy(self, x: Any, y: Any) -> Any:
        return x >= y

    def torch(self, x: Any, y: Any) -> Any:
        return x >= y


@dataclass(frozen=True)
class _Logic(Op):
    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "bool" or y.dtype != "bool":
            raise ValueError(f"{self.name} needs bool, got {x.dtype} and {y.dtype}")
        return (Type(broadcast(x.shape, y.shape), "bool"),)


class And(_Logic):
    """Both."""

    def numpy(self, x: Any, y: Any) -> Any:
        return np.logical_and(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        return x.logical_and(y)


class Or(_Logic):
    """Either."""

    def numpy(self, x: Any, y: Any) -> Any:
        return np.logical_or(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        return x.logical_or(y)


class Where(Op):
    """x where the condition holds, else y; all three broadcast."""

    def types(self, condition: Type, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if condition.dtype != "bool":
            raise ValueError(f"the condition of where must be bool, got {condition.dtype}")
        need_same_dtype(self.name, x, y)
        return (Type(broadcast(condition.shape, x.shape, y.shape), x.dtype),)

    def numpy(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y)

    def torch(self, condition: Any, x: Any, y: Any) -> Any:
        return x.where(condition, y)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        condition, x, y = node.inputs
        assert condition is not None and x is not None and y is not None
        zero = scalar(b, 0.0, dy)
        dx = b(Where(), condition, dy, zero)
        dz = b(Where(), condition, zero, dy)
        return None, unbroadcast(b, dx, x.type), unbroadcast(b, dz, y.type)
