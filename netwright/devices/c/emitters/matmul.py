"""Matrix product of two int8 activations."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.matmul import QMatmul

from ..source import Body, Writer, emits
from .elementwise import index, loops, strides


@emits(QMatmul)
def matmul(writer: Writer, node: Node) -> Body:
    op, out = node.op, node.output.shape
    assert isinstance(op, QMatmul)
    x, y = node.inputs[0], node.inputs[1]
    assert x is not None and y is not None
    operands, size = writer.operands(node)
    m, k = x.shape[-2:]
    n = out[-1]
    multiplier, shift = op.constants()
    fields = (
        f".m = {m}, .k = {k}, .n = {n}, .x_zero = {op.x.zero}, .y_zero = {op.y.zero}, .z_zero = {op.out.zero}, "
        f".multiplier = {multiplier}, .shift = {shift}"
    )
    batch = out[:-2]
    places = []
    for name, shape, block in ((operands[0], x.shape, m * k), (operands[1], y.shape, k * n), ("y0", out, m * n)):
        steps = [s * block for s in strides(shape[:-2], batch)]
        places.append(f"{name} + {index(steps, batch)}" if math.prod(batch) > 1 else name)
    call = f"nw_matmul({', '.join(places)}, s);"
    return Body(f"    const nw_matmul_shape s = {{{fields}}};\n{loops(batch, call)}", ("matmul.h",), size)
