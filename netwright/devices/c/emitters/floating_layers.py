"""Convolutions, matrix products and batch norm on float32."""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.linear import Einsum, Linear, Matmul
from netwright.graph.ops.norm import BatchNorm

from ..source import Body, Writer, emits, literal
from .elementwise import index, loops, strides
from .moves import plain


def planar(values: tuple[int, ...], fill: int) -> tuple[int, int]:
    """Sizes of one or two dimensions as two."""
    first, second = (fill, *values)[-2:]
    return first, second


def fields(shape: dict[str, int]) -> str:
    """A struct's initialiser."""
    return ", ".join(f".{name} = {value}" for name, value in shape.items())


_PACKED: WeakKeyDictionary[Writer, dict[tuple[Value, int], str]] = WeakKeyDictionary()


def packed(writer: Writer, value: Value, groups: int = 1) -> tuple[str, int]:
    """Weights [O, ...] with four outputs of a group side by side, as the kernels read them, and their bytes.

    Layers that share a tensor share its packed form, whose bytes count for the first.
    """
    known = _PACKED.setdefault(writer, {})
    if (value, groups) in known:
        return known[value, groups], 0
    array = writer.array(value)
    each, taps = array.shape[0] // groups, math.prod(array.shape[1:])
    whole = each // 4 * 4
    by_group = array.reshape(groups, each, taps)
    fours = by_group[:, :whole].reshape(groups, whole // 4, 4, taps).swapaxes(2, 3).reshape(groups, whole * taps)
    flat = np.concatenate([fours, by_group[:, whole:].reshape(groups, (each - whole) * taps)], axis=1)
    note = f"{'x'.join(map(str, array.shape))}, outputs by fours" if whole else ""
    known[value, groups] = name = writer.constant(value.name, flat.reshape(array.shape), note)
    return name, array.nbytes


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
    if w not in writer.graph.param_of:
        raise UserError(f"{node.name}: its weights are computed; C is written for constant ones")
    if isinstance(op, Conv):
        (source, bias), size = without_weights(writer, node)
        weights, more = packed(writer, w, op.groups)
        call, size = f"nw_float_conv({source}, y0, {weights}, {bias}, s);", size + more
    else:
        found, size = writer.operands(node)
        call = f"nw_float_conv_transpose({found[0]}, y0, {found[1]}, {[*found, '0'][2] or '0'}, s);"
    return Body(f"    const nw_float_conv_shape s = {{{fields(shape)}}};\n    {call}", ("float_conv.h",), size)


def without_weights(writer: Writer, node: Node) -> tuple[tuple[str, str], int]:
    """Expressions of a layer's input and bias (0 without one), whose weights are packed, and the bytes of the bias."""
    found, size = writer.operands(Node(node.op, (node.inputs[0], *node.inputs[2:]), node.outputs))
    return (found[0], [*found, "0"][1] or "0"), size


@emits(Linear)
def linear(writer: Writer, node: Node) -> Body:
    x, w = node.inputs[0], node.inputs[1]
    assert x is not None and w is not None
    sizes = f"{math.prod(x.shape[:-1])}, {w.shape[1]}, {w.shape[0]}"
    if w in writer.graph.param_of:
        (source, bias), size = without_weights(writer, node)
        weights, more = packed(writer, w)
        return Body(
            f"    nw_float_linear({source}, y0, {weights}, {bias}, {sizes});", ("float_linear.h",), size + more
        )
    found, size = writer.operands(node)
    bias = [*found, "0"][2] or "0"
    call = f"nw_float_matmul_turned({found[0]}, {found[1]}, {bias}, y0, {sizes});"
    return Body(f"    {call}", ("float_linear.h",), size)


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
    start = loops(out[: len(result)], f"y0[{index(plain(out[: len(result)]), out)}] = 0.0f;")
    sums = loops(out, f"y0[{_at(result, node.output, order, out)}] += {elements[0]} * {elements[1]};")
    return Body(f"{start}\n{sums}", (), size)


def _at(term: str, value: Value, order: str, out: tuple[int, ...]) -> str:
    """The flat index of an operand in loops over all letters."""
    steps = dict(zip(term, plain(value.shape), strict=True))
    return index([steps.get(letter, 0) for letter in order], out)


@emits(BatchNorm)
def batch_norm(writer: Writer, node: Node) -> Body:
    """One factor and one offset a channel, worked out now where the statistics are constants."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, BatchNorm) and x is not None
    n, c, inner = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    place, channel = index([c * inner, inner, 1], (n, c, inner)), "i1" if c > 1 else "0"
    if any(v not in writer.graph.param_of for v in node.inputs[1:]):
        found, size = writer.operands(node)
        a, b, m, v = (f"{name}[{channel}]" for name in found[1:])
        factor = f"{a} * nw_rsqrt({v} + {literal(op.epsilon)})"
        text = f"y0[{place}] = ({found[0]}[{place}] - {m}) * ({factor}) + {b};"
        return Body(loops((n, c, inner), text), ("float_math.h",), size)
    scale, bias, mean, variance = (writer.array(v) for v in node.inputs[1:])
    factors = scale / np.sqrt(variance + np.float32(op.epsilon))
    by = writer.constant(f"{node.name}_factor", factors)
    plus = writer.constant(f"{node.name}_offset", bias - mean * factors)
    text = loops((n, c, inner), f"y0[{place}] = x0[{place}] * {by}[{channel}] + {plus}[{channel}];")
    return Body(text, (), 2 * factors.nbytes)
