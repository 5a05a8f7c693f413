"""Convolutions over one or two spatial dimensions, ONNX's meaning and layout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .common import need_float, need_same_dtype, torch_module


@dataclass(frozen=True)
class Conv(Op):
    """x [N, C, *spatial], w [O, C/groups, *kernel], optional bias [O] -> [N, O, *spatial'].

    `padding` is ONNX's: all begins, then all ends. Empty tuples mean stride 1, no padding, dilation 1.
    """

    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    def geometry(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Stride, padding and dilation with the defaults filled in for `rank` spatial dimensions."""
        stride, padding = self.stride or (1,) * rank, self.padding or (0,) * 2 * rank
        dilation = self.dilation or (1,) * rank
        if (len(stride), len(padding), len(dilation)) != (rank, 2 * rank, rank):
            raise ValueError(
                f"{self.name} over {rank} dimensions with stride {stride}, padding {padding}, dilation {dilation}"
            )
        return stride, padding, dilation

    def types(self, x: Type, w: Type, bias: Type | None = None) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        need_same_dtype(self.name, x, w, bias)
        rank = len(x.shape) - 2
        if rank not in (1, 2) or len(w.shape) != rank + 2:
            raise ValueError(
                f"conv of {list(x.shape)} with weights {list(w.shape)}: "
                "needs [N, C, (H,) W] and as many weight dimensions"
            )
        stride, padding, dilation = self.geometry(rank)
        if min(*stride, *dilation, self.groups) < 1:
            raise ValueError(f"conv with stride {stride}, dilation {dilation}, {self.groups} groups: at least 1 each")
        if x.shape[1] != w.shape[1] * self.groups or w.shape[0] % self.groups:
            raise ValueError(f"conv of {x.shape[1]} channels in {self.groups} groups with weights {list(w.shape)}")
        if bias is not None and bias.shape != w.shape[:1]:
            raise ValueError(f"conv with {w.shape[0]} outputs has a bias of shape {list(bias.shape)}")
        spatial = []
        for i in range(rank):
            reach = (w.shape[2 + i] - 1) * dilation[i] + 1
            padded = x.shape[2 + i] + padding[i] + padding[rank + i]
            if padded < reach:
                raise ValueError(f"conv kernel reaches over {reach} but the padded input has {padded}")
            spatial.append((padded - reach) // stride[i] + 1)
        return (Type((x.shape[0], w.shape[0], *spatial), x.dtype),)

    def macs(self, x: Type, w: Type, bias: Type | None = None) -> int:  # type: ignore[override]
        out = self.types(x, w, bias)[0].shape
        return math.prod(out) * math.prod(w.shape[1:])

    def numpy(self, x: Any, w: Any, bias: Any = None) -> Any:
        rank = x.ndim - 2
        stride, padding, dilation = self.geometry(rank)
        windows = windows_of(x, w.shape[2:], stride, padding, dilation)  # [N, C, *spatial', *kernel]
        n, c, *rest = windows.shape
        spatial, taps = rest[:rank], math.prod(rest[rank:])
        if w.shape[1] == 1:  # depthwise: taps are summed in order, as other runtimes' reference kernels sum them
            each = np.repeat(windows, w.shape[0] // c, axis=1) if w.shape[0] != c else windows
            y = np.zeros((n, w.shape[0], *spatial), np.result_type(x, w))
            for tap in np.ndindex(*w.shape[2:]):
                y += each[(..., *tap)] * w[(slice(None), 0, *tap)].reshape(-1, *[1] * rank)
            return y if bias is None else y + bias.reshape(-1, *[1] * rank)
        columns = np.moveaxis(windows, range(2, 2 + rank), range(-rank, 0))
        columns = columns.reshape(n, self.groups, c // self.groups * taps, math.prod(spatial))
        kernels = w.reshape(self.groups, w.shape[0] // self.groups, -1)
        y = (kernels @ columns).reshape(n, w.shape[0], *spatial)
        return y if bias is None else y + bias.reshape(-1, *[1] * rank)

    def torch(self, x: Any, w: Any, bias: Any = None) -> Any:
        rank = x.dim() - 2
        stride, padding, dilation = self.geometry(rank)
        functional = torch_module().nn.functional
        begins, ends = padding[:rank], padding[rank:]
        if begins != ends:
            x = functional.pad(x, [p for pair in zip(reversed(begins), reversed(ends)) for p in pair])
            begins = (0,) * rank
        convolve = functional.conv1d if rank == 1 else functional.conv2d
        return convolve(x, w, bias, stride, begins, dilation, self.groups)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        x, w, *rest = node.inputs
        assert x is not None and w is not None
        rank = len(x.shape) - 2
        stride, padding, dilation = self.geometry(rank)
        # what the strided convolution never reached is restored as output padding
        extra = tuple(
            x.shape[2 + i] + padding[i] + padding[rank + i] - (w.shape[2 + i] - 1) * dilation[i] - 1
            - (dy.shape[2 + i] - 1) * stride[i]
            for i in range(rank)
        )
        back = ConvTranspose(stride, padding, dilation, self.groups, extra)
        dx = b(back, dy, w)
        dw = _weight_gradient(b, x, dy, w.shape, self.groups, stride, padding, dilation)
        return (dx, dw, bias_gradient(b, dy)) if rest and rest[0] is not None else (dx, dw, *[None for _ in rest])


@dataclass(frozen=True)
class ConvTranspose(Op):
    """The gradient of `Conv` for its input: x [N, C, *spatial], w [C, O/groups, *kernel] -> [N, O, *spatial']."""

    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    output_padding: tuple[int, ...] = ()

    def geometry(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Stride, padding, dilation and output padding with defaults filled in."""
        stride, padding, dilation = Conv(self.stride, self.padding, self.dilation).geometry(rank)
        return stride, padding, dilation, self.output_padding or (0,) * rank

    def types(self, x: Type, w: Type, bias: Type | None = None) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        need_same_dtype(self.name, x, w, bias)
        rank = len(x.shape) - 2
        if rank not in (1, 2) or len(w.shape) != rank + 2 or x.shape[1] != w.shape[0] or x.shape[1] % self.groups:
            raise ValueError(f"conv_transpose of {list(x.shape)} in {self.groups} groups with weights {list(w.shape)}")
        stride, padding, dilation, extra = self.geometry(rank)
        spatial = tuple(
            (x.shape[2 + i] - 1) * stride[i] + (w.shape[2 + i] - 1) * dilation[i] + 1
            - padding[i] - padding[rank + i] + extra[i]
            for i in range(rank)
        )
        if min(spatial) < 1:
            raise ValueError(f"conv_transpose would have spatial size {list(spatial)}")
        return (Type((x.shape[0], w.shape[1] * self.groups, *spatial), x.dtype),)

    def macs(self, x: Type, w: Type, bias: Type | None = None) -> int:  # type: ignore[override]
        return x.size * math.prod(w.shape[1:])

    def numpy(self, x: Any, w: Any, bias: Any = None) -> Any:
        rank = x.ndim - 2
        stride, padding, dilation, extra = self.geometry(rank)
        reach = [(w.shape[2 + i] - 1) * dilation[i] for i in range(rank)]
        spread = [(x.shape[2 + i] - 1) * stride[i] + 1 for i in range(rank)]
        # zeros between the inputs, then an ordinary convolution with turned kernels
        wide = np.zeros((*x.shape[:2], *[s + 2 * r + max(0, e) for s, r, e in zip(spread, reach, extra)]), x.dtype)
        wide[:, :, *[slice(r, r + s, t) for r, s, t in zip(reach, spread, stride)]] = x
        per_group = w.reshape(self.groups, w.shape[0] // self.groups, *w.shape[1:])
        turned = np.flip(np.swapaxes(per_group, 1, 2), axis=tuple(range(3, 3 + rank)))
        turned = turned.reshape(-1, w.shape[0] // self.groups, *w.shape[2:])
        y = Conv(dilation=dilation, groups=self.groups).numpy(wide, turned)
        cut = [slice(padding[i], y.shape[2 + i] - padding[rank + i] + min(0, extra[i])) for i in range(rank)]
        y = y[(..., *cut)]
        return y if bias is None else y + bias.reshape(-1, *[1] * rank)

    def torch(self, x: Any, w: Any, bias: Any = None) -> Any:
        rank = x.dim() - 2
        stride, padding, dilation, extra = self.geometry(rank)
        functional = torch_module().nn.functional
        convolve = functional.conv_transpose1d if rank == 1 else functional.conv_transpose2d
        # torch only knows symmetric padding and small output padding: compute all, then cut or extend
        y = convolve(x, w, bias, stride, 0, 0, self.groups, dilation)
        for i in range(rank):
            size = y.shape[2 + i] - padding[i] - padding[rank + i] + extra[i]
            missing = max(0, padding[i] + size - y.shape[2 + i])
            if missing:
                pads = [0] * 2 * rank
                pads[2 * (rank - 1 - i) + 1] = missing
                y = functional.pad(y, pads)
                if bias is not None:
                    edge = [slice(None)] * y.dim()
                    edge[2 + i] = slice(y.shape[2 + i] - missing, None)
                    y = y.clone()
                    y[tuple(edge)] = bias.reshape(-1, *[1] * rank).expand_as(y[tuple(edge)])
            y = y.narrow(2 + i, padding[i], size)
        return y

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        x, w, *rest = node.inputs
        assert x is not None and w is not None
        rank = len(x.shape) - 2
        stride, padding, dilation, _ = self.geometry(rank)
        dx = b(Conv(stride, padding, dilation, self.groups), dy, w)
        if dx.shape != x.shape:
            dx = _crop(b, dx, x.shape)
        dw = _weight_gradient(b, dy, x, w.shape, self.groups, stride, padding, dilation)
        return (dx, dw, bias_gradient(b, dy)) if rest and rest[0] is not None else (dx, dw, *[None for _ in rest])


def windows_of(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    fill: float = 0,
) -> np.ndarray:
    """Sliding windows over the trailing spatial dimensions: [N, C, *spatial', *kernel], a view where it can be."""
    rank = len(kernel)
    if any(padding):
        pads = [(0, 0), (0, 0), *zip(padding[:rank], padding[rank:])]
        x = np.pad(x, pads, constant_values=fill)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation))
    windows = sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None, None, s) for s in stride] + [slice(None, None, d) for d in dilation]
    return windows[(slice(None), slice(None), *steps)]


def bias_gradient(b: Builder, dy: Value) -> Value:
    """Sum over batch and space: [N, O, *spatial] -> [O]."""
    from .reduce import ReduceSum

    return b(ReduceSum(axes=(0, *range(2, len(dy.shape))), keepdims=False), dy)


def _crop(b: Builder, v: Value, shape: tuple[int, ...]) -> Value:
    from .shape import Slice

    return b(Slice((0,) * len(shape), shape), v)


def _weight_gradient(
    b: Builder, x: Value, dy: Value, shape: tuple[int, ...], groups: int,
    stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...],
) -> Value:
    """Convolve inputs with output gradients, batch and channels changing places and stride with dilation."""
    from .shape import Reshape, Transpose

    n, c, *spatial = x.shape
    rank = len(spatial)
    grouped = b(Reshape((n, groups, c // groups, *spatial)), x)
    by_group = b(Transpose((2, 1, 0, *range(3, 3 + rank))), grouped)  # [C/g, g, N, *spatial]
    signal = b(Reshape((c // groups, groups * n, *spatial)), by_group)
    kernel = b(Transpose((1, 0, *range(2, 2 + rank))), dy)  # [O, N, *spatial']
    product = b(Conv(dilation, padding, stride, groups), signal, kernel)  # [C/g, O, >= *kernel]
    turned = b(Transpose((1, 0, *range(2, 2 + rank))), product)
    return turned if turned.shape == shape else _crop(b, turned, shape)
