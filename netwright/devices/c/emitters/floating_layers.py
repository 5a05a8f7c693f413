"""Convolutions, matrix products and batch norm on float32."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netwright.graph import Node, Value
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.linear import Einsum, Linear, Matmul
from netwright.graph.ops.norm import BatchNorm

from ..source import Body, Writer, emits
from .elementwise import index, loops, strides


def planar(values: tuple[int, ...], fill: int) -> tuple[int, int]:
    """Sizes of one or two dimensions as two."""
    first, second = (fill, *values)[-2:]
    return first, second


def fields(shape: dict[str, int]) -> str:
    """A struct's initialiser."""
    return ", ".join(f".{name} = {value}" for name, value in shape.items())


@emits(Conv, ConvTranspose)
def conv(writer: Writer, node: Node) -> Body:
    op: Any = node.op
    x, w, y = node.inputs[0], node.inputs[1], node.output
    assert x is not None and w is not None
    rank = len(x.shape) - 2
    stride, padding, dilation = op.geometry(rank)[:3]
    sizes = {
        "h, w": planar(x.shape[2:], 1), "oh, ow": planar(y.shape[2:], 1), "kh, kw": planar(w.shape[2:], 1),
        "sh, sw": planar(stride, 1), "dh, dw": planar(dilation, 1), "top, left": planar(padding[:rank], 0),
    }  # fmt: skip
    shape = {"n": x.shape[0], "c": x.shape[1], "o": y.shape[1], "groups": op.groups}
    for names, pair in sizes.items():
        shape.update(zip(names.split(", "), pair))
    found, size = writer.operands(node)
    bias = found[2] if len(found) > 2 and found[2] else "0"
    kernel = "nw_float_conv" if isinstance(op, Conv) else "nw_float_conv_transpose"
    call = f"{kernel}({found[0]}, y0, {found[1]}, {bias}, s);"
    return Body(f"    const nw_float_conv_shape s = {{{fields(shape)}}};\n    {call}", ("float_conv.h",), size)


@emits(Linear)
def linear(writer: Writer, node: Node) -> Body:
    x, w = node.inputs[0], node.inputs[1]
    assert x is not None and w is not None
    found, size = writer.operands(node)
    bias = found[2] if len(found) > 2 and found[2] else "0"
    sizes = f"{math.prod(x.shape[:-1])}, {w.shape[1]}, {w.shape[0]}"
    return Body(f"    nw_float_linear({found[0]}, y0, {found[1]}, {bias}, {sizes});", ("float_linear.h",), size)


@emits(Matmul)
def matmul(writer: Writer, node: Node) -> Body:
    """One product for each index of the leading dimensions, which broadcast."""
    a, b = node.inputs
    assert a is not None and b is not None
    found, size = writer.operands(node)
    out = node.output.shape
    batch, (m, n), k = out[:-2], out[-2:], a.shape[-1]
    places = [
        f"{name} + ({index(strides(lead, batch), batch)}) * {step}"
        for name, lead, step in ((found[0], a.shape[:-2], m * k), (found[1], b.shape[:-2], k * n), ("y0", batch, m * n))
    ]
    return Body(loops(batch, f"nw_float_matmul({', '.join(places)}, {m}, {k}, {n});"), ("float_linear.h",), size)


@emits(Einsum)
def einsum(writer: Writer, node: Node) -> Body:
    """Loops over the letters: those of the result outside, those summed over inside."""
    op = node.op
    assert isinstance(op, Einsum)
    terms, _, result = op.equation.replace(" ", "").partition("->")
    values = [v for v in node.inputs if v is not None]
    sizes: dict[str, int] = {}
    for term, value in zip(terms.split(","), values, strict=True):
        sizes.update(zip(term, value.shape, strict=True))
    order = result + "".join(c for c in sizes if c not in result)
    out = tuple(sizes[c] for c in order)
    found, size = writer.operands(node)
    elements = [f"{n}[{_at(t, v, order, out)}]" for n, t, v in zip(found, terms.split(","), values)]
    start = loops(out[: len(result)], f"y0[{index(_plain(out[: len(result)]), out)}] = 0.0f;")
    sums = loops(out, f"y0[{_at(result, node.output, order, out)}] += {elements[0]} * {elements[1]};")
    return Body(f"{start}\n{sums}", (), size)


def _plain(shape: tuple[int, ...]) -> list[int]:
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


def _at(term: str, value: Value, order: str, out: tuple[int, ...]) -> str:
    """The flat index of an operand in loops over all letters."""
    steps = dict(zip(term, _plain(value.shape), strict=True))
    return index([steps.get(letter, 0) for letter in order], out)


@emits(BatchNorm)
def batch_norm(writer: Writer, node: Node) -> Body:
    """One factor and one offset a channel, worked out now."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, BatchNorm) and x is not None
    scale, bias, mean, variance = (writer.array(v) for v in node.inputs[1:])
    factor = scale / np.sqrt(variance + np.float32(op.epsilon))
    by = writer.constant(f"{node.name}_factor", factor)
    plus = writer.constant(f"{node.name}_offset", bias - mean * factor)
    n, c, inner = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    place, channel = index([c * inner, inner, 1], (n, c, inner)), "i1" if c > 1 else "0"
    text = loops((n, c, inner), f"y0[{place}] = x0[{place}] * {by}[{channel}] + {plus}[{channel}];")
    return Body(text, (), 2 * factor.nbytes)
