"""Reductions of int8, softmax, the place of the largest."""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.int8.reduce import QArgMax, QExtreme, QMean, QSum, _QReduce
from ...ops.int8.softmax import SOFTMAX_QUANTS, QSoftmax
from .elementwise import cast
from .exporter import Export, exports
from .quantise import finish, to_integers, to_reals


@exports(QMean, QSum)
def q_mean(ex: Export, node: Node) -> str:
    """ReduceMean or ReduceSum of reals."""
    op = node.op
    assert isinstance(op, QMean)
    real = to_reals(ex, ex.x(node), op.x)
    kind = "ReduceSum" if isinstance(op, QSum) else "ReduceMean"
    return finish(ex, _reduced(ex, kind, real, op, 13 if isinstance(op, QSum) else 18), op.out, op.low, op.high)


@exports(QExtreme)
def q_extreme(ex: Export, node: Node) -> str:
    """On the integers themselves; exact."""
    op = node.op
    assert isinstance(op, QExtreme)
    return _reduced(ex, "ReduceMax" if op.largest else "ReduceMin", ex.x(node), op, 18)


def _reduced(ex: Export, kind: str, x: str, op: _QReduce, since: int) -> str:
    """A reduction; its axes are an input from opset `since` on."""
    if ex.opset >= since:
        return ex(kind, x, ex.ints(*op.axes), keepdims=int(op.keepdims))
    return ex(kind, x, axes=op.axes, keepdims=int(op.keepdims))


@exports(QSoftmax)
def q_softmax(ex: Export, node: Node) -> str:
    """Softmax of reals, to the scale of 1/256 that TFLite fixes."""
    op = node.op
    assert isinstance(op, QSoftmax)
    real = to_reals(ex, ex.x(node), op.x)
    if op.beta != 1.0:
        real = ex("Mul", real, ex.constant(np.float32(op.beta)))
    return to_integers(ex, ex("Softmax", real, axis=-1), SOFTMAX_QUANTS[op.dtype], op.dtype)


@exports(QArgMax)
def q_arg_max(ex: Export, node: Node) -> str:
    """On the integers themselves; exact. The first of equals, as is ONNX's default."""
    op = node.op
    assert isinstance(op, QArgMax)
    wide = cast(ex, ex.x(node), "int32")
    return cast(ex, ex("ArgMax", wide, axis=op.axis, keepdims=int(op.keepdims)), "int32")
