"""Sums, means and extremes along axes."""

from __future__ import annotations

from typing import Any

from netwright.graph import Node

from .lowering import Lowering
from .registry import lowers


@lowers("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
def reduce(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    held = lowering.held(x)
    axes = op.normal_axes(len(x.shape))
    along = sorted(place for place in (lowering.axis(x, a) for a in axes) if place is not None)
    made = held.name
    if along:
        made = lowering.write.op(op.name, node.name, x=made, axes=along, keep_dims=True)
    if op.keepdims:
        order = held.order
    else:
        left = [a for a in range(len(x.shape)) if a not in axes]
        order = tuple(left.index(a) for a in held.order if a not in axes)
    lowering.bind(node.output, made, order)
