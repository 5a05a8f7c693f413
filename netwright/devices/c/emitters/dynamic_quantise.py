"""Quantising by the activations' own range while the network runs."""

from __future__ import annotations

from netwright.graph import Node
from netwright.graph.ops.dynamic_quantise import DynamicQuantise

from ..source import Body, Writer, emits


@emits(DynamicQuantise)
def dynamic_quantise(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, DynamicQuantise) and x is not None
    n = x.shape[0]
    each = x.type.size // n
    kernel = "nw_quantise_symmetric" if op.symmetric else "nw_quantise_asymmetric"
    return Body(
        f"    for (int32_t n = 0; n < {n}; n++)\n        {kernel}(x0 + n * {each}, y0 + n * {each}, y1 + n, {each});",
        ("dynamic_quantise.h",),
    )
