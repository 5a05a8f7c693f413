"""Softmax."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.int8.softmax import LONGEST, SMALLEST, QSoftmax
from netwright.graph.ops.softmax import Softmax

from .lowering import Lowering, lowers


@lowers(Softmax)
def softmax(state: Lowering, node: Node) -> Value:
    """Along the last axis, which an image holds channels first; the result's scale is TFLite's, 1/256."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, Softmax) and source is not None
    rank = len(source.shape)
    if op.axis % rank != rank - 1:
        raise UserError(f"{node.name}: int8 softmax is along the last axis only, not {op.axis}: transpose first")
    if source.shape[-1] > LONGEST:
        raise UserError(f"{node.name}: int8 softmax is over at most {LONGEST} elements, not {source.shape[-1]}")
    x = state.first(state.x(node), rank)
    assert x.type.quant is not None
    if x.type.quant.scale < SMALLEST:
        raise UserError(f"{node.name}: the range of its input is too narrow for int8 softmax: it is all but constant")
    return state.last(state.b(QSoftmax(x.type.quant), x, name=node.name), rank)
