"""Layer, group and instance norm on int8."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.norm import QGroupNorm

from ..source import Body, Writer, emits


@emits(QGroupNorm)
def group_norm(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QGroupNorm) and x is not None
    scale, bias = (writer.array(v) for v in node.inputs[1:])
    names = [writer.constant(f"{node.name}_{part}", array) for part, array in (("scale", scale), ("bias", bias))]
    multiplier, shift = op.constants()
    shape = {
        "n": x.shape[0],
        "places": math.prod(x.shape[1:-1]),
        "c": x.shape[-1],
        "groups": op.groups,
        "centred": int(op.centred),
        "x_zero": op.x.zero,
        "multiplier": multiplier,
        "shift": shift,
        "y_zero": op.out.zero,
        "low": op.low,
        "high": op.high,
        "least": f"{op.least(op.count(x.shape))}LL",
    }
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    body = f"    const nw_norm_shape s = {{{fields}}};\n    nw_group_norm(x0, y0, {names[0]}, {names[1]}, s);"
    return Body(body, ("group_norm.h",), scale.nbytes + bias.nbytes)
