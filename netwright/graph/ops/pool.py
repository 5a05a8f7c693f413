"""Pooling over one or two spatial dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Composite, Op
from ..types import Type
from .common import need_float, torch_module
from .conv import ConvTranspose, windows_of
from .window_sum import window_sum


@dataclass(frozen=True)
class _Pool(Op):
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()  # empty: 1, as ONNX
    padding: tuple[int, ...] = ()  # all begins, then all ends

    def geometry(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Stride and padding with defaults filled in."""
        rank = len(self.kernel)
        return self.stride or (1,) * rank, self.padding or (0,) * 2 * rank

    def _pooled(self, x: Type) -> tuple[int, ...]:
        rank = len(self.kernel)
        stride, padding = self.geometry()
        if len(x.shape) != rank + 2 or rank not in (1, 2) or len(stride) != rank or len(padding) != 2 * rank:
            raise ValueError(f"{self.name} with kernel {self.kernel} of {list(x.shape)}")
        if min(*stride, *self.kernel) < 1:
            raise ValueError(f"{self.name} with kernel {self.kernel} and stride {stride}: at least 1 each")
        if any(max(padding[i], padding[rank + i]) >= self.kernel[i] for i in range(rank)):
            raise ValueError(f"{self.name}: padding {padding} must be smaller than the kernel {self.kernel}")
        sizes = [
            (x.shape[2 + i] + padding[i] + padding[rank + i] - self.kernel[i]) // stride[i] + 1 for i in range(rank)
        ]
        if min(sizes) < 1:
            raise ValueError(f"{self.name} kernel {self.kernel} does not fit {list(x.shape)}")
        return tuple(sizes)

    def _padded(self, x: Any, fill: float) -> Any:
        """torch pads symmetrically and only by half the kernel: pad here."""
        rank = len(self.kernel)
        _, padding = self.geometry()
        if not any(padding):
            return x
        flat = [p for i in reversed(range(rank)) for p in (padding[i], padding[rank + i])]
        return torch_module().nn.functional.pad(x, flat, value=fill)


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest of each window, padding never chosen. With `indices`, also where it was: flat over space, int64."""

    indices: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        shape = (*x.shape[:2], *self._pooled(x))
        y = Type(shape, x.dtype, x.quant)
        return (y, Type(shape, "int64")) if self.indices else (y,)

    def numpy(self, x: Any) -> Any:
        rank = len(self.kernel)
        stride, padding = self.geometry()
        low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        windows = windows_of(x, self.kernel, stride, padding, (1,) * rank, low)
        y = windows.max(axis=tuple(range(-rank, 0)))
        if not self.indices:
            return y
        position = np.arange(math.prod(x.shape[2:])).reshape(1, 1, *x.shape[2:])
        places = windows_of(position, self.kernel, stride, padding, (1,) * rank, -1)
        flat = windows.reshape(*windows.shape[: 2 + rank], -1)
        where = flat.argmax(-1)[..., None]
        places = np.broadcast_to(places.reshape(*places.shape[: 2 + rank], -1), flat.shape)
        return y, np.take_along_axis(places, where, -1)[..., 0]

    def torch(self, x: Any) -> Any:
        functional = torch_module().nn.functional
        rank = len(self.kernel)
        stride, padding = self.geometry()
        pool = functional.max_pool1d if rank == 1 else functional.max_pool2d
        half = all(
            padding[i] == padding[rank + i] and 2 * padding[i] <= self.kernel[i] for i in range(rank)
        )
        if half:
            return pool(x, self.kernel, stride, padding[:rank], return_indices=self.indices)
        result = pool(self._padded(x, -float("inf")), self.kernel, stride, return_indices=self.indices)
        if not self.indices:
            return result
        y, where = result
        width = x.shape[-1] + padding[rank - 1] + padding[-1]
        column = where % width - padding[rank - 1]
        return (y, column) if rank == 1 else (y, (where // width - padding[0]) * x.shape[-1] + column)

    def gradient(self, b: Builder, node: Node, dy: Value, *_: Value | None) -> tuple[Value, ...]:  # type: ignore[override]
        from .index import ScatterElements
        from .shape import Reshape

        (x,) = node.inputs
        assert x is not None
        found: Any = node.outputs if self.indices else b(MaxPool(self.kernel, self.stride, self.padding, True), x)
        places = found[1]
        flat = (*x.shape[:2], math.prod(dy.shape[2:]))
        size = (*x.shape[:2], math.prod(x.shape[2:]))
        spread = b(ScatterElements(2, size), b(Reshape(flat), dy), b(Reshape(flat), places))
        return (b(Reshape(x.shape), spread),)


@dataclass(frozen=True)
class AveragePool(_Pool):
    """Mean of each window; padding counts as zeros only with `count_padding`."""

    count_padding: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        return (Type((*x.shape[:2], *self._pooled(x)), x.dtype),)

    def counts(self, spatial: tuple[int, ...], dtype: str) -> np.ndarray:
        """How many elements each window averages: [1, 1, *spatial']."""
        rank = len(self.kernel)
        stride, padding = self.geometry()
        ones = np.ones((1, 1, *spatial), dtype)
        windows = windows_of(ones, self.kernel, stride, padding, (1,) * rank, float(self.count_padding))
        return windows.sum(axis=tuple(range(-rank, 0)))

    def numpy(self, x: Any) -> Any:
        rank = len(self.kernel)
        stride, padding = self.geometry()
        windows = windows_of(x, self.kernel, stride, padding, (1,) * rank)
        flat = windows.reshape(*windows.shape[:-rank], math.prod(self.kernel))
        total = np.add.accumulate(flat, -1)[..., -1]  # in order, as other runtimes' reference kernels sum
        return total / self.counts(x.shape[2:], str(x.dtype))

    def torch(self, x: Any) -> Any:
        torch = torch_module()
        rank = len(self.kernel)
        stride, padding = self.geometry()
        exact = x.dtype in (torch.float32, torch.float64)
        if rank == 2 and exact and x.device.type == "cpu" and stride == (1, 1) and self._around(padding):
            counts = self.counts(tuple(x.shape[2:]), str(x.dtype).removeprefix("torch."))
            return window_sum(x, self.kernel, torch.from_numpy(1 / counts[0, 0]))
        pool = torch.nn.functional.avg_pool1d if rank == 1 else torch.nn.functional.avg_pool2d
        even = padding[:rank] == padding[rank:] and all(2 * p <= k for p, k in zip(padding, self.kernel, strict=False))
        if even:
            return pool(x, self.kernel, stride, padding[:rank], count_include_pad=self.count_padding)
        y = pool(self._padded(x, 0.0), self.kernel, stride)
        if not any(padding) or self.count_padding:
            return y
        counts = self.counts(tuple(x.shape[2:]), str(x.dtype).removeprefix("torch."))
        return y * (math.prod(self.kernel) / torch.from_numpy(counts).to(x.device))

    def _around(self, padding: tuple[int, ...]) -> bool:
        """Whether every place has a window of its own, around it."""
        return all(k % 2 == 1 and before == after == k // 2 for k, before, after in
                   zip(self.kernel, padding[: len(self.kernel)], padding[len(self.kernel) :], strict=True))

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .binary import Div

        (x,) = node.inputs
        assert x is not None
        stride, padding = self.geometry()
        rank, channels = len(self.kernel), x.shape[1]
        share = b(Div(), dy, b.constant(self.counts(x.shape[2:], x.dtype), "counts", x.dtype))
        ones = b.constant(np.ones((channels, 1, *self.kernel)), "ones", x.dtype)
        extra = tuple(
            x.shape[2 + i] + padding[i] + padding[rank + i] - self.kernel[i] - (dy.shape[2 + i] - 1) * stride[i]
            for i in range(rank)
        )
        return (b(ConvTranspose(stride, padding, (), channels, extra), share, ones),)


class GlobalAveragePool(Composite):
    """Mean over all space: [N, C, ...] -> [N, C, 1, ...]."""

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        from .reduce import ReduceMean

        return b(ReduceMean(tuple(range(2, len(x.shape))), True), x)


class GlobalMaxPool(Composite):
    """Maximum over all space: [N, C, ...] -> [N, C, 1, ...]."""

    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        from .reduce import ReduceMax

        return b(ReduceMax(tuple(range(2, len(x.shape))), True), x)
