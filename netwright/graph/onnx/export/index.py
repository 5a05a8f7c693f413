"""Reading and adding by index; the k largest."""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.index import Gather, GatherElements, ScatterAdd, ScatterElements, TopK
from ...types import DTYPES
from .exporter import Export, exports


@exports(Gather, GatherElements)
def gather(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, (Gather, GatherElements))
    return ex(type(node.op).__name__, ex.x(node), ex.x(node, 1), axis=node.op.axis)


@exports(ScatterAdd)
def scatter_add(ex: Export, node: Node) -> str:
    """The index of each slice, repeated for its elements."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, ScatterAdd) and x is not None
    axis = op.axis % len(x.shape)
    column = ex("Reshape", ex.x(node, 1), ex.ints(*(n if i == axis else 1 for i, n in enumerate(x.shape))))
    index = ex("Expand", column, ex.ints(*x.shape))
    return ex("ScatterElements", _zeros(ex, node), index, ex.x(node), axis=axis, reduction="add")


@exports(ScatterElements)
def scatter_elements(ex: Export, node: Node) -> str:
    """Added to zeros."""
    assert isinstance(node.op, ScatterElements)
    return ex("ScatterElements", _zeros(ex, node), ex.x(node, 1), ex.x(node), axis=node.op.axis, reduction="add")


@exports(TopK)
def top_k(ex: Export, node: Node) -> tuple[str, ...]:
    """The same op."""
    assert isinstance(node.op, TopK)
    return ex.many("TopK", ex.x(node), ex.ints(node.op.k), outputs=2, axis=node.op.axis, largest=1, sorted=1)


def _zeros(ex: Export, node: Node) -> str:
    zero = ex.onnx.numpy_helper.from_array(np.zeros(1, DTYPES[node.output.dtype]))
    return ex("ConstantOfShape", ex.ints(*node.output.shape), value=zero)
