"""Reductions over axes, the largest and smallest, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...op import Op
from ...ops.binary import Add, Mul, Sub
from ...ops.index import TopK
from ...ops.quantise import Cast
from ...ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from ...ops.shape import Pad
from ...ops.unary import Abs, Exp, Log, Neg, Sqrt
from ...types import FLOATS
from .entry import Entry
from .importer import Call, imports
from .move import picked, sliced
from .shape import filled, reshaped

_KINDS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
)  # fmt: skip


@imports(*_KINDS)
def reduce(n: Call) -> Entry:
    """Axes are an attribute before opset 18 (13 for sums), an operand since; none means all, or with a flag no axis."""
    x, kind = n.x(), n.op_type
    rank = len(x.shape)
    axes = n.ints(1) if n.get(1) is not None else n.several("axes")
    if not axes and n.integer("noop_with_empty_axes", 0):
        axes = ()
    else:
        axes = tuple(sorted({n.axis(a, rank) for a in axes or range(rank)}))
    keep = bool(n.integer("keepdims", 1))
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        return _of_nothing(n, x, axes, keep)
    if kind == "ReduceL1":
        x = _absolute(n, x)
    elif kind in ("ReduceL2", "ReduceSumSquare"):
        x = n(Mul(), x, x)
    if kind == "ReduceLogSumExp":
        return _log_sum_exp(n, x, axes, keep)
    if kind == "ReduceProd":
        y = x
        for axis in axes:
            y = _product(n, y, axis)
        return y if keep else reshaped(n, y, tuple(d for i, d in enumerate(y.shape) if i not in axes))
    y = _reduced(n, x, axes, keep)
    if kind == "ReduceL2":
        return _float(n, y, lambda v: n(Sqrt(), v))
    return _float(n, y, lambda v: n(Log(), v)) if kind == "ReduceLogSum" else y


def _absolute(n: Call, x: Entry) -> Entry:
    from ...ops.binary import Maximum

    return n(Abs(), x) if x.dtype in FLOATS else n(Maximum(), x, n(Neg(), x))


def _float(n: Call, x: Entry, function: Callable[[Entry], Entry]) -> Entry:
    """A function of reals on integers too, cut towards zero."""
    return function(x) if x.dtype in FLOATS else n(Cast(x.dtype), function(n(Cast("float64"), x)))


def _reduced(n: Call, x: Entry, axes: tuple[int, ...], keep: bool) -> Entry:
    if not axes:
        return x
    if n.op_type == "ReduceMean":
        if x.dtype in FLOATS:
            return n(ReduceMean(axes, keep), x)
        return n(Cast(x.dtype), n(ReduceMean(axes, keep), n(Cast("float64"), x)))
    if n.op_type in ("ReduceMax", "ReduceMin"):
        op = ReduceMax(axes, keep) if n.op_type == "ReduceMax" else ReduceMin(axes, keep)
        return n(Cast("bool"), n(op, n(Cast("uint8"), x))) if x.dtype == "bool" else n(op, x)
    return n(ReduceSum(axes, keep), x)


def _of_nothing(n: Call, x: Entry, axes: tuple[int, ...], keep: bool) -> Entry:
    """What a reduction of no elements is defined to be."""
    low, high = (False, True) if x.dtype == "bool" else (-np.inf, np.inf)
    if x.dtype not in FLOATS and x.dtype != "bool":
        low, high = np.iinfo(x.dtype).min, np.iinfo(x.dtype).max
    value = {"ReduceProd": 1, "ReduceMax": low, "ReduceMin": high, "ReduceLogSum": -np.inf, "ReduceLogSumExp": -np.inf}
    if n.op_type == "ReduceMean":
        raise n.refuse("the mean of no elements is not a number")
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape) if keep or i not in axes)
    return filled(n, np.dtype(x.dtype).type(value.get(n.op_type, 0)), shape)


def _log_sum_exp(n: Call, x: Entry, axes: tuple[int, ...], keep: bool) -> Entry:
    """Shifted by the largest, so that nothing overflows."""
    if not axes:
        return x
    best = n(ReduceMax(axes, True), x)
    total = n(Log(), n(ReduceSum(axes, True), n(Exp(), n(Sub(), x, best))))
    y = n(Add(), total, best)
    return y if keep else reshaped(n, y, tuple(d for i, d in enumerate(y.shape) if i not in axes))


def _product(n: Call, x: Entry, axis: int) -> Entry:
    """Halved again and again: the first half times the second, an odd last element times 1."""
    while x.shape[axis] > 1:
        size = x.shape[axis]
        if size % 2:
            pads = [0] * 2 * len(x.shape)
            pads[len(x.shape) + axis] = 1
            x = n(Pad(tuple(pads), "constant", 1.0), x)
        half = (size + 1) // 2
        x = n(Mul(), sliced(n, x, axis, 0, half), sliced(n, x, axis, half, 2 * half))
    return x


@imports("ArgMax", "ArgMin")
def arg_extreme(n: Call) -> Entry:
    """The first of equals, or by counting from the end the last."""
    x = n.x()
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    if n.op_type == "ArgMin":
        x = n(Neg(), x if x.dtype in FLOATS else n(Cast("int64"), x))
    last = n.integer("select_last_index", 0)
    if last:
        x = picked(n, x, axis, n.arange(x.shape[axis])[::-1])
    found = n(ArgMax(axis, bool(n.integer("keepdims", 1))), x)
    return n(Sub(), n.scalar(x.shape[axis] - 1, found), found) if last else found


@imports("TopK")
def top_k(n: Call) -> tuple[Entry, ...]:
    """The smallest are the largest of the negatives."""
    x = n.x()
    k = n.integer("k") if n.opset < 10 else n.number(1)
    axis = n.axis(n.integer("axis", -1), len(x.shape))
    if k is None or not 0 < k <= x.shape[axis]:
        raise n.refuse(f"k is {k}, the axis has {x.shape[axis]}")
    if n.integer("largest", 1):
        return n(TopK(k, axis), x)  # type: ignore[no-any-return]
    wide = x if x.dtype in FLOATS else n(Cast("int64"), x)
    values, where = n(TopK(k, axis), n(Neg(), wide))
    values = n(Neg(), values)
    return (values if x.dtype == values.dtype else n(Cast(x.dtype), values)), where


@imports("CumSum", "CumProd")
def running(n: Call) -> Entry:
    """By doubling: after step k each element has met the 2^k before it (Hillis and Steele 1986)."""
    x = n.x()
    axis = n.axis(n.number(1, 0), len(x.shape))
    op: Op = Add() if n.op_type == "CumSum" else Mul()
    neutral = 0.0 if n.op_type == "CumSum" else 1.0
    back, exclusive = bool(n.integer("reverse", 0)), bool(n.integer("exclusive", 0))
    if exclusive:
        x = _moved(n, x, axis, 1, back, neutral)
    step = 1
    while step < x.shape[axis]:
        x = n(op, x, _moved(n, x, axis, step, back, neutral))
        step *= 2
    return x


def _moved(n: Call, x: Entry, axis: int, by: int, back: bool, fill: float) -> Entry:
    """Every element `by` places on along an axis, or back."""
    size, rank = x.shape[axis], len(x.shape)
    if size == 0:
        return x
    pads = [0] * 2 * rank
    pads[rank + axis if back else axis] = min(by, size)
    kept = sliced(n, x, axis, min(by, size), size) if back else sliced(n, x, axis, 0, max(0, size - by))
    return n(Pad(tuple(pads), "constant", fill), kept)
