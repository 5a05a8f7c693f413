"""Moving data without computing: reshape, transpose, expand, concat, split, slice, pad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type, broadcast
from .common import axis_of, need_same_dtype, torch_module, unbroadcast

TO_END = 2**31 - 1  # as the end of a slice: however long the dimension is


@dataclass(frozen=True)
class Reshape(Op):
    """Another shape for the same elements in order. 0 keeps a dimension, one -1 is inferred (as ONNX)."""

    is_view: ClassVar[bool] = True
    shape: tuple[int, ...] = ()

    def resolve(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """The result shape for an input shape."""
        if any(d == 0 and i >= len(given) for i, d in enumerate(self.shape)):
            raise ValueError(f"reshape {self.shape} keeps a dimension that {list(given)} lacks")
        shape = [given[i] if d == 0 else d for i, d in enumerate(self.shape)]
        total = math.prod(given)
        if shape.count(-1) == 1:
            known = -math.prod(shape)
            if known and total % known == 0:
                shape[shape.index(-1)] = total // known
        if -1 in shape or math.prod(shape) != total:
            raise ValueError(f"reshape of {list(given)} ({total} elements) to {list(self.shape)}")
        return tuple(shape)

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return (Type(self.resolve(x.shape), x.dtype, x.quant),)

    def numpy(self, x: Any) -> Any:
        return x.reshape(self.resolve(x.shape))

    def torch(self, x: Any) -> Any:
        return x.reshape(self.resolve(tuple(x.shape)))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        (x,) = node.inputs
        assert x is not None
        return (b(Reshape(x.shape), dy),)


@dataclass(frozen=True)
class Transpose(Op):
    """Axes in another order: result axis i is input axis permutation[i]."""

    permutation: tuple[int, ...] = ()

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if sorted(self.permutation) != list(range(len(x.shape))):
            raise ValueError(f"transpose {self.permutation} of a rank-{len(x.shape)} tensor")
        return (Type(tuple(x.shape[i] for i in self.permutation), x.dtype, x.quant),)

    def numpy(self, x: Any) -> Any:
        return x.transpose(self.permutation)

    def torch(self, x: Any) -> Any:
        return x.permute(self.permutation)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        inverse = tuple(self.permutation.index(i) for i in range(len(self.permutation)))
        return (b(Transpose(inverse), dy),)


@dataclass(frozen=True)
class Expand(Op):
    """Broadcast to a shape."""

    shape: tuple[int, ...] = ()

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return (Type(broadcast(x.shape, self.shape), x.dtype, x.quant),)

    def numpy(self, x: Any) -> Any:
        return np.broadcast_to(x, broadcast(x.shape, self.shape))

    def torch(self, x: Any) -> Any:
        return x.expand(broadcast(tuple(x.shape), self.shape))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        (x,) = node.inputs
        assert x is not None
        return (unbroadcast(b, dy, x.type),)


@dataclass(frozen=True)
class Concat(Op):
    """Tensors joined along `axis`."""

    axis: int = 0

    def types(self, *inputs: Type) -> tuple[Type, ...]:
        if not inputs:
            raise ValueError("concat of nothing")
        need_same_dtype(self.name, *inputs)
        axis = axis_of(self.axis, len(inputs[0].shape), self.name)
        around = {(*t.shape[:axis], *t.shape[axis + 1 :]) for t in inputs}
        if len(around) > 1 or len({len(t.shape) for t in inputs}) > 1:
            raise ValueError(f"concat along {axis} of {' and '.join(str(list(t.shape)) for t in inputs)}")
        if len({t.quant for t in inputs}) > 1:
            raise ValueError("concat of differently quantised tensors: requantise them first")
        shape = inputs[0].shape
        total = sum(t.shape[axis] for t in inputs)
        return (Type((*shape[:axis], total, *shape[axis + 1 :]), inputs[0].dtype, inputs[0].quant),)

    def numpy(self, *inputs: Any) -> Any:
        return np.concatenate(inputs, axis=self.axis)

    def torch(self, *inputs: Any) -> Any:
        return torch_module().cat(inputs, dim=self.axis)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        axis = self.axis % len(dy.shape)
        sizes = tuple(v.shape[axis] for v in node.inputs if v is not None)
        parts = b(Split(axis, sizes), dy)
        return parts if isinstance(parts, tuple) else (parts,)


@dataclass(frozen=True)
class Split(Op):
    """A tensor cut along `axis` into pieces of these sizes."""

    axis: int = 0
    sizes: tuple[int, ...] = ()

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        axis = axis_of(self.axis, len(x.shape), self.name)
        if sum(self.sizes) != x.shape[axis] or not self.sizes or min(self.sizes) < 0:
            raise ValueError(f"split of {x.shape[axis]} along axis {axis} into {self.sizes}")
        return tuple(Type((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype, x.quant) for n in self.sizes)

    def numpy(self, x: Any) -> Any:
        parts = np.split(x, list(accumulate(self.sizes))[:-1], axis=self.axis)
        return tuple(parts) if len(parts) > 1 else parts[0]

    def torch(self, x: Any) -> Any:
        parts = x.split(self.sizes, dim=self.axis)
        return tuple(parts) if len(parts) > 1 else parts[0]

    def gradient(self, b: Builder, node: Node, *grads: Value | None) -> tuple[Value, ...]:
        pieces = [g if g is not None else zeros_like(b, v) for g, v in zip(grads, node.outputs, strict=True)]
        return (b(Concat(self.axis), *pieces),)


@dataclass(frozen=True)
class Slice(Op):
    """x[starts[0]:ends[0]:steps[0], ...]: one triple a dimension, 0 <= start <= end, step >= 1.

    An end beyond the size is the size; give `TO_END` for the batch, so that it stays whole whatever is given.
    """

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()

    def _slices(self) -> tuple[slice, ...]:
        return tuple(map(slice, self.starts, self.ends, self.steps or (1,) * len(self.starts)))

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if not len(self.starts) == len(self.ends) == len(x.shape) or (self.steps and min(self.steps) < 1):
            raise ValueError(f"slice from {self.starts} to {self.ends} by {self.steps} of {list(x.shape)}")
        if any(not (0 <= a <= z and a <= n) for a, z, n in zip(self.starts, self.ends, x.shape)):
            raise ValueError(f"slice from {self.starts} to {self.ends} leaves {list(x.shape)}")
        shape = tuple(len(range(n)[s]) for n, s in zip(x.shape, self._slices()))
        return (Type(shape, x.dtype, x.quant),)

    def numpy(self, x: Any) -> Any:
        return x[self._slices()]

    def torch(self, x: Any) -> Any:
        return x[self._slices()]

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .index import ScatterAdd

        (x,) = node.inputs
        assert x is not None
        if all(s == 1 for s in self.steps):
            ends = tuple(n - min(z, n) for n, z in zip(x.shape, self.ends, strict=True))
            return (b(Pad((*self.starts, *ends)), dy),)
        grad = dy
        for axis, cut in enumerate(self._slices()):
            size = x.shape[axis]
            if grad.shape[axis] != size:
                where = b.constant(np.arange(size, dtype=np.int64)[cut], "rows")
                grad = b(ScatterAdd(axis, size), grad, where)
        return (grad,)


@dataclass(frozen=True)
class Pad(Op):
    """Grow each dimension: all begins, then all ends; `constant` with `value`, `reflect` or `edge`."""

    pads: tuple[int, ...] = ()
    mode: str = "constant"
    value: float = 0.0

    def _pairs(self) -> list[tuple[int, int]]:
        half = len(self.pads) // 2
        return list(zip(self.pads[:half], self.pads[half:]))

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if len(self.pads) != 2 * len(x.shape) or min(self.pads, default=0) < 0:
            raise ValueError(f"pad {self.pads} of {list(x.shape)}: needs {2 * len(x.shape)} sizes of at least 0")
        if self.mode not in ("constant", "reflect", "edge"):
            raise ValueError(f"pad mode {self.mode!r} (constant, reflect, edge)")
        for (before, after), n in zip(self._pairs(), x.shape):
            if self.mode == "reflect" and max(before, after) >= n:
                raise ValueError(f"reflecting {max(before, after)} out of a dimension of {n}")
        return (Type(tuple(n + p + q for n, (p, q) in zip(x.shape, self._pairs())), x.dtype, x.quant),)

    def numpy(self, x: Any) -> Any:
        if self.mode == "constant":
            return np.pad(x, self._pairs(), constant_values=np.asarray(self.value, x.dtype))
        return np.pad(x, self._pairs(), mode=self.mode)  # type: ignore[call-overload]

    def torch(self, x: Any) -> Any:
        if self.mode == "constant":
            flat = [p for pair in reversed(self._pairs()) for p in pair]
            return torch_module().nn.functional.pad(x, flat, value=self.value)
        torch = torch_module()
        for axis, (before, after) in enumerate(self._pairs()):
            if before or after:
                rows = np.pad(np.arange(x.shape[axis]), (before, after), mode=self.mode)  # type: ignore[call-overload]
                x = x.index_select(axis, torch.from_numpy(rows).to(x.device))
        return x

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .index import ScatterAdd

        (x,) = node.inputs
        assert x is not None
        pairs = self._pairs()
        if self.mode == "constant":
            starts = tuple(p for p, _ in pairs)
            return (b(Slice(starts, tuple(p + n for p, n in zip(starts, x.shape, strict=True))), dy),)
        grad = dy
        for axis, (before, after) in enumerate(pairs):
            if before or after:
                rows = np.pad(np.arange(x.shape[axis]), (before, after), mode=self.mode)  # type: ignore[call-overload]
                grad = b(ScatterAdd(axis, x.shape[axis]), grad, b.constant(rows.astype(np.int64), "rows"))
        return (grad,)


def zeros_like(b: Builder, v: Value) -> Value:
    """A value of zeros of the same type."""
    return b(Expand(v.shape), b.constant(np.zeros((1,) * len(v.shape)), "zero", v.dtype))


def flatten(b: Builder, v: Value) -> Value:
    """[N, ...] -> [N, everything else]."""
    return b(Reshape((0, -1)), v)
