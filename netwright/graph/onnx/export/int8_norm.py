"""Norms on int8, as reals."""

from __future__ import annotations

import math

import numpy as np

from ...graph import Node
from ...ops.int8.norm import DROPPED, QGroupNorm
from .elementwise import cast
from .exporter import Export, exports
from .quantise import finish, to_reals


@exports(QGroupNorm)
def q_group_norm(ex: Export, node: Node) -> str:
    """Mean, variance, scale and shift of reals."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QGroupNorm) and x is not None
    n, c = x.shape[0], x.shape[-1]
    grouped = np.array([n, math.prod(x.shape[1:-1]), op.groups, c // op.groups], np.int64)
    real = ex("Reshape", to_reals(ex, ex.x(node), op.x), ex.constant(grouped))
    apart = ex("Sub", real, _mean(ex, real)) if op.centred else real
    power = ex("Add", _mean(ex, ex("Mul", apart, apart)), ex.constant(np.float32(op.epsilon)))
    normal = ex("Reshape", ex("Div", apart, ex("Sqrt", power)), ex.constant(np.array(x.shape, np.int64)))
    factor = ex("Mul", cast(ex, ex.x(node, 1), "float32"), ex.constant(np.float32(op.step)))
    offset = ex("Mul", cast(ex, ex.x(node, 2), "float32"), ex.constant(np.float32(op.step / (1 << DROPPED))))
    return finish(ex, ex("Add", ex("Mul", normal, factor), offset), op.out, op.low, op.high)


def _mean(ex: Export, x: str) -> str:
    """Over places and channels; the axes are an attribute or, later, an input."""
    if ex.opset >= 18:
        return ex("ReduceMean", x, ex.constant(np.array([1, 3], np.int64)), keepdims=1)
    return ex("ReduceMean", x, axes=(1, 3), keepdims=1)
