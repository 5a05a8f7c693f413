"""Pooling: windows that ours cannot slide (dilated, three-dimensional) go one axis at a time."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from ...ops.binary import Add, Maximum, Mul, Pow
from ...ops.index import ScatterElements
from ...ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ...ops.reduce import ReduceSum
from ...ops.shape import Pad, Reshape
from ...ops.unary import Abs
from .conv import padding, window
from .entry import Entry
from .importer import Call, imports
from .move import sliced

MOST_TAPS = 128


def geometry(n: Call, x: Entry) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride, dilation, padding, and what `ceil_mode` adds at each end."""
    rank = len(x.shape) - 2
    if rank < 1:
        raise n.refuse(f"x is {list(x.shape)}: [N, C, spatial] is needed")
    kernel, stride, dilation = window(n, rank)
    sizes = x.shape[2:]
    pads = padding(n, sizes, kernel, stride, dilation)
    extra = [0] * rank
    if n.integer("ceil_mode", 0) and n.text("auto_pad", "NOTSET") in ("NOTSET", ""):
        for i in range(rank):
            reach = (kernel[i] - 1) * dilation[i] + 1
            room = sizes[i] + pads[i] + pads[rank + i] - reach
            count = -(-room // stride[i]) + 1
            if (count - 1) * stride[i] >= sizes[i] + pads[i]:  # a window wholly beyond the end is none
                count -= 1
            extra[i] = max(0, (count - 1) * stride[i] - room)
    return kernel, stride, dilation, pads, tuple(extra)


@imports("MaxPool")
def max_pool(n: Call) -> Entry | tuple[Entry, ...]:
    """The same op where it can be."""
    x = n.x()
    kernel, stride, dilation, pads, extra = geometry(n, x)
    rank = len(kernel)
    ends = (*pads[:rank], *(p + e for p, e in zip(pads[rank:], extra)))
    if len(n.outputs) > 1 and n.outputs[1]:
        return _with_indices(n, x, kernel, stride, dilation, ends)
    fits = all(max(ends[i], ends[rank + i]) < kernel[i] for i in range(rank))
    if rank <= 2 and set(dilation) == {1} and fits:
        return n(MaxPool(kernel, stride, ends), x)
    return _slid(n, x, kernel, stride, dilation, ends)


def _lowest(dtype: str) -> float:
    return -np.inf if dtype.startswith("float") else float(np.iinfo(dtype).min)


def _slid(
    n: Call, x: Entry, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    ends: tuple[int, ...],
) -> Entry:  # fmt: skip
    """Maximum of windows one axis at a time, by doubling: that of 2p taps is the larger of two of p taps."""
    rank = len(kernel)
    if any(ends):
        x = n(Pad((0, 0, *ends[:rank], 0, 0, *ends[rank:]), "constant", _lowest(x.dtype)), x)
    for i in range(rank):
        taps, size = 1, x.shape[2 + i] - (kernel[i] - 1) * dilation[i]  # windows that fit
        if size < 1:
            raise n.refuse(f"a window of {kernel[i]} does not fit {x.shape[2 + i]}")
        while taps < kernel[i]:
            step = min(taps, kernel[i] - taps)
            kept = x.shape[2 + i] - step * dilation[i]
            later = sliced(n, x, 2 + i, step * dilation[i], step * dilation[i] + kept)
            x, taps = n(Maximum(), sliced(n, x, 2 + i, 0, kept), later), taps + step
        x = sliced(n, x, 2 + i, 0, size, stride[i])
    return x


def _shifted(n: Call, x: Entry, axis: int, taps: int, stride: int, dilation: int) -> list[Entry]:
    """What each tap of a window meets along an axis."""
    count = (x.shape[axis] - (taps - 1) * dilation - 1) // stride + 1
    if count < 1:
        raise n.refuse(f"a window of {taps} does not fit {x.shape[axis]}")
    return [
        sliced(n, x, axis, t * dilation, t * dilation + (count - 1) * stride + 1, stride) for t in range(taps)
    ]


def _with_indices(
    n: Call, x: Entry, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    ends: tuple[int, ...],
) -> tuple[Entry, ...]:  # fmt: skip
    """ONNX counts positions through the whole tensor, we through each channel."""
    if len(kernel) > 2 or set(dilation) != {1}:
        raise n.refuse("indices of dilated or three-dimensional pooling are not supported")
    y, where = n(MaxPool(kernel, stride, ends, True), x)
    space = x.shape[2:]
    if n.integer("storage_order", 0) and len(space) == 2:
        h, w = space
        column, row = _modulo(n, where, w)
        where = n(Add(), n(Mul(), column, n.scalar(h, where)), row)
    planes = n.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * len(space))
    return y, n(Add(), where, n.known(planes * math.prod(space)))


def _modulo(n: Call, x: Entry, by: int) -> tuple[Entry, Entry]:
    """Remainder and quotient of integers of at least 0."""
    from ...ops.binary import Div, Sub

    quotient = n(Div(), x, n.scalar(by, x))
    return n(Sub(), x, n(Mul(), quotient, n.scalar(by, x))), quotient


@imports("AveragePool")
def average_pool(n: Call) -> Entry:
    """The same op where it can be."""
    x = n.x()
    return averaged(n, x, geometry(n, x), bool(n.integer("count_include_pad", 0)))


def averaged(n: Call, x: Entry, windows: tuple[tuple[int, ...], ...], count: bool) -> Entry:
    """Means of windows; with `count` padding counts, but never what `ceil_mode` added beyond it."""
    kernel, stride, dilation, pads, extra = windows
    rank = len(kernel)
    if count and any(extra):
        x = n(Pad((0, 0, *pads[:rank], 0, 0, *pads[rank:])), x) if any(pads) else x
        pads, count = (0,) * 2 * rank, False
    ends = (*pads[:rank], *(p + e for p, e in zip(pads[rank:], extra)))
    fits = all(max(ends[i], ends[rank + i]) < kernel[i] for i in range(rank))
    if rank <= 2 and set(dilation) == {1} and fits:
        return n(AveragePool(kernel, stride, ends, count and any(ends)), x)
    if sum(kernel) > MOST_TAPS:
        raise n.refuse(f"a kernel of {list(kernel)} is too large to be written out")
    shape = x.shape
    if any(ends):
        x = n(Pad((0, 0, *ends[:rank], 0, 0, *ends[rank:])), x)
    for i in range(rank):
        parts = _shifted(n, x, 2 + i, kernel[i], stride[i], dilation[i])
        x = reduce(lambda a, b: n(Add(), a, b), parts)
        n.im.afford(32 * (shape[2 + i] + ends[i] + ends[rank + i]), "counting what windows hold")
        held = _counts(shape[2 + i], ends[i], ends[rank + i], kernel[i], stride[i], dilation[i], count)
        if not held.all():
            raise n.refuse("a window holds nothing but padding, which has no average")
        x = n(Mul(), x, n.known((1 / held).reshape(-1, *[1] * (rank - 1 - i)), x.dtype))
    return x


def _counts(size: int, before: int, after: int, taps: int, stride: int, dilation: int, count: bool) -> np.ndarray:
    """How many elements each window along an axis averages."""
    ones = np.pad(np.ones(size), (before, after), constant_values=float(count))
    reach = (taps - 1) * dilation + 1
    windows = np.lib.stride_tricks.sliding_window_view(ones, reach)[::stride, ::dilation]
    return windows.sum(-1)


@imports("LpPool")
def lp_pool(n: Call) -> Entry:
    """The p-norm of each window: the root of an average pool of powers times its size."""
    x, p = n.x(), n.integer("p", 2)
    if p < 1:
        raise n.refuse(f"p is {p}: it must be at least 1")
    kernel, stride, dilation, pads, extra = geometry(n, x)
    powers = _powered(n, x, p)
    none, rank = (0,) * 2 * len(kernel), len(kernel)
    ends = (*pads[:rank], *(q + e for q, e in zip(pads[rank:], extra)))
    powers = n(Pad((0, 0, *ends[:rank], 0, 0, *ends[rank:])), powers) if any(ends) else powers
    mean = averaged(n, powers, (kernel, stride, dilation, none, none[:rank]), True)
    total = n(Mul(), mean, n.scalar(math.prod(kernel), x))
    return n(Pow(), total, n.scalar(1 / p, x))


def _powered(n: Call, x: Entry, p: int) -> Entry:
    return n(Mul(), x, x) if p == 2 else n(Pow(), n(Abs(), x), n.scalar(p, x))


@imports("GlobalLpPool")
def global_lp_pool(n: Call) -> Entry:
    """The p-norm over all space."""
    x, p = n.x(), n.integer("p", 2)
    total = n(ReduceSum(tuple(range(2, len(x.shape))), True), _powered(n, x, p))
    return n(Pow(), total, n.scalar(1 / p, x))


@imports("GlobalAveragePool")
def global_average_pool(n: Call) -> Entry:
    """The same op."""
    return n(GlobalAveragePool(), n.x())


@imports("GlobalMaxPool")
def global_max_pool(n: Call) -> Entry:
    """The same op."""
    return n(GlobalMaxPool(), n.x())


@imports("MaxUnpool")
def max_unpool(n: Call) -> Entry:
    """Values back to where a max pool found them, zeros elsewhere."""
    x, where = n.x(0), n.x(1)
    rank = len(x.shape) - 2
    kernel, stride, _ = window(n, rank)
    pads = n.several("pads") or (0,) * 2 * rank
    sizes = tuple(
        (x.shape[2 + i] - 1) * stride[i] + kernel[i] - pads[i] - pads[rank + i] for i in range(rank)
    )
    shape = (*x.shape[:2], *sizes)
    full = n.ints(2) or shape
    # positions are counted through the inferred shape, whatever the shape that is asked for
    flat = n(
        ScatterElements(0, (math.prod(shape),)), n(Reshape((-1,)), x), n(Reshape((-1,)), where)
    )
    image = n(Reshape(shape), flat)
    grown = tuple(f - s for f, s in zip(full, shape))
    if min(grown) < 0:
        raise n.refuse(f"output_shape {list(full)} is smaller than {list(shape)}")
    return n(Pad((*[0] * len(shape), *grown)), image) if any(grown) else image
