"""Ops that only move elements: transpose, concat, split, slice, pad, gather of constant rows."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.index import Gather
from netwright.graph.ops.shape import Concat, Pad, Slice, Split, Transpose

from ..source import Body, Writer, emits
from .elementwise import index, loops, strides


def _plain(shape: tuple[int, ...]) -> list[int]:
    """Row-major element strides, also of dimensions of 1."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


@emits(Transpose)
def transpose(writer: Writer, node: Node) -> Body:
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, Transpose) and x is not None
    steps = [_plain(x.shape)[axis] for axis in op.permutation]
    return Body(loops(out, f"y0[{index(strides(out, out), out)}] = x0[{index(steps, out)}];"))


@emits(Concat)
def concat(writer: Writer, node: Node) -> Body:
    op, out = node.op, node.output.shape
    assert isinstance(op, Concat)
    axis = op.axis % len(out)
    rows, row = math.prod(out[:axis]), math.prod(out[axis:])
    lines, start = [], 0
    for i, value in enumerate(node.inputs):
        assert value is not None
        size = math.prod(value.shape[axis:])
        lines.append(f"        __builtin_memcpy(y0 + r * {row} + {start}, x{i} + r * {size}, {size});")
        start += size
    return Body(f"    for (int32_t r = 0; r < {rows}; r++) {{\n" + "\n".join(lines) + "\n    }")


@emits(Split)
def split(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Split) and x is not None
    axis = op.axis % len(x.shape)
    rows, row = math.prod(x.shape[:axis]), math.prod(x.shape[axis:])
    lines, start = [], 0
    for i, value in enumerate(node.outputs):
        size = math.prod(value.shape[axis:])
        lines.append(f"        __builtin_memcpy(y{i} + r * {size}, x0 + r * {row} + {start}, {size});")
        start += size
    return Body(f"    for (int32_t r = 0; r < {rows}; r++) {{\n" + "\n".join(lines) + "\n    }")


@emits(Slice)
def cut(writer: Writer, node: Node) -> Body:
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, Slice) and x is not None
    plain = _plain(x.shape)
    start = sum(s * p for s, p in zip(op.starts, plain))
    steps = [p * s for p, s in zip(plain, op.steps or (1,) * len(out))]
    return Body(loops(out, f"y0[{index(strides(out, out), out)}] = x0[{start} + {index(steps, out)}];"))


@emits(Pad)
def pad(writer: Writer, node: Node) -> Body:
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, Pad) and x is not None
    from netwright.errors import UserError

    if op.mode != "constant":
        raise UserError(f"{node.name}: only constant padding can be compiled, not {op.mode}")
    plain = _plain(out)
    start = sum(p * s for p, s in zip(op.pads, plain))
    copy = loops(x.shape, f"y0[{start} + {index(plain, x.shape)}] = x0[{index(strides(x.shape, x.shape), x.shape)}];")
    return Body(f"    __builtin_memset(y0, {int(op.value)}, {node.output.type.bytes});\n{copy}")


@emits(Gather)
def gather(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Gather) and x is not None
    rows = writer.array(node.inputs[1])
    axis = op.axis % len(x.shape)
    outer, n, row = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    table = writer.constant(f"{node.name}_rows", (rows.reshape(-1) % n).astype("int32"))
    return Body(
        f"    for (int32_t o = 0; o < {outer}; o++)\n        for (int32_t r = 0; r < {rows.size}; r++)\n"
        f"            __builtin_memcpy(y0 + (o * {rows.size} + r) * {row}, "
        f"x0 + (o * {n} + {table}[r]) * {row}, {row});",
        (),
        rows.size * 4,
    )
