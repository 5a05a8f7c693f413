"""Reading and adding by index; the k largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .common import axis_of, torch_module


def _need_index(index: Type, op: str) -> None:
    if index.dtype not in ("int64", "int32"):
        raise ValueError(f"{op} needs int32 or int64 indices, got {index.dtype}")

def _from_front(index: Any, size: int) -> Any:
    """A torch index without negatives, which count from the end."""
    index = index.long()
    return index.where(index >= 0, index + size)


@dataclass(frozen=True)
class Gather(Op):
    """Rows of x along `axis` named by an index tensor: x [.., n, ..], index [*i] -> [.., *i, ..].

    An embedding is axis 0; -1 is the last row.
    """

    axis: int = 0

    def types(self, x: Type, index: Type) -> tuple[Type, ...]:  # type: ignore[override]
        _need_index(index, self.name)
        axis = axis_of(self.axis, len(x.shape), self.name)
        return (Type((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype, x.quant),)

    def numpy(self, x: Any, index: Any) -> Any:
        return np.take(x, index, axis=self.axis)

    def torch(self, x: Any, index: Any) -> Any:
        axis = self.axis % x.dim()
        rows = _from_front(index.reshape(-1), x.shape[axis])
        return x.index_select(axis, rows).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        from .shape import Reshape

        x, index = node.inputs
        assert x is not None and index is not None
        axis = self.axis % len(x.shape)
        flat = b(Reshape((*x.shape[:axis], index.type.size, *x.shape[axis + 1 :])), dy)
        rows = b(Reshape((index.type.size,)), index)
        return b(ScatterAdd(axis, x.shape[axis]), flat, rows), None


@dataclass(frozen=True)
class ScatterAdd(Op):
    """Zeros of `size` along `axis`, with slice i of x added at index[i] (index has rank 1; -1 counts from the end)."""

    axis: int = 0
    size: int = 0

    def types(self, x: Type, index: Type) -> tuple[Type, ...]:  # type: ignore[override]
        _need_index(index, self.name)
        axis = axis_of(self.axis, len(x.shape), self.name)
        if index.shape != (x.shape[axis],):
            raise ValueError(f"scatter_add of {x.shape[axis]} slices with indices of shape {list(index.shape)}")
        return (Type((*x.shape[:axis], self.size, *x.shape[axis + 1 :]), x.dtype),)

    def numpy(self, x: Any, index: Any) -> Any:
        moved = np.moveaxis(x, self.axis, 0)
        out = np.zeros((self.size, *moved.shape[1:]), x.dtype)
        np.add.at(out, index, moved)
        return np.moveaxis(out, 0, self.axis)

    def torch(self, x: Any, index: Any) -> Any:
        shape = list(x.shape)
        shape[self.axis] = self.size
        return x.new_zeros(shape).index_add(self.axis, _from_front(index, self.size), x)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        return b(Gather(self.axis), dy, node.inputs[1]), None


@dataclass(frozen=True)
class GatherElements(Op):
    """out[.., i, ..] = x[.., index[.., i, ..], ..] along `axis`; x and index have the same rank."""

    axis: int = 0

    def types(self, x: Type, index: Type) -> tuple[Type, ...]:  # type: ignore[override]
        _need_index(index, self.name)
        axis = axis_of(self.axis, len(x.shape), self.name)
        if len(index.shape) != len(x.shape) or any(
            i > n for k, (i, n) in enumerate(zip(index.shape, x.shape)) if k != axis
        ):
            raise ValueError(f"gather_elements of {list(x.shape)} with indices {list(index.shape)}")
        return (Type(index.shape, x.dtype, x.quant),)

    def numpy(self, x: Any, index: Any) -> Any:
        within = tuple(slice(n) if k != self.axis % x.ndim else slice(None) for k, n in enumerate(index.shape))
        return np.take_along_axis(x[within], index, axis=self.axis)

    def torch(self, x: Any, index: Any) -> Any:
        return x.gather(self.axis, _from_front(index, x.shape[self.axis]))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        x, index = node.inputs
        assert x is not None and index is not None
        return b(ScatterElements(self.axis, x.shape), dy, index), None


@dataclass(frozen=True)
class ScatterElements(Op):
    """Zeros of `shape`, with x added element by element at `index` along `axis`: the gradient of `gather_elements`."""

    axis: int = 0
    shape: tuple[int, ...] = ()

    def types(self, x: Type, index: Type) -> tuple[Type, ...]:  # type: ignore[override]
        _need_index(index, self.name)
        if x.shape != index.shape or len(x.shape) != len(self.shape):
            raise ValueError(f"scatter_elements of {list(x.shape)} with indices {list(index.shape)} into {self.shape}")
        axis = axis_of(self.axis, len(x.shape), self.name)
        if any(n > m for k, (n, m) in enumerate(zip(x.shape, self.shape)) if k != axis):
            raise ValueError(f"scatter_elements of {list(x.shape)} along axis {axis} leaves {list(self.shape)}")
        return (Type(self.shape, x.dtype),)

    def numpy(self, x: Any, index: Any) -> Any:
        out = np.zeros(self.shape, x.dtype)
        places = list(np.indices(index.shape))
        places[self.axis] = index
        np.add.at(out, tuple(places), x)
        return out

    def torch(self, x: Any, index: Any) -> Any:
        return x.new_zeros(self.shape).scatter_add(self.axis, _from_front(index, self.shape[self.axis]), x)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        return b(GatherElements(self.axis), dy, node.inputs[1]), None


@dataclass(frozen=True)
class TopK(Op):
    """The k largest along `axis`, sorted, the first of equals first: values and int64 indices."""

    k: int = 1
    axis: int = -1

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        axis = axis_of(self.axis, len(x.shape), self.name)
        if not 0 < self.k <= x.shape[axis]:
            raise ValueError(f"top {self.k} of {x.shape[axis]}")
        shape = (*x.shape[:axis], self.k, *x.shape[axis + 1 :])
        return Type(shape, x.dtype, x.quant), Type(shape, "int64")

    def numpy(self, x: Any) -> Any:
        wide = x.astype(np.int64) if x.dtype.kind in "iu" else x
        order = np.argsort(-wide, axis=self.axis, kind="stable")
        index = np.take(order, np.arange(self.k), axis=self.axis)
        return np.take_along_axis(x, index, axis=self.axis), index

    def torch(self, x: Any) -> Any:
        torch = torch_module()
        ordered = torch.sort(x, dim=self.axis, descending=True, stable=True)
        return tuple(part.narrow(self.axis, 0, self.k) for part in ordered)

    def gradient(self, b: Builder, node: Node, *grads: Value | None) -> tuple[Value | None, ...]:
        (x,) = node.inputs
        assert x is not None
        return (b(ScatterElements(self.axis, x.shape), grads[0], node.outputs[1]) if grads[0] is not None else None,)
