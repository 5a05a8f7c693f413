"""Convolutions: over one or two spatial dimensions as they are, over three as a sum of two-dimensional ones."""

from __future__ import annotations

import math

from ...ops.binary import Add
from ...ops.conv import Conv, ConvTranspose
from ...ops.shape import Pad, Reshape, Transpose
from .entry import Entry
from .importer import Call, imports
from .move import sliced

MOST_TAPS = 64  # of the third dimension


def window(n: Call, rank: int, kernel: tuple[int, ...] | None = None) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride and dilation of a node over `rank` dimensions. Raises UserError where they do not fit."""
    found = []
    for name, default in (("kernel_shape", kernel or ()), ("strides", (1,) * rank), ("dilations", (1,) * rank)):
        value = n.several(name) or default
        if len(value) != rank or min(value) < 1:
            raise n.refuse(f"{name} {list(value)} of an operand with {rank} spatial dimensions")
        found.append(tuple(value))
    if kernel is not None and found[0] != kernel:
        raise n.refuse(f"kernel_shape {list(found[0])} of weights with kernel {list(kernel)}")
    return tuple(found)


def padding(
    n: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """All begins, then all ends, from `pads` or `auto_pad`."""
    rank, auto = len(sizes), n.text("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = n.several("pads") or (0,) * 2 * rank
        if len(pads) != 2 * rank or min(pads) < 0:
            raise n.refuse(f"pads {list(pads)} of an operand with {rank} spatial dimensions")
        return tuple(pads)
    if auto == "VALID":
        return (0,) * 2 * rank
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise n.refuse(f"auto_pad {auto!r} is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    total = [
        max(0, (math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size)
        for size, k, s, d in zip(sizes, kernel, stride, dilation)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return tuple(less + more if auto == "SAME_UPPER" else more + less)


@imports("Conv")
def conv(n: Call) -> Entry:
    """The same op."""
    return convolved(n, n.x(0), n.x(1), n.get(2))


def convolved(n: Call, x: Entry, w: Entry, bias: Entry | None) -> Entry:
    """Conv with the node's attributes."""
    rank = len(x.shape) - 2
    if rank not in (1, 2, 3) or len(w.shape) != rank + 2:
        raise n.refuse(f"x {list(x.shape)} and w {list(w.shape)}: 1 to 3 spatial dimensions are supported")
    kernel, stride, dilation = window(n, rank, w.shape[2:])
    pads = padding(n, x.shape[2:], kernel, stride, dilation)
    groups = n.integer("group", 1)
    if groups < 1:
        raise n.refuse(f"group {groups} must be at least 1")
    if rank < 3:
        return n(Conv(_unless(stride, 1), _unless(pads, 0), _unless(dilation, 1), groups), x, w, bias)
    return _conv3d(n, x, w, bias, stride, pads, dilation, groups)


def _unless(numbers: tuple[int, ...], default: int) -> tuple[int, ...]:
    """Empty where all are the default, so that equal layers are equal ops."""
    return () if all(k == default for k in numbers) else numbers


def _conv3d(
    n: Call, x: Entry, w: Entry, bias: Entry | None,
    stride: tuple[int, ...], pads: tuple[int, ...], dilation: tuple[int, ...], groups: int,
) -> Entry:  # fmt: skip
    """Depth becomes batch: for each tap of the kernel's depth a 2-D convolution of the planes it meets, then summed."""
    taps, o = w.shape[2], w.shape[0]
    if taps > MOST_TAPS:
        raise n.refuse(f"a three-dimensional kernel of depth {taps}: at most {MOST_TAPS} are written out")
    x = n(Pad((0, 0, pads[0], 0, 0, 0, 0, pads[3], 0, 0)), x)
    c, depth = x.shape[1:3]
    planes = (depth - (taps - 1) * dilation[0] - 1) // stride[0] + 1
    flat = Conv(stride[1:], (pads[1], pads[2], pads[4], pads[5]), dilation[1:], groups)
    total: Entry | None = None
    for tap in range(taps):
        start = tap * dilation[0]
        met = sliced(n, x, 2, start, start + (planes - 1) * stride[0] + 1, stride[0])
        rows = n(Reshape((-1, c, *x.shape[3:])), n(Transpose((0, 2, 1, 3, 4)), met))
        kernel = n(Reshape((*w.shape[:2], *w.shape[3:])), sliced(n, w, 2, tap, tap + 1))
        y = n(flat, rows, kernel, bias if tap == 0 else None)
        total = y if total is None else n(Add(), total, y)
    assert total is not None
    image = n(Reshape((-1, planes, o, *total.shape[2:])), total)
    return n(Transpose((0, 2, 1, 3, 4)), image)


@imports("ConvTranspose")
def conv_transpose(n: Call) -> Entry:
    """The same op; `output_shape` and `auto_pad` say the padding indirectly."""
    x, w, bias = n.x(0), n.x(1), n.get(2)
    rank = len(x.shape) - 2
    if rank not in (1, 2) or len(w.shape) != rank + 2:
        raise n.refuse(f"x {list(x.shape)} and w {list(w.shape)}: one or two spatial dimensions are supported")
    kernel, stride, dilation = window(n, rank, w.shape[2:])
    extra = n.several("output_padding") or (0,) * rank
    if len(extra) != rank or min(extra) < 0:
        raise n.refuse(f"output_padding {list(extra)} of an operand with {rank} spatial dimensions")
    pads = _transposed_padding(n, x.shape[2:], kernel, stride, dilation, tuple(extra))
    extra = tuple(e + max(0, -pads[i]) + max(0, -pads[rank + i]) for i, e in enumerate(extra))
    pads = tuple(max(0, p) for p in pads)
    return n(ConvTranspose(stride, pads, dilation, n.integer("group", 1), extra), x, w, bias)


def _transposed_padding(
    n: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...], extra: tuple[int, ...],
) -> tuple[int, ...]:  # fmt: skip
    auto, wanted = n.text("auto_pad", "NOTSET"), n.several("output_shape")
    if wanted is None and auto.startswith("SAME"):
        wanted = tuple(size * s for size, s in zip(sizes, stride))
    if wanted is None:
        return padding(n, sizes, kernel, stride, dilation)
    wanted = wanted[-len(sizes) :]
    total = [
        (size - 1) * s + e + (k - 1) * d + 1 - out
        for size, s, e, k, d, out in zip(sizes, stride, extra, kernel, dilation, wanted)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return tuple(less + more if auto == "SAME_UPPER" else more + less)
