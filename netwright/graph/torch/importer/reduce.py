"""Reductions, extremes and their places, running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Value
from ...ops.binary import Add, Maximum, Minimum, Mul, Sub
from ...ops.common import scalar
from ...ops.index import TopK
from ...ops.linear import Matmul
from ...ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from ...ops.shape import Transpose
from ...ops.unary import Exp, Log, LogicalNot, Neg, Sqrt
from ...types import DTYPES
from .importer import Import, imports


def axes_of(dim: Any) -> tuple[int, ...]:
    """Axes from torch's number, list or None; empty means all."""
    if dim is None:
        return ()
    return tuple(dim) if isinstance(dim, (list, tuple)) else (dim,)


@imports("sum", "mean")
def total(im: Import, a: Any) -> Value:
    """In the result's dtype."""
    op = ReduceSum if im.op == "sum" else ReduceMean
    return im.b(op(axes_of(getattr(a, "dim", None)), getattr(a, "keepdim", False)), im.value(a.self, im.dtype))


@imports("amax", "amin")
def extreme(im: Import, a: Any) -> Value:
    """Over several axes."""
    return im.b((ReduceMax if im.op == "amax" else ReduceMin)(axes_of(a.dim), a.keepdim), im.value(a.self))


@imports("max", "min")
def extreme_and_place(im: Import, a: Any) -> Any:
    """`max(x)`, `max(x, y)`, or the largest along an axis and where it is."""
    largest = im.op == "max"
    if hasattr(a, "other"):
        return im.b(Maximum() if largest else Minimum(), *im.operands(a.self, a.other))
    x = im.value(a.self)
    reduction = ReduceMax if largest else ReduceMin
    if not hasattr(a, "dim"):
        return im.b(reduction((), False), x)
    y = im.b(reduction((a.dim,), a.keepdim), x)
    if not any(u.args[1] == 1 for u in im.readers()):
        return y, None
    return y, im.b(ArgMax(a.dim, a.keepdim), x if largest else im.b(Neg(), x))


@imports("argmax", "argmin")
def place(im: Import, a: Any) -> Value:
    """The first of equals; of all elements where no axis is named."""
    x = im.value(a.self)
    x = x if im.op == "argmax" else im.b(Neg(), x)
    if a.dim is None:
        return im.reshape(im.b(ArgMax(0, False), im.reshape(x, (x.type.size,))), im.shape)
    return im.b(ArgMax(a.dim, a.keepdim), x)


@imports("topk", "sort")
def top_k(im: Import, a: Any) -> Any:
    """The k largest in order; the smallest are the largest of the negatives."""
    x = im.value(a.self)
    k = a.k if im.op == "topk" else x.shape[a.dim] if x.shape else 1
    largest = a.largest if im.op == "topk" else a.descending
    if largest:
        return im.b(TopK(k, a.dim), x)
    made: Any = im.b(TopK(k, a.dim), im.b(Neg(), x))
    return im.b(Neg(), made[0]), made[1]


@imports("var", "std", "var_mean", "std_mean")
def variance(im: Import, a: Any) -> Any:
    """Mean squared distance from the mean, with torch's correction."""
    b, x = im.b, im.value(a.self)
    axes, keep = axes_of(getattr(a, "dim", None)), getattr(a, "keepdim", False)
    correction = getattr(a, "correction", None)
    if correction is None:
        correction = 1 if getattr(a, "unbiased", True) else 0
    mean = b(ReduceMean(axes, True), x)
    apart = b(Sub(), x, mean)
    y = b(ReduceMean(axes, keep), b(Mul(), apart, apart))
    count = x.type.size // mean.type.size
    if correction:
        y = b(Mul(), y, scalar(b, count / (count - correction), y))
    y = b(Sqrt(), y) if im.op.startswith("std") else y
    return (y, im.reshape(mean, im.results[1].shape)) if im.op.endswith("mean") else y


@imports("any", "all")
def truth(im: Import, a: Any) -> Value:
    """Any is the largest of 0 and 1; all is not any not."""
    x = im.value(a.self, "bool")
    x = x if im.op == "any" else im.b(LogicalNot(), x)
    axes, keep = axes_of(getattr(a, "dim", getattr(a, "dims", None))), getattr(a, "keepdim", False)
    y = im.value(im.b(ReduceMax(axes, keep), im.value(x, "int32")), "bool")
    return y if im.op == "any" else im.b(LogicalNot(), y)


@imports("logsumexp")
def logsumexp(im: Import, a: Any) -> Value:
    """The largest taken out first, so that nothing overflows."""
    b, x, axes = im.b, im.value(a.self, im.dtype), axes_of(a.dim)
    largest = b(ReduceMax(axes, True), x)
    total = b(Log(), b(ReduceSum(axes, True), b(Exp(), b(Sub(), x, largest))))
    return im.reshape(b(Add(), total, largest), im.shape)


@imports("cumsum")
def running_sum(im: Import, a: Any) -> Value:
    """A product with a triangle of ones."""
    if not im.dtype.startswith("float"):
        im.refuse(f"a running sum of {im.dtype}", "cast to float32 first")
    x = im.value(a.self, im.dtype)
    rank, axis = len(x.shape), a.dim % len(x.shape)
    triangle = im.b.constant(np.triu(np.ones((x.shape[axis],) * 2, DTYPES[im.dtype])), "triangle")
    if rank == 1:
        return im.reshape(im.b(Matmul(), im.reshape(x, (1, x.shape[0])), triangle), im.shape)
    order = (*(i for i in range(rank) if i != axis), axis)
    turned = x if axis == rank - 1 else im.b(Transpose(order), x)
    y = im.b(Matmul(), turned, triangle)
    return y if axis == rank - 1 else im.b(Transpose(tuple(order.index(i) for i in range(rank))), y)
