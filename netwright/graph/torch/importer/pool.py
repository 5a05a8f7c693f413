"""Pooling and changing resolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...graph import Value
from ...ops.binary import Mul
from ...ops.common import scalar
from ...ops.index import Gather
from ...ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ...ops.resize import Resize
from .importer import Import, imports
from .layers import per_axis


def _windows(im: Import, a: Any, x: Value, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and padding; `ceil_mode` becomes padding at the end."""
    kernel = per_axis(a.kernel_size, rank)
    stride = per_axis(a.stride, rank) if a.stride else kernel
    begins = per_axis(a.padding, rank)
    spatial, wanted = x.shape[-rank:], im.shape[-rank:]
    more = [(o - 1) * s + k - (n + 2 * p) for o, s, k, n, p in zip(wanted, stride, kernel, spatial, begins)]
    return kernel, stride, (*begins, *(p + max(m, 0) for p, m in zip(begins, more)))


def _batched(im: Import, a: Any, rank: int) -> Value:
    """The input with a leading dimension."""
    x = im.value(a.self)
    return im.reshape(x, (1, *x.shape)) if len(x.shape) == rank + 1 else x


@imports(
    "max_pool1d", "max_pool2d", "max_pool1d_with_indices", "max_pool2d_with_indices",
)  # fmt: skip
def max_pool(im: Import, a: Any) -> Any:
    """With or without the positions."""
    rank = 1 if "1d" in im.op else 2
    if any(d != 1 for d in per_axis(a.dilation, rank)):
        im.refuse("max pooling with dilation", "pool without")
    x = _batched(im, a, rank)
    kernel, stride, padding = _windows(im, a, x, rank)
    indices = im.op.endswith("with_indices") and any(u.args[1] == 1 for u in im.readers())
    made = im.b(MaxPool(kernel, stride, padding, indices), x)
    results = made if isinstance(made, tuple) else (made,)
    shaped = tuple(im.reshape(v, im.shape) for v in results)
    return shaped[0] if not im.op.endswith("with_indices") else (*shaped, None)[:2]


@imports("avg_pool3d")
def avg_pool3d(im: Import, a: Any) -> Value:
    """Only over the first of three dimensions, as local response norm has it."""
    kernel = per_axis(a.kernel_size, 3)
    if kernel[1:] != (1, 1) or any(n != 1 for n in per_axis(a.stride or kernel, 3)) or any(per_axis(a.padding, 3)):
        im.refuse("average pooling over three dimensions", "use one or two")
    x = im.value(a.self)
    flat = im.reshape(x, (math.prod(x.shape[:-3]), 1, x.shape[-3], math.prod(x.shape[-2:])))
    return im.reshape(im.b(AveragePool((kernel[0], 1)), flat), im.shape)


@imports("avg_pool1d", "avg_pool2d")
def avg_pool(im: Import, a: Any) -> Value:
    """Padding counted or not; a fixed divisor is a factor."""
    rank = 1 if "1d" in im.op else 2
    x = _batched(im, a, rank)
    kernel, stride, padding = _windows(im, a, x, rank)
    divisor = getattr(a, "divisor_override", None)
    counted = (a.count_include_pad and any(per_axis(a.padding, rank))) or divisor is not None
    if counted and divisor is None and padding[:rank] != padding[rank:]:
        im.refuse("ceil_mode with counted padding", "pass count_include_pad=False or ceil_mode=False")
    y = im.b(AveragePool(kernel, stride, padding, counted), x)
    if divisor is not None:
        y = im.b(Mul(), y, scalar(im.b, math.prod(kernel) / divisor, y))
    return im.reshape(y, im.shape)


@imports(
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
)  # fmt: skip
def adaptive_pool(im: Import, a: Any) -> Any:
    """Where the output size divides the input's, ordinary windows; one output is a global pool."""
    rank = 1 if "1d" in im.op else 2
    x = _batched(im, a, rank)
    given, wanted = x.shape[-rank:], im.shape[-rank:]
    largest = "max" in im.op
    if any(n % o for n, o in zip(given, wanted)):
        im.refuse(
            f"adaptive pooling of {list(given)} to {list(wanted)} has windows of several sizes",
            "choose output sizes that divide the input's",
        )
    kernel = tuple(n // o for n, o in zip(given, wanted))
    if largest and any(u.args[1] == 1 for u in im.readers()):
        found: Any = im.b(MaxPool(kernel, kernel, (), True), x)
        return im.reshape(found[0], im.shape), im.reshape(found[1], im.shape)
    if all(o == 1 for o in wanted):
        y = im.b(GlobalMaxPool() if largest else GlobalAveragePool(), x)
    elif all(k == 1 for k in kernel):
        y = x
    else:
        y = im.b(MaxPool(kernel, kernel) if largest else AveragePool(kernel, kernel), x)
    y = im.reshape(y, im.shape)
    return (y, None) if largest else y


@imports(
    "upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "upsample_linear1d", "upsample_bilinear2d",
)  # fmt: skip
def upsample(im: Import, a: Any) -> Value:
    """Nearest rows are gathered where they are not those of ONNX's coordinates."""
    x = im.value(a.input if hasattr(a, "input") else a.self)
    size, given = im.shape[2:], x.shape[2:]
    scales = _scales(a, len(size)) or [o / n for o, n in zip(size, given)]
    if any(s is not None and not math.isclose(o / n, s) for o, n, s in zip(size, given, scales)):
        im.refuse(f"scale factors {scales} of {list(given)} do not give whole sizes", "pass size= instead")
    if "linear" in im.op:
        return im.b(Resize(size, "linear", "align_corners" if a.align_corners else "half_pixel"), x)
    offset = 0.5 if "exact" in im.op else 0.0
    op = Resize(size, "nearest", "half_pixel" if offset else "asymmetric")
    rows = [np.floor((np.arange(o) + offset) * (n / o)).astype(np.int64) for o, n in zip(size, given)]
    if all(np.array_equal(r, op.rows(n, o)) for r, n, o in zip(rows, given, size)):
        return im.b(op, x)
    for axis, row in enumerate(rows, 2):
        x = im.b(Gather(axis), x, im.b.constant(row, "rows"))
    return x


def _scales(a: Any, rank: int) -> list[float | None] | None:
    if getattr(a, "scale_factors", None):
        return list(a.scale_factors)
    named = [getattr(a, n, None) for n in (("scales",) if rank == 1 else ("scales_h", "scales_w"))]
    return named if any(s is not None for s in named) else None
