"""Another shape for the same elements, and shapes as numbers: all known at import."""

from __future__ import annotations

import math

import numpy as np

from ...ops.shape import Expand, Reshape, Transpose
from .entry import Entry, Known
from .importer import Call, imports
from .tensors import dtype_name


def reshaped(n: Call, x: Entry, shape: tuple[int, ...]) -> Entry:
    """`x` in a shape without 0 and -1; a leading dimension that stays is left open, so that any batch may be given."""
    if x.shape == shape:
        return x
    if shape and x.shape and shape[0] == x.shape[0] and 0 not in shape and 0 not in x.shape:
        return n(Reshape((0, *shape[1:])), x)
    if 0 in shape:  # in a reshape 0 keeps a dimension: an empty tensor is made anew
        if math.prod(x.shape):
            raise n.refuse(f"it reshapes {list(x.shape)} to {list(shape)}")
        return n.known(np.zeros(shape, x.dtype))
    return n(Reshape(shape), x)


@imports("Reshape")
def reshape(n: Call) -> Entry:
    """0 keeps a dimension, unless `allowzero`; -1 is inferred."""
    x = n.x()
    wanted = n.ints(1) if n.get(1) is not None else n.several("shape")
    if wanted is None:
        raise n.refuse("it has no shape")
    if n.integer("allowzero", 0) and 0 in wanted:
        return reshaped(n, x, tuple(0 if d == -1 else d for d in wanted))
    shape = Reshape(tuple(wanted)).resolve(x.shape)
    if 0 in shape or x.shape == shape or not {0, -1} & set(wanted):
        return reshaped(n, x, shape)
    lead = 0 if x.shape and wanted[0] == x.shape[0] else wanted[0]  # where it was computed from x's shape
    return n(Reshape((lead, *wanted[1:])), x)


@imports("Flatten")
def flatten(n: Call) -> Entry:
    """Two dimensions: those before `axis`, the others."""
    x, axis = n.x(), n.integer("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    if not 0 <= axis <= len(x.shape):
        raise n.refuse(f"axis {axis} of a tensor with {len(x.shape)} dimensions")
    return reshaped(n, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _axes(n: Call) -> tuple[int, ...] | None:
    """Axes are an attribute before opset 13, an operand since."""
    return n.ints(1) if n.opset >= 13 else n.several("axes")


@imports("Squeeze")
def squeeze(n: Call) -> Entry:
    """Dimensions of 1 left out."""
    x, axes = n.x(), _axes(n)
    rank = len(x.shape)
    gone = {n.axis(a, rank) for a in axes} if axes is not None else {i for i, d in enumerate(x.shape) if d == 1}
    if any(x.shape[a] != 1 for a in gone):
        raise n.refuse(f"axes {sorted(gone)} of {list(x.shape)} are not all 1")
    kept = tuple(d for i, d in enumerate(x.shape) if i not in gone)
    if 0 in gone and kept and 0 not in kept:  # the next dimension leads now; it may be the batch
        return n(Reshape((-1, *kept[1:])), x)
    return reshaped(n, x, kept)


@imports("Unsqueeze")
def unsqueeze(n: Call) -> Entry:
    """Dimensions of 1 put in."""
    x, axes = n.x(), _axes(n)
    if axes is None or len(axes) > 64:
        raise n.refuse("it has no axes")
    rank = len(x.shape) + len(axes)
    places = {n.axis(a, rank) for a in axes}
    if len(places) != len(axes):
        raise n.refuse(f"axes {list(axes)} name one twice")
    rest = iter(x.shape)
    shape = tuple(1 if i in places else next(rest) for i in range(rank))
    if 0 in places and x.shape and 0 not in shape:  # what led comes later now; it may be the batch
        first = min(set(range(rank)) - places)
        return n(Reshape(tuple(-1 if i == first else d for i, d in enumerate(shape))), x)
    return reshaped(n, x, shape)


@imports("Transpose")
def transpose(n: Call) -> Entry:
    """The axes in another order, reversed where none is given."""
    x = n.x()
    order = n.several("perm") or tuple(reversed(range(len(x.shape))))
    if sorted(order) != list(range(len(x.shape))):
        raise n.refuse(f"perm {list(order)} of a tensor with {len(x.shape)} dimensions")
    return x if list(order) == sorted(order) else n(Transpose(tuple(order)), x)


@imports("Shape")
def shape_of(n: Call) -> np.ndarray:
    """Known, since shapes are static."""
    return np.array(n.x().shape[slice(n.integer("start", 0), n.integer("end"))], np.int64)


@imports("Size")
def size_of(n: Call) -> np.ndarray:
    """Known, since shapes are static."""
    return np.array(math.prod(n.x().shape), np.int64)


_NUMBERS = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}


@imports("Constant")
def constant(n: Call) -> Entry:
    """A tensor, a number or a list of numbers."""
    for name, dtype in _NUMBERS.items():
        if name in n.attributes:
            value = n.attributes[name]
            if not isinstance(value, int | float | tuple):
                raise n.refuse(f"its {name} is no number")
            return n.known(value, dtype)
    value = n.attributes.get("value")
    if not isinstance(value, np.ndarray):
        kinds = ", ".join(n.attributes) or "nothing"
        raise n.refuse(f"it holds {kinds}: only dense tensors and numbers are supported")
    return Known(value, n.outputs[0], value.dtype.kind == "f")


@imports("ConstantOfShape")
def constant_of_shape(n: Call) -> Entry:
    """One number everywhere: kept as a broadcast where the array would be large."""
    shape, value = n.ints(0), n.attributes.get("value", np.zeros(1, np.float32))
    if shape is None or min(shape, default=0) < 0 or not isinstance(value, np.ndarray) or value.size != 1:
        raise n.refuse(f"it has shape {list(shape or ())[:8]} and a value that is not one number")
    return filled(n, value.reshape(-1)[0], shape)


def filled(n: Call, value: np.generic, shape: tuple[int, ...]) -> Entry:
    """An entry with one number everywhere."""
    size = math.prod(shape) * value.itemsize
    if size <= min(2**20, n.im.budget):
        n.im.afford(size, "a constant")
        return n.known(np.full(shape, value))
    return n.im.expanded(n.known(value.reshape((1,) * len(shape))), Expand(shape))


@imports("Range")
def arange(n: Call) -> np.ndarray:
    """All three known."""
    start, limit, delta = (n.array(i) for i in range(3))
    if start is None or limit is None or delta is None or start.size != 1 or limit.size != 1 or delta.size != 1:
        raise n.refuse("start, limit and delta must be one number each")
    first, end, step = (float(v.reshape(-1)[0]) for v in (start, limit, delta))
    if step == 0 or not all(map(math.isfinite, (first, end, step))):
        raise n.refuse(f"from {first} to {end} by {step} has no end")
    count = max(0, math.ceil((end - first) / step))
    n.im.afford(count * 8, f"a range of {count} numbers")
    return (start.reshape(-1)[0] + np.arange(count) * delta.reshape(-1)[0]).astype(start.dtype)


@imports("EyeLike")
def eye_like(n: Call) -> Entry:
    """Ones on a diagonal."""
    x, code = n.x(), n.integer("dtype")
    if len(x.shape) != 2:
        raise n.refuse(f"it takes a matrix, not {list(x.shape)}")
    n.im.afford(8 * math.prod(x.shape), "a unit matrix")
    return n.known(np.eye(*x.shape, k=n.integer("k", 0), dtype=dtype_name(code) if code is not None else x.dtype))


@imports("Trilu")
def trilu(n: Call) -> Entry:
    """The triangle above or below a diagonal, zeros elsewhere."""
    from ...ops.compare import Where

    x, k = n.x(), n.number(1, 0)
    if len(x.shape) < 2:
        raise n.refuse(f"it takes matrices, not {list(x.shape)}")
    n.im.afford(math.prod(x.shape[-2:]), "a triangle")
    k = max(-(2**31), min(2**31, k))
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = columns - rows >= k if n.integer("upper", 1) else columns - rows <= k
    return n(Where(), n.known(kept), x, n.scalar(0, x))
