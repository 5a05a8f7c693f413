"""Two linear layers a row at a time."""

from __future__ import annotations

from netwright.graph import Node
from netwright.graph.ops.int8.feed_forward import QFeedForward

from ..source import Body, Writer, emits, scratch
from .layers import linear_arguments


@scratch(QFeedForward)
def hidden_bytes(node: Node) -> int:
    """One row of hidden features."""
    weight = node.inputs[1]
    assert weight is not None
    return weight.shape[0]


@emits(QFeedForward)
def feed_forward(writer: Writer, node: Node) -> Body:
    op, (x, *rest) = node.op, node.inputs
    assert isinstance(op, QFeedForward) and x is not None
    first, second = op.layers()
    constants, shapes, size = [], [], 0
    for part, layer, operands in (("first", first, rest[:3]), ("second", second, rest[4:])):
        names, fields, count = linear_arguments(writer, f"{node.name}_{part}", layer, 1, *operands)
        constants.append(names)
        shapes.append(fields)
        size += count
    hidden, inputs = writer.array(rest[0]).shape
    lookup = ""
    if rest[3] is not None:
        table = writer.constant(f"{node.name}_table", writer.array(rest[3]))
        lookup = f"        nw_lookup(hidden, hidden, {hidden}, {table});\n"
        size += 256
    return Body(
        f"    const nw_linear_shape first = {{{shapes[0]}}}, second = {{{shapes[1]}}};\n"
        "    int8_t *hidden = (int8_t *)scratch;\n"
        f"    for (int32_t r = 0; r < {x.shape[0]}; r++) {{\n"
        f"        nw_linear(x0 + r * {inputs}, hidden, {constants[0]}, first);\n{lookup}"
        f"        nw_linear(hidden, y0 + r * {node.output.shape[1]}, {constants[1]}, second);\n    }}",
        ("linear.h", "elementwise.h"),
        size,
    )
