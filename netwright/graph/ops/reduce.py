"""Reductions over axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .common import axis_of, need_float, scalar


@dataclass(frozen=True)
class _Reduce(Op):
    axes: tuple[int, ...] = ()  # empty: all
    keepdims: bool = True

    def normal_axes(self, rank: int) -> tuple[int, ...]:
        """Axes counted from the front, all when none are named."""
        return tuple(sorted(axis_of(a, rank, self.name) for a in self.axes)) or tuple(range(rank))

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        axes = self.normal_axes(len(x.shape))
        if len(set(axes)) != len(axes):
            raise ValueError(f"{self.name} names an axis twice: {self.axes}")
        if self.keepdims:
            shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        else:
            shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return (Type(shape, x.dtype, x.quant),)

    def _spread(self, b: Builder, v: Value, x: Value) -> Value:
        """A reduced value as something that broadcasts against the input."""
        from .shape import Reshape

        axes = self.normal_axes(len(x.shape))
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        return v if v.shape == shape else b(Reshape(shape), v)

    def _axes_of(self, x: Any) -> tuple[int, ...]:
        return self.normal_axes(x.ndim)


class ReduceSum(_Reduce):
    """Sum."""

    def numpy(self, x: Any) -> Any:
        return x.sum(axis=self._axes_of(x), keepdims=self.keepdims, dtype=x.dtype)

    def torch(self, x: Any) -> Any:
        return x.sum(dim=self._axes_of(x), keepdim=self.keepdims, dtype=x.dtype)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .shape import Expand

        (x,) = node.inputs
        assert x is not None
        return (b(Expand(x.shape), self._spread(b, dy, x)),)


class ReduceMean(_Reduce):
    """Arithmetic mean."""

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        return super().types(x)

    def numpy(self, x: Any) -> Any:
        return x.mean(axis=self._axes_of(x), keepdims=self.keepdims)

    def torch(self, x: Any) -> Any:
        return x.mean(dim=self._axes_of(x), keepdim=self.keepdims)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Mul
        from .shape import Expand

        (x,) = node.inputs
        assert x is not None
        share = 1 / math.prod(x.shape[a] for a in self.normal_axes(len(x.shape)))
        return (b(Expand(x.shape), b(Mul(), self._spread(b, dy, x), scalar(b, share, dy))),)


@dataclass(frozen=True)
class _ReduceExtreme(_Reduce):
    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Div, Mul
        from .compare import Equal, Where

        (x,) = node.inputs
        assert x is not None
        best = self._spread(b, node.output, x)
        zero, one = scalar(b, 0.0, dy), scalar(b, 1.0, dy)
        chosen = b(Where(), b(Equal(), x, best), one, zero)
        ties = b(ReduceSum(self.axes, True), chosen)
        return (b(Mul(), chosen, b(Div(), self._spread(b, dy, x), ties)),)


class ReduceMax(_ReduceExtreme):
    """Maximum; ties share the gradient."""

    def numpy(self, x: Any) -> Any:
        return x.max(axis=self._axes_of(x), keepdims=self.keepdims)

    def torch(self, x: Any) -> Any:
        return x.amax(dim=self._axes_of(x), keepdim=self.keepdims)


class ReduceMin(_ReduceExtreme):
    """Minimum; ties share the gradient."""

    def numpy(self, x: Any) -> Any:
        return x.min(axis=self._axes_of(x), keepdims=self.keepdims)

    def torch(self, x: Any) -> Any:
        return x.amin(dim=self._axes_of(x), keepdim=self.keepdims)


@dataclass(frozen=True)
class ArgMax(Op):
    """Index of the largest along `axis`, the first of equals; int64."""

    axis: int = -1
    keepdims: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        axis = axis_of(self.axis, len(x.shape), self.name)
        one = (1,) if self.keepdims else ()
        return (Type((*x.shape[:axis], *one, *x.shape[axis + 1 :]), "int64"),)

    def numpy(self, x: Any) -> Any:
        return np.argmax(x, axis=self.axis, keepdims=self.keepdims)

    def torch(self, x: Any) -> Any:
        # torch.argmax does not promise the first of equals; max over a reversed position does
        best = x.amax(dim=self.axis, keepdim=True)
        return (x == best).to(x.dtype if x.is_floating_point() else best.dtype).argmax(self.axis, keepdim=self.keepdims)
