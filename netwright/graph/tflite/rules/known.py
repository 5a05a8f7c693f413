"""What is computed at import: shape arithmetic and constants, with NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...types import DTYPES
from ..importer import Import, fits, folds
from ..model import Operator
from .shape import wanted_shape
from .slices import strided

Arrays = list[np.ndarray | None]


def _present(imp: Import, op: Operator, arrays: Arrays, count: int | None = None) -> list[np.ndarray]:
    """The inputs, `count` of them. Raises UserError for another number."""
    found = [a for a in arrays if a is not None]
    if count is not None and len(found) != count:
        imp.refuse(op, f"it has {len(found)} inputs, not {count}")
    return found


def _first(imp: Import, op: Operator, array: np.ndarray) -> Any:
    """The one number of an input."""
    if array.size != 1:
        imp.refuse(op, f"an input is {array.dtype}{list(array.shape)}, not one number")
    return array.reshape(-1)[0]


@folds("SHAPE")
def shape(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray:
    """A shape is known whether or not the contents are."""
    return np.array(imp.shape_of(imp.tensor(op, 0).index), DTYPES[imp.wanted(op, "to", "int32")])


@folds("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def reshape(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Another shape of a constant."""
    array = arrays[0]
    if array is None or imp.tensor(op, 0).quantised:
        return None
    wanted = wanted_shape(imp, op, array.shape)
    return array.reshape(wanted) if math.prod(wanted) == array.size else None


@folds("STRIDED_SLICE", "SLICE")
def cut(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """A block of a constant."""
    if arrays[0] is None or imp.tensor(op, 0).quantised:
        return None
    starts, ends, steps, shape = strided(imp, op, arrays[0].shape)
    block = tuple(slice(s, e if e >= 0 else None, t) for s, e, t in zip(starts, ends, steps))
    return arrays[0][block].reshape(shape)


@folds("PACK")
def pack(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Constants side by side along a new axis."""
    parts = _present(imp, op, arrays)
    return np.stack(parts, op.options["axis"]) if fits((sum(a.size for a in parts),)) else None


@folds("CONCATENATION")
def concat(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Constants joined."""
    parts = _present(imp, op, arrays)
    if imp.result(op).quantised or not fits((sum(a.size for a in parts),)):
        return None
    return np.concatenate(parts, op.options["axis"])


@folds("GATHER")
def gather(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Rows of a constant."""
    if imp.result(op).quantised or op.options["batch_dims"]:
        return None
    array, rows = _present(imp, op, arrays, 2)
    return np.take(array, rows, op.options["axis"]) if fits((rows.size, array.size)) else None


@folds("TRANSPOSE")
def transpose(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """A constant turned."""
    return arrays[0].transpose(imp.ints(op, 1)) if arrays[0] is not None and not imp.result(op).quantised else None


@folds("ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM")
def arithmetic(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Sizes and other plain numbers; quantised constants are left to the integer rules."""
    x, y = _present(imp, op, arrays, 2)
    if imp.result(op).quantised or op.options.get("activation") or not fits(np.broadcast_shapes(x.shape, y.shape)):
        return None
    integers = x.dtype.kind in "iu"
    if op.code in ("DIV", "FLOOR_DIV", "FLOOR_MOD") and integers and not y.all():
        imp.refuse(op, "division by zero")
    if op.code == "DIV":
        return np.trunc(x / y).astype(x.dtype) if integers else x / y
    functions = {
        "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "FLOOR_DIV": np.floor_divide, "FLOOR_MOD": np.mod,
        "MAXIMUM": np.maximum, "MINIMUM": np.minimum,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        return np.asarray(functions[op.code](x, y))


@folds("REDUCE_PROD", "SUM", "REDUCE_MAX", "REDUCE_MIN")
def reduce(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """The product of a shape, and the like."""
    array, _ = _present(imp, op, arrays, 2)
    if imp.result(op).quantised:
        return None
    functions = {"REDUCE_PROD": np.prod, "SUM": np.sum, "REDUCE_MAX": np.max, "REDUCE_MIN": np.min}
    chosen = imp.ints(op, 1)
    return np.asarray(functions[op.code](array, axis=chosen, keepdims=op.options["keep_dims"])).astype(array.dtype)  # type: ignore[operator]


@folds("FILL")
def fill(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """One number everywhere."""
    _, number = _present(imp, op, arrays, 2)
    shape = imp.ints(op, 0)
    return np.full(shape, _first(imp, op, number), number.dtype) if fits(shape) else None


@folds("RANGE")
def span(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """Numbers in a row."""
    start, stop, step = (_first(imp, op, a) for a in _present(imp, op, arrays, 3))
    count = (float(stop) - float(start)) / float(step) if step else math.inf
    if not math.isfinite(count):
        imp.refuse(op, f"from {start} to {stop} by {step}")
    return np.arange(start, stop, step).astype(start.dtype) if fits((max(0, math.ceil(count)),)) else None


@folds("TILE", "BROADCAST_TO")
def tile(imp: Import, op: Operator, arrays: Arrays) -> np.ndarray | None:
    """A constant repeated."""
    array, _ = _present(imp, op, arrays, 2)
    times = imp.ints(op, 1)
    if op.code == "BROADCAST_TO":
        return np.ascontiguousarray(np.broadcast_to(array, times)) if fits(times) else None
    shape = tuple(n * t for n, t in zip(array.shape, times))
    return np.tile(array, times) if len(times) == array.ndim and fits(shape) else None
