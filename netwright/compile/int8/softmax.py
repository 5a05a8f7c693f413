"""Softmax."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node
from netwright.graph.ops.int8.softmax import LONGEST, SMALLEST, QSoftmax
from netwright.graph.ops.softmax import Softmax

from .layout import TO_LAST, keeps_memory
from .lowering import Lowering, lowers


@lowers(Softmax)
def softmax(state: Lowering, node: Node) -> None:
    """Along the last axis of the layout that has its axis there: channels lie last already; the result's scale is
    TFLite's, 1/256."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, Softmax) and source is not None
    rank = len(source.shape)
    axis = op.axis % rank
    if source.shape[axis] > LONGEST:
        raise UserError(f"{node.name}: int8 softmax is over at most {LONGEST} elements, not {source.shape[axis]}")
    last = rank in TO_LAST and axis == 1 and not keeps_memory(source.shape, TO_LAST[rank])
    x = state.x(node, last=last)
    swapped = tuple(rank - 1 if i == axis else axis if i == rank - 1 else i for i in range(rank))
    if not last:
        x = state.turned(x, swapped, f"{node.name}.turned")
    assert x.type.quant is not None
    if x.type.quant.scale < SMALLEST:
        raise UserError(f"{node.name}: the range of its input is too narrow for int8 softmax: it is all but constant")
    y = state.b(QSoftmax(x.type.quant), x, name=node.name)
    state.put(node.output, y if last else state.turned(y, swapped, f"{node.name}.back"), last)
