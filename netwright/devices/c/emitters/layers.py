"""Convolutions and fully connected layers."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node
from netwright.graph.ops.int8.arithmetic import multipliers
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.conv_transpose import QConvTranspose

from ..source import Body, Writer, emits


def _constants(writer: Writer, node: Node, weights: np.ndarray) -> tuple[str, int]:
    """The four constant arrays of a layer as arguments, and their bytes."""
    op = node.op
    assert isinstance(op, (QConv, QLinear, QConvTranspose))
    single = not isinstance(op, QLinear) and op.float_product
    multiplier, shift = multipliers(op.x, writer.array(node.inputs[2]), op.out, single)
    bias = writer.array(node.inputs[3])
    arrays: dict[str, np.ndarray] = {
        "weight": weights.astype(np.int8),
        "bias": bias.astype(np.int32),
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
    }
    names = [writer.constant(f"{node.name}_{part}", array) for part, array in arrays.items()]
    return ", ".join(names), sum(a.nbytes for a in arrays.values())


def each_sample(node: Node, call: str) -> str:
    """A kernel's call for one sample, for every sample there is."""
    x, y = node.inputs[0], node.output
    assert x is not None
    n = x.shape[0]
    if n == 1:
        return f"    {call}"
    one = call.replace("(x0, y0,", f"(x0 + n * {x.type.size // max(n, 1)}, y0 + n * {y.type.size // max(n, 1)},")
    return f"    for (int32_t n = 0; n < {n}; n++)\n        {one}"


@emits(QConv)
def conv(writer: Writer, node: Node) -> Body:
    op = node.op
    assert isinstance(op, QConv)
    x, y, weights = node.inputs[0], node.output, writer.array(node.inputs[1])
    assert x is not None
    _, h, w, c = x.shape
    o, kh, kw, _ = weights.shape
    shape = {
        "h": h,
        "w": w,
        "c": c,
        "oh": y.shape[1],
        "ow": y.shape[2],
        "o": o,
        "kh": kh,
        "kw": kw,
        "sh": op.stride[0],
        "sw": op.stride[1],
        "dh": op.dilation[0],
        "dw": op.dilation[1],
        "top": op.padding[0],
        "left": op.padding[1],
        "x_zero": op.x.zero,
        "w_zero": op.w_zero,
        "y_zero": op.out.zero,
        "low": op.low,
        "high": op.high,
    }
    depthwise = op.groups == c == o
    names, size = _constants(writer, node, weights[..., 0].transpose(1, 2, 0) if depthwise else weights)
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    kernel = "nw_depthwise" if depthwise else "nw_conv" if op.groups == 1 else "nw_conv_grouped"
    groups = f", {op.groups}" if kernel == "nw_conv_grouped" else ""
    call = each_sample(node, f"{kernel}(x0, y0, {names}, s{groups});")
    body = f"    const nw_conv_shape s = {{{fields}}};\n{call}"
    return Body(body, ("depthwise.h" if depthwise else "conv.h",), size)


@emits(QConvTranspose)
def conv_transpose(writer: Writer, node: Node) -> Body:
    op, x, y, weights = node.op, node.inputs[0], node.output, writer.array(node.inputs[1])
    assert isinstance(op, QConvTranspose) and x is not None
    shape = {
        "h": x.shape[1],
        "w": x.shape[2],
        "c": x.shape[3],
        "oh": y.shape[1],
        "ow": y.shape[2],
        "o": y.shape[3],
        "kh": weights.shape[1],
        "kw": weights.shape[2],
        "sh": op.stride[0],
        "sw": op.stride[1],
        "top": op.padding[0],
        "left": op.padding[1],
        "x_zero": op.x.zero,
        "w_zero": op.w_zero,
        "y_zero": op.out.zero,
        "low": op.low,
        "high": op.high,
    }
    names, size = _constants(writer, node, weights)
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    call = each_sample(node, f"nw_conv_transpose(x0, y0, {names}, s);")
    body = f"    const nw_transpose_shape s = {{{fields}}};\n{call}"
    return Body(body, ("conv_transpose.h",), size)


@emits(QLinear)
def linear(writer: Writer, node: Node) -> Body:
    op = node.op
    assert isinstance(op, QLinear)
    weights = writer.array(node.inputs[1])
    assert node.inputs[0] is not None
    names, size = _constants(writer, node, weights)
    sizes = f"{node.inputs[0].shape[0]}, {weights.shape[1]}, {weights.shape[0]}"
    return Body(
        f"    nw_linear(x0, y0, {names}, {sizes}, {op.x.zero}, {op.w_zero}, {op.out.zero}, "
        f"{op.low}, {op.high});",
        ("linear.h",),
        size,
    )
