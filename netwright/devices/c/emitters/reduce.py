"""Means over space, and the place of the largest."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.reduce import QArgMax, QMean

from ..source import Body, Writer, emits


@emits(QMean)
def mean(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMean) and x is not None
    _, h, w, c = x.shape
    multiplier, shift = op.constants(h * w)
    numbers = f"{h * w}, {c}, {op.x.zero}, {multiplier}, {shift}, {op.out.zero}, {op.low}, {op.high}"
    return Body(f"    nw_mean(x0, y0, {numbers});", ("mean.h",))


@emits(QArgMax)
def arg_max(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QArgMax) and x is not None
    axis = op.axis % len(x.shape)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    return Body(f"    nw_arg_max(x0, y0, {outer}, {n}, {inner});", ("arg_max.h",))
