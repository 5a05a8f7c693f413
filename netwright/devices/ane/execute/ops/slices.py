"""Parts of a value: slices, splits, pads. All exact."""

from __future__ import annotations

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op


@op("slice_by_index")
def slice_by_index(call: Call) -> Kernel:
    """x from `begin` to `end` by `stride`; masks say where an axis starts or ends freely or is taken at one place."""
    x = call.operand("x")
    rank = len(x.shape)
    begin, end = call.ints("begin", rank), call.ints("end", rank)
    stride = call.ints("stride", rank, [1] * rank)
    free_begin, free_end, single = (
        call.const(f"{name}_mask", [False] * rank) for name in ("begin", "end", "squeeze")
    )
    if min(len(free_begin), len(free_end), len(single)) < rank or 0 in stride:
        call.fail(f"expected masks for {rank} axes and no stride of 0")
    cut: list[slice | int] = []
    for i, size in enumerate(x.shape):
        first = begin[i] + size if begin[i] < 0 else begin[i]
        if single[i]:
            if not 0 <= first < size:
                call.fail(f"begin is {begin[i]} on axis {i} of {x}")
            cut.append(first)
            continue
        last: int | None = end[i] + size if end[i] < 0 else end[i]
        if stride[i] < 0 and end[i] < -size:
            last = None
        cut.append(slice(None if free_begin[i] else first, None if free_end[i] else last, stride[i]))
    shape = tuple(len(range(*c.indices(s))) for c, s in zip(cut, x.shape) if isinstance(c, slice))
    parts = tuple(cut)
    return Kernel((TensorType(x.dtype, shape),), lambda v: v[parts], exact=True)


@op("slice_by_size")
def slice_by_size(call: Call) -> Kernel:
    """`size` elements of x from `begin` on; -1: all that follow. A `begin` that is no constant is read at run time."""
    x = call.operand("x")
    rank = len(x.shape)
    size = call.ints("size", rank)
    constant = call.constant("begin")
    if constant is None:
        begins = call.operand("begin")
        if begins != TensorType("int32", (rank,)) or not all(0 <= s <= n for s, n in zip(size, x.shape)):
            call.fail(f"begin is {begins} and size {size}, expected an int32 and a size for each axis of {x}")
        return Kernel((TensorType(x.dtype, tuple(size)),), lambda v, b: _at(v, b.tolist(), size), exact=True)
    begin = call.ints("begin", rank)
    begin = [b + n if b < 0 else b for b, n in zip(begin, x.shape)]
    size = [n - b if s == -1 else s for s, b, n in zip(size, begin, x.shape)]
    if not all(0 <= b <= b + s <= n for s, b, n in zip(size, begin, x.shape)):
        call.fail(f"{size} elements from {begin} on are not inside {x}")
    return Kernel((TensorType(x.dtype, tuple(size)),), lambda v: _at(v, begin, size), exact=True)


def _at(v: np.ndarray, begin: list[int], size: list[int]) -> np.ndarray:
    if not all(0 <= b <= b + s <= n for s, b, n in zip(size, begin, v.shape)):
        raise IndexError(f"{size} elements from {begin} on are not inside {list(v.shape)}")
    return v[tuple(slice(b, b + s) for b, s in zip(begin, size))]


@op("split")
def split(call: Call) -> Kernel:
    """x cut along a constant axis into `num_splits` equal parts or into parts of `split_sizes`."""
    x = call.operand("x")
    axis = call.axis(len(x.shape))
    if call.has("split_sizes"):
        sizes = call.ints("split_sizes")
    else:
        parts = call.ints("num_splits", 1)[0]
        if not 1 <= parts <= x.shape[axis] or x.shape[axis] % parts:
            call.fail(f"axis {axis} of {x} has no {parts} equal parts")
        sizes = [x.shape[axis] // parts] * parts
    if sum(sizes) != x.shape[axis] or min(sizes) < 1:
        call.fail(f"the sizes {sizes} do not make up axis {axis} of {x}")
    types = tuple(TensorType(x.dtype, (*x.shape[:axis], s, *x.shape[axis + 1 :])) for s in sizes)
    places = np.cumsum(sizes)[:-1].tolist()
    if len(types) == 1:
        return Kernel(types, lambda v: v, exact=True)
    return Kernel(types, lambda v: tuple(np.split(v, places, axis)), exact=True)


@op("pad")
def pad(call: Call) -> Kernel:
    """x with elements around its last axes; mode constant, reflect or replicate."""
    x = call.operand("x")
    pads = call.ints("pad")
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}.get(str(call.const("mode", "constant")))
    if mode is None or len(pads) % 2 or len(pads) > 2 * len(x.shape) or min(pads, default=0) < 0:
        call.fail(f"pad is {pads}, expected one pair of counts for each of the last axes, and a known mode")
    pairs = [(0, 0)] * (len(x.shape) - len(pads) // 2) + list(zip(pads[::2], pads[1::2]))
    result = TensorType(x.dtype, tuple(s + b + a for s, (b, a) in zip(x.shape, pairs)))
    if mode != "constant":
        chosen = "reflect" if mode == "reflect" else "edge"
        return Kernel((result,), lambda v: np.pad(v, pairs, chosen), exact=True)  # type: ignore[call-overload]
    value = call.const("constant_val", 0.0)
    return Kernel((result,), lambda v: np.pad(v, pairs, constant_values=value), exact=True)
