"""Sums, products, changes of scale, tables. Operands broadcast by strides of zero."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.elementwise import QAdd, QFlip, QLookup, QMul, QPrelu, QRequantise, QSub

from ..choice import SUMS_BYTES, is_plain_sum
from ..source import CTYPES, Body, Writer, emits

_HEADER = ("elementwise.h",)


def strides(shape: tuple[int, ...], out: tuple[int, ...]) -> list[int]:
    """Element strides of an operand over the result's dimensions; 0 where it is broadcast."""
    padded = (1,) * (len(out) - len(shape)) + shape
    steps, running = [], 1
    for n in reversed(padded):
        steps.append(0 if n == 1 else running)
        running *= n
    return list(reversed(steps))


def loops(out: tuple[int, ...], statement: str) -> str:
    """Nested loops over the dimensions that are not 1; `statement` may use i0, i1, ..."""
    lines, depth = [], 1
    for axis, n in enumerate(out):
        if n != 1:
            lines.append("    " * depth + f"for (int32_t i{axis} = 0; i{axis} < {n}; i{axis}++)")
            depth += 1
    return "\n".join((*lines, "    " * depth + statement))


def index(steps: list[int], out: tuple[int, ...]) -> str:
    """The flat index that `steps` give over loop variables."""
    terms = [f"i{a} * {s}" if s != 1 else f"i{a}" for a, s in enumerate(steps) if s and out[a] != 1]
    return " + ".join(terms) or "0"


@emits(QAdd, QSub, QMul, QPrelu)
def binary(writer: Writer, node: Node) -> Body:
    op, out = node.op, node.output.shape
    assert isinstance(op, (QAdd, QSub, QMul, QPrelu))
    operands, size, arena = [], 0, 0
    for value in node.inputs:
        assert value is not None
        if value in writer.graph.param_of:
            array = writer.array(value)
            operands.append(writer.constant(f"{node.name}_operand", array))
            size += array.nbytes
        else:
            operands.append(f"x{arena}")
            arena += 1
    if isinstance(op, QAdd) and is_plain_sum(node):
        return _sums(op, node.output.type.size, operands, size)
    shapes = [v.shape for v in node.inputs if v is not None]
    if isinstance(op, QMul):
        first, second, result = (1, 0), (1, 0), op.constants()
    elif isinstance(op, QPrelu):
        first, result = op.constants()
        second = (1, 0)
    else:
        first, second, result = op.constants()
    x, y, z = (f"(nw_operand){{{q.zero}, {m}, {s}}}" for q, (m, s) in ((op.x, first), (op.y, second), (op.out, result)))
    same = shapes[0] == shapes[1]
    places = ["i", "i"] if same else [index(strides(s, out), out) for s in shapes]
    a, b = (f"{name}[{place}]" for name, place in zip(operands, places))
    if isinstance(op, QPrelu):
        call = f"nw_prelu({a}, {b}, {x}, {y}, {z}, {op.low}, {op.high})"
    elif isinstance(op, QMul):
        call = f"nw_product({a}, {b}, {x}, {y}, {z}, {op.low}, {op.high})"
    else:
        call = f"nw_sum({a}, {b}, {x}, {y}, {z}, {op.sign}, {op.low}, {op.high})"
    if same:
        text = f"    for (int32_t i = 0; i < {math.prod(out)}; i++)\n        y0[i] = {call};"
    else:
        text = loops(out, f"y0[{index(strides(out, out), out)}] = {call};")
    return Body(text, _HEADER, size)


def _sums(op: QAdd, n: int, operands: list[str], size: int) -> Body:
    """The kernel that additions share; the operand with the larger scale is its first."""
    sides = list(zip((op.x, op.y), op.constants()[:2], operands, strict=True))
    if sides[0][1] != (1 << 30, 0):
        sides.reverse()
    (first, _, x), (second, (multiplier, shift), other) = sides
    scale = f"{{{op.out.zero}, {', '.join(map(str, op.constants()[2]))}}}"
    fields = f"{n}, {first.zero}, {second.zero}, {multiplier}, {-shift}, {scale}, {op.low}, {op.high}"
    shape = f"    static const nw_sums_shape s = {{{fields}}};"
    return Body(f"{shape}\n    nw_sums({x}, {other}, y0, &s);", _HEADER, size + SUMS_BYTES)


@emits(QRequantise)
def requantise(writer: Writer, node: Node) -> Body:
    op = node.op
    assert isinstance(op, QRequantise)
    multiplier, shift = op.constants()
    out = f"(nw_operand){{{op.out.zero}, {multiplier}, {shift}}}"
    call = f"nw_requantise(x0[i], {op.x.zero}, {out}, {integer(op.low)}, {integer(op.high)})"
    return Body(_each(node, f"({CTYPES[op.dtype]}){call}"), _HEADER)


def integer(value: int) -> str:
    """An int32 as C has it; its smallest is no literal."""
    return "INT32_MIN" if value == -(1 << 31) else str(value)


def _each(node: Node, expression: str) -> str:
    """A loop that sets every y0[i]."""
    return f"    for (int32_t i = 0; i < {node.output.type.size}; i++)\n        y0[i] = {expression};"


@emits(QFlip)
def flip(writer: Writer, node: Node) -> Body:
    return Body(_each(node, f"({CTYPES[node.output.dtype]})(x0[i] ^ 0x80)"), ("base.h",))


@emits(QLookup)
def lookup(writer: Writer, node: Node) -> Body:
    table = writer.constant(f"{node.name}_table", writer.array(node.inputs[1]))
    return Body(f"    nw_lookup(x0, y0, {node.output.type.size}, {table});", _HEADER, 256)
