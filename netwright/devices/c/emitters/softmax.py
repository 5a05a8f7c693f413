"""Softmax."""

from __future__ import annotations

from netwright.graph import Node
from netwright.graph.ops.int8.softmax import QSoftmax

from ..source import Body, Writer, emits


@emits(QSoftmax)
def softmax(writer: Writer, node: Node) -> Body:
    op, y = node.op, node.output
    assert isinstance(op, QSoftmax)
    n = y.shape[-1]
    multiplier, shift, least = op.constants()
    bits = 16 if op.dtype == "int16" else 8
    return Body(
        f"    nw_softmax(x0, y0, {bits}, {y.type.size // n}, {n}, {multiplier}, {shift}, {least});", ("softmax.h",)
    )
