"""Ops that only move elements: shapes, axes, joins, repeats. Their results are exact, and views where they can be."""

from __future__ import annotations

from math import prod

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op


@op("reshape")
def reshape(call: Call) -> Kernel:
    """x in a constant shape; one size may be -1."""
    x, shape = call.operand("x"), call.ints("shape")
    if shape.count(-1) == 1:
        known = prod(s for s in shape if s != -1)
        shape = [x.size // known if s == -1 and known else s for s in shape]
    if min(shape, default=0) < 0 or prod(shape) != x.size:
        call.fail(f"{x} has {x.size} elements, the shape {shape} another number")
    return _shaped(x, tuple(shape))


@op("expand_dims")
def expand_dims(call: Call) -> Kernel:
    """x with new axes of one element at the constant places `axes` of the result."""
    x = call.operand("x")
    axes = call.axes(len(x.shape) + len(call.ints("axes")))
    sizes = iter(x.shape)
    return _shaped(x, tuple(1 if i in axes else next(sizes) for i in range(len(x.shape) + len(axes))))


@op("squeeze")
def squeeze(call: Call) -> Kernel:
    """x without the axes `axes`, or without every axis of one element."""
    x = call.operand("x")
    single = [i for i, size in enumerate(x.shape) if size == 1]
    axes = call.axes(len(x.shape)) if call.has("axes") else tuple(single)
    if not set(axes) <= set(single):
        call.fail(f"axes of {x} with more than one element cannot be squeezed")
    return _shaped(x, tuple(size for i, size in enumerate(x.shape) if i not in axes))


@op("flatten2d")
def flatten2d(call: Call) -> Kernel:
    """x as a matrix: the axes before `axis` are the rows."""
    x = call.operand("x")
    axis = call.ints("axis", 1, [1])[0]
    return _shaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@op("transpose")
def transpose(call: Call) -> Kernel:
    """x with its axes in the constant order `perm`."""
    x = call.operand("x")
    perm = call.axes(len(x.shape), "perm")
    if len(perm) != len(x.shape):
        call.fail(f"perm must name each axis of {x} once")
    return Kernel((TensorType(x.dtype, tuple(x.shape[p] for p in perm)),), lambda v: v.transpose(perm), exact=True)


@op("concat")
def concat(call: Call) -> Kernel:
    """Values joined along a constant axis; interleaved: the first of each, then the second of each."""
    types = call.operands_of("values")
    first = types[0]
    axis = call.axis(len(first.shape))
    others = [(t.dtype, t.shape[:axis], t.shape[axis + 1 :]) for t in types]
    if len(set(others)) > 1 or any(len(t.shape) != len(first.shape) for t in types):
        call.fail(f"{', '.join(map(str, types))} do not fit along axis {axis}")
    size = sum(t.shape[axis] for t in types)
    result = TensorType(first.dtype, (*first.shape[:axis], size, *first.shape[axis + 1 :]))
    if not call.const("interleave", False):
        return Kernel((result,), lambda *arrays: np.concatenate(arrays, axis), exact=True)
    if len(set(types)) > 1:
        call.fail("values of different shapes cannot be interleaved")
    return Kernel((result,), lambda *arrays: np.stack(arrays, axis + 1).reshape(result.shape), exact=True)


@op("stack")
def stack(call: Call) -> Kernel:
    """Values of one type along a new axis."""
    types = call.operands_of("values")
    axis = call.axis(len(types[0].shape) + 1)
    if len(set(types)) > 1:
        call.fail(f"{', '.join(map(str, types))} are not of one type")
    shape = (*types[0].shape[:axis], len(types), *types[0].shape[axis:])
    return Kernel((TensorType(types[0].dtype, shape),), lambda *arrays: np.stack(arrays, axis), exact=True)


@op("tile")
def tile(call: Call) -> Kernel:
    """x repeated a constant number of times along each axis."""
    x = call.operand("x")
    reps = call.ints("reps", len(x.shape))
    result = TensorType(x.dtype, tuple(s * r for s, r in zip(x.shape, reps)))
    if min(reps, default=1) < 1:
        call.fail(f"reps is {reps}, expected at least 1 of each")
    return Kernel((result,), lambda v: np.tile(v, reps), exact=True)


@op("reverse")
def reverse(call: Call) -> Kernel:
    """x with the order of the elements along `axes` turned round."""
    x = call.operand("x")
    axes = call.axes(len(x.shape), default=None)
    return Kernel((x,), lambda v: np.flip(v, axes), exact=True)


@op("upsample_nearest_neighbor")
def upsample_nearest_neighbor(call: Call) -> Kernel:
    """x [N, C, H, W] with each element repeated a whole number of times along H and W."""
    x = call.operand("x")
    factors = [call.const(f"scale_factor_{name}", 1) for name in ("height", "width")]
    tall, wide = (int(f) for f in factors)
    if len(x.shape) != 4 or [tall, wide] != factors or min(tall, wide) < 1:
        call.fail(f"{x} by {factors}: expected four axes and whole factors")
    result = TensorType(x.dtype, (*x.shape[:2], x.shape[2] * tall, x.shape[3] * wide))
    return Kernel((result,), lambda v: v.repeat(tall, 2).repeat(wide, 3), exact=True)


@op("shape")
def shape_of(call: Call) -> Kernel:
    """The sizes of x as int32."""
    x = call.operand("x")
    sizes = np.array(x.shape, np.int32)
    call.operands.clear()  # shapes are fixed, so that the result is a constant whatever x is
    return Kernel((TensorType("int32", sizes.shape),), lambda: sizes, exact=True)


@op("fill")
def fill(call: Call) -> Kernel:
    """A constant shape full of one scalar."""
    shape, value = call.ints("shape"), call.operand("value")
    if value.shape or min(shape, default=0) < 0:
        call.fail(f"value is {value} and shape {shape}, expected a scalar and sizes of axes")
    return Kernel((TensorType(value.dtype, tuple(shape)),), lambda v: np.full(shape, v), exact=True)


def _shaped(x: TensorType, shape: tuple[int, ...]) -> Kernel:
    return Kernel((TensorType(x.dtype, shape),), lambda v: v.reshape(shape), exact=True)
