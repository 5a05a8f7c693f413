"""Reductions over axes, softmax, the place of the largest."""

from __future__ import annotations

import numpy as np

from ...op import Op
from ...ops.int8.elementwise import QRelabel
from ...ops.int8.reduce import QArgMax, QExtreme, QMean, QSum
from ...ops.int8.softmax import SOFTMAX_QUANTS, QSoftmax
from ...ops.quantise import Cast
from ...ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from ...ops.softmax import LogSoftmax, Softmax
from ..importer import Import, imports
from ..model import Operator

_FLOAT = {"MEAN": ReduceMean, "SUM": ReduceSum, "REDUCE_MAX": ReduceMax, "REDUCE_MIN": ReduceMin}


@imports("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
def reduce(imp: Import, op: Operator) -> None:
    """Axes are a constant; the mean over space of a channels-first image needs no turning."""
    x, result = imp.tensor(op, 0), imp.result(op)
    rank = len(imp.shape_of(x.index))
    axes = tuple(sorted({a + rank if a < 0 else a for a in imp.ints(op, 1)}))
    if any(not 0 <= a < rank for a in axes):
        imp.refuse(op, f"axes {axes} of a tensor of rank {rank}")
    keep, name = bool(op.options["keep_dims"]), imp.name(op)
    if imp.integer(x):
        imp.need_int8(op, result)
        given, out = imp.quant(op, x), imp.quant(op, result)
        q: Op
        if op.code in ("REDUCE_MAX", "REDUCE_MIN"):
            y = imp.b(QExtreme(axes, keep, op.code == "REDUCE_MAX"), imp.value(op, 0), name=name)
            y = y if y.type.quant == out else imp.b(QRelabel(out), y, name=f"{name}.scale")
        else:
            q = (QMean if op.code == "MEAN" else QSum)(axes, keep, given, out)
            y = imp.b(q, imp.value(op, 0), name=name)
        imp.put(op, y)
        return
    if imp.is_first(op, 0) and axes == (1, 2):
        y = imp.b(_FLOAT[op.code]((2, 3), keep), imp.first(op, 0), name=name)
        (imp.put_first if keep else imp.put)(op, y)
        return
    imp.put(op, imp.b(_FLOAT[op.code](axes, keep), imp.value(op, 0), name=name))


@imports("SOFTMAX", "LOG_SOFTMAX")
def softmax(imp: Import, op: Operator) -> None:
    """Along the last axis."""
    x, result = imp.tensor(op, 0), imp.result(op)
    name = imp.name(op)
    if imp.integer(x):
        if op.code == "LOG_SOFTMAX":
            imp.refuse(op, "it has no integer form here")
        dtype = "int16" if result.dtype == "int16" else "int8"
        out, fixed = imp.quant(op, result), SOFTMAX_QUANTS[dtype]
        if out.zero != fixed.zero or abs(out.scale - fixed.scale) > 0.001 * fixed.scale:
            imp.refuse(op, f"its result has {tuple(out)}, TFLite's kernels give {tuple(fixed)}")
        y = imp.b(QSoftmax(imp.quant(op, x), float(op.options["beta"]), dtype), imp.value(op, 0), name=name)
        imp.put(op, y if out == fixed else imp.b(QRelabel(out), y, name=f"{name}.scale"))
        return
    if op.code == "LOG_SOFTMAX":
        imp.put(op, imp.b(LogSoftmax(-1), imp.value(op, 0), name=name))
        return
    value, beta = imp.value(op, 0), float(op.options["beta"])
    if beta != 1.0:
        from ...ops.binary import Mul

        value = imp.b(Mul(), value, imp.b.constant(np.float32(beta)), name=f"{name}.beta")
    imp.put(op, imp.b(Softmax(-1), value, name=name))


@imports("ARG_MAX")
def arg_max(imp: Import, op: Operator) -> None:
    """The first of equals, as int32 or int64."""
    x = imp.tensor(op, 0)
    (axis,) = imp.ints(op, 1, 1)
    wanted = imp.wanted(op, "output_type", imp.result(op).dtype)
    kind: Op = QArgMax(axis) if imp.integer(x) else ArgMax(axis)
    y = imp.b(kind, imp.value(op, 0), name=imp.name(op))
    imp.put(op, y if y.dtype == wanted else imp.b(Cast(wanted), y, name=f"{imp.name(op)}.cast"))
