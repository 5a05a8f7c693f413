"""Element by element on float32, and on the whole numbers and truth values beside it. Operands broadcast."""

from __future__ import annotations

import math
from typing import Any

from netwright.graph import Node, Op, Value
from netwright.graph.ops import binary as b
from netwright.graph.ops import compare as c
from netwright.graph.ops import unary as u
from netwright.graph.ops.quantise import Cast
from netwright.graph.ops.shape import Expand

from ..source import CTYPES, Body, Writer, emits, literal
from .elementwise import index, loops, strides

MATH = ("float_math.h",)

_UNARY: dict[type[Op], str] = {
    u.Neg: "-{0}", u.Abs: "nw_abs({0})", u.Sign: "nw_sign({0})", u.Floor: "nw_floor({0})", u.Ceil: "nw_ceil({0})",
    u.Round: "nw_round({0})", u.Exp: "nw_exp({0})", u.Log: "nw_log({0})", u.Sqrt: "nw_sqrt({0})",
    u.Rsqrt: "nw_rsqrt({0})", u.Reciprocal: "1.0f / {0}", u.Sin: "nw_sin({0})", u.Cos: "nw_cos({0})",
    u.Tanh: "nw_tanh({0})", u.Sigmoid: "nw_sigmoid({0})", u.Softplus: "nw_softplus({0})", u.Erf: "nw_erf({0})",
    u.Relu: "{0} > 0.0f ? {0} : 0.0f", u.LogicalNot: "!{0}",
}  # fmt: skip
_SEVERAL: dict[type[Op], str] = {
    b.Add: "{0} + {1}", b.Sub: "{0} - {1}", b.Mul: "{0} * {1}", b.Div: "{0} / {1}", b.Pow: "nw_pow({0}, {1})",
    b.Maximum: "{0} > {1} ? {0} : {1}", b.Minimum: "{0} < {1} ? {0} : {1}",
    c.Equal: "{0} == {1}", c.Less: "{0} < {1}", c.LessEqual: "{0} <= {1}", c.Greater: "{0} > {1}",
    c.GreaterEqual: "{0} >= {1}", c.And: "{0} && {1}", c.Or: "{0} || {1}", c.Where: "{0} ? {1} : {2}",
    Expand: "{0}",
}  # fmt: skip


def elementwise(writer: Writer, node: Node, expression: str, headers: tuple[str, ...] = MATH) -> Body:
    """A loop over the result; `expression` has {0}, {1}, ... for the operands' elements."""
    names, size = writer.operands(node)
    values = [v for v in node.inputs if v is not None]
    out = node.output.shape
    if all(v.shape == out or v.type.size == 1 for v in values):
        places = ["i" if v.type.size == math.prod(out) else "0" for v in values]
        elements = [f"{name}[{place}]" for name, place in zip(names, places)]
        text = f"    for (int32_t i = 0; i < {math.prod(out)}; i++)\n        y0[i] = {expression.format(*elements)};"
    else:
        places = [index(strides(v.shape, out), out) for v in values]
        elements = [f"{name}[{place}]" for name, place in zip(names, places)]
        text = loops(out, f"y0[{index(strides(out, out), out)}] = {expression.format(*elements)};")
    return Body(text, headers, size)


@emits(*_UNARY)
def unary(writer: Writer, node: Node) -> Body:
    return elementwise(writer, node, _UNARY[type(node.op)])


@emits(*_SEVERAL)
def several(writer: Writer, node: Node) -> Body:
    return elementwise(writer, node, _SEVERAL[type(node.op)], MATH if isinstance(node.op, b.Pow) else ())


@emits(u.LeakyRelu, u.HardSigmoid, u.Clip, u.Spike)
def with_numbers(writer: Writer, node: Node) -> Body:
    """Ops whose attributes are numbers."""
    op: Any = node.op
    if isinstance(op, u.LeakyRelu):
        return elementwise(writer, node, f"{{0}} > 0.0f ? {{0}} : {{0}} * {literal(float(op.alpha))}")
    if isinstance(op, u.Spike):
        return elementwise(writer, node, "{0} >= 0.0f ? 1.0f : 0.0f")
    if isinstance(op, u.HardSigmoid):
        line = f"{{0}} * {literal(float(op.alpha))} + {literal(float(op.beta))}"
        text = f"{line} < 0.0f ? 0.0f : {line} > 1.0f ? 1.0f : {line}"
        return elementwise(writer, node, text)
    floating = node.output.dtype == "float32"
    low, high = (literal(n if floating else math.trunc(n)) if math.isfinite(n) else "" for n in (op.low, op.high))
    text = f"{{0}} < {low} ? {low} : " if low else ""
    text += f"{{0}} > {high} ? {high} : " if high else ""
    return elementwise(writer, node, text + "{0}")


@emits(Cast)
def cast(writer: Writer, node: Node) -> Body:
    """Floats lose their fraction on the way to whole numbers; truth is what is not 0."""
    made: Value = node.output
    return elementwise(writer, node, "{0} != 0" if made.dtype == "bool" else f"({CTYPES[made.dtype]}){{0}}", ())
