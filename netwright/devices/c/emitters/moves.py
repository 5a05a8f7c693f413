"""Ops that only move elements of any size: transpose, concat, split, slice, pad, gather."""

from __future__ import annotations

import math

import numpy as np

from netwright.graph import Node, Value
from netwright.graph.ops.index import Gather, GatherElements
from netwright.graph.ops.shape import Concat, Pad, Slice, Split, Transpose
from netwright.graph.types import DTYPES

from ..source import Body, Writer, emits, literal
from .elementwise import index, loops, strides


def plain(shape: tuple[int, ...]) -> list[int]:
    """Row-major element strides, also of dimensions of 1."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


def _bytes(value: Value, elements: int) -> int:
    return elements * DTYPES[value.dtype].itemsize


@emits(Transpose)
def transpose(writer: Writer, node: Node) -> Body:
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, Transpose) and x is not None
    (source,), size = writer.operands(node)
    steps = [plain(x.shape)[axis] for axis in op.permutation]
    text = loops(out, f"y0[{index(strides(out, out), out)}] = {source}[{index(steps, out)}];")
    return Body(text, (), size)


@emits(Concat)
def concat(writer: Writer, node: Node) -> Body:
    op, out = node.op, node.output.shape
    assert isinstance(op, Concat)
    axis = op.axis % len(out)
    rows, row = math.prod(out[:axis]), math.prod(out[axis:])
    sources, constant_bytes = writer.operands(node)
    lines, start = [], 0
    for source, value in zip(sources, node.inputs, strict=True):
        assert value is not None
        size = math.prod(value.shape[axis:])
        copied = f"y0 + r * {row} + {start}, {source} + r * {size}, {_bytes(value, size)}"
        lines.append(f"        __builtin_memcpy({copied});")
        start += size
    return Body(f"    for (int32_t r = 0; r < {rows}; r++) {{\n" + "\n".join(lines) + "\n    }", (), constant_bytes)


@emits(Split)
def split(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Split) and x is not None
    axis = op.axis % len(x.shape)
    rows, row = math.prod(x.shape[:axis]), math.prod(x.shape[axis:])
    (source,), constant_bytes = writer.operands(node)
    lines, start = [], 0
    for i, value in enumerate(node.outputs):
        size = math.prod(value.shape[axis:])
        copied = f"y{i} + r * {size}, {source} + r * {row} + {start}, {_bytes(value, size)}"
        lines.append(f"        __builtin_memcpy({copied});")
        start += size
    return Body(f"    for (int32_t r = 0; r < {rows}; r++) {{\n" + "\n".join(lines) + "\n    }", (), constant_bytes)


@emits(Slice)
def cut(writer: Writer, node: Node) -> Body:
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, Slice) and x is not None
    (source,), size = writer.operands(node)
    within = plain(x.shape)
    start = sum(s * p for s, p in zip(op.starts, within))
    steps = [p * s for p, s in zip(within, op.steps or (1,) * len(out))]
    text = loops(out, f"y0[{index(strides(out, out), out)}] = {source}[{start} + {index(steps, out)}];")
    return Body(text, (), size)


@emits(Pad)
def pad(writer: Writer, node: Node) -> Body:
    """A constant is laid down first; reflecting and repeating read through a table of rows for each grown axis."""
    op, x, out = node.op, node.inputs[0], node.output
    assert isinstance(op, Pad) and x is not None
    (source,), size = writer.operands(node)
    if op.mode != "constant":
        return _mirrored(writer, node, op, source, size)
    within = plain(out.shape)
    start = sum(p * s for p, s in zip(op.pads, within))
    steps = strides(x.shape, x.shape)
    copy = loops(x.shape, f"y0[{start} + {index(within, x.shape)}] = {source}[{index(steps, x.shape)}];")
    if op.value == 0 or DTYPES[out.dtype].itemsize == 1:
        fill = f"    __builtin_memset(y0, {int(op.value)}, {out.type.bytes});"
    else:
        number = literal(float(op.value) if out.dtype == "float32" else int(op.value))
        fill = f"    for (int32_t i = 0; i < {out.type.size}; i++)\n        y0[i] = {number};"
    return Body(f"{fill}\n{copy}", (), size)


def _mirrored(writer: Writer, node: Node, op: Pad, source: str, size: int) -> Body:
    x, out = node.inputs[0], node.output.shape
    assert x is not None
    rank, terms = len(out), []
    for axis, step in enumerate(plain(x.shape)):
        before, after = op.pads[axis], op.pads[rank + axis]
        if before or after:
            rows = np.pad(np.arange(x.shape[axis]), (before, after), mode=op.mode)  # type: ignore[call-overload]
            table = writer.constant(f"{node.name}_rows", rows.astype(np.int32))
            size += 4 * len(rows)
            terms.append(f"{table}[i{axis}] * {step}")
        elif out[axis] != 1:
            terms.append(f"i{axis} * {step}")
    text = loops(out, f"y0[{index(strides(out, out), out)}] = {source}[{' + '.join(terms) or '0'}];")
    return Body(text, (), size)


@emits(Gather)
def gather(writer: Writer, node: Node) -> Body:
    """Rows by a constant table, or by indices worked out at run time, which are kept inside the table."""
    op, x, where = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, Gather) and x is not None and where is not None
    axis = op.axis % len(x.shape)
    outer, n, row = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    if where in writer.graph.param_of:
        rows = writer.array(where)
        (source, *_), size = _first_operand(writer, node)
        table = writer.constant(f"{node.name}_rows", (rows.reshape(-1) % n).astype("int32"))
        return Body(_rows(outer, n, row, rows.size, f"{table}[r]", source, x), (), size + rows.size * 4)
    found, size = writer.operands(node)
    return Body(_rows(outer, n, row, where.type.size, f"{_inside(f'{found[1]}[r]', n)}", found[0], x), (), size)


def _first_operand(writer: Writer, node: Node) -> tuple[list[str], int]:
    """The operands of a node without its second, whose contents become a table of their own."""
    return writer.operands(Node(node.op, node.inputs[:1], node.outputs))


def _inside(place: str, n: int) -> str:
    """A run-time index: negatives count from the end; what lies outside is the nearest inside."""
    wrapped = f"({place} < 0 ? {place} + {n} : {place})"
    return f"({wrapped} < 0 ? 0 : {wrapped} >= {n} ? {n - 1} : (int32_t){wrapped})"


def _rows(outer: int, n: int, row: int, count: int, place: str, source: str, x: Value) -> str:
    return (
        f"    for (int32_t o = 0; o < {outer}; o++)\n        for (int32_t r = 0; r < {count}; r++)\n"
        f"            __builtin_memcpy(y0 + (o * {count} + r) * {row}, "
        f"{source} + (o * {n} + {place}) * {row}, {_bytes(x, row)});"
    )


@emits(GatherElements)
def gather_elements(writer: Writer, node: Node) -> Body:
    """Element by element, the place along one axis read from the index tensor."""
    op, x, out = node.op, node.inputs[0], node.output.shape
    assert isinstance(op, GatherElements) and x is not None
    axis = op.axis % len(out)
    found, size = writer.operands(node)
    flat = index(strides(out, out), out)
    rest = [0 if i == axis else step for i, step in enumerate(plain(x.shape))]
    place = _inside(f"{found[1]}[{flat}]", x.shape[axis])
    step = plain(x.shape)[axis]
    return Body(loops(out, f"y0[{flat}] = {found[0]}[{index(rest, out)} + {place} * {step}];"), (), size)
